"""Backoff."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.errors import DefinitionError
from mainstem.resilience import Backoff, Growth, Jitter


@pytest.mark.parametrize(
    ("growth", "expected"),
    [("fixed", [1, 1, 1, 1, 1]), ("linear", [1, 2, 3, 4, 5]), ("exponential", [1, 2, 4, 8, 9])],
)
def test_waits_grow_up_to_the_cap(growth: Growth, expected: list[float]) -> None:
    """Each growth follows its rule until the longest wait is reached."""
    backoff = Backoff(first_seconds=1, longest_seconds=9, growth=growth, jitter="none")
    assert [backoff.delay(attempt, random.Random(1).random) for attempt in range(1, 6)] == expected


@pytest.mark.parametrize(
    ("jitter", "least", "most"), [("full", 0.0, 4.0), ("equal", 2.0, 4.0), ("decorrelated", 1.0, 6.0)]
)
def test_jitter_spreads_over_its_whole_range(jitter: Jitter, least: float, most: float) -> None:
    """Chance moves the wait between the two ends its rule names, and reaches the neighbourhood of both."""
    backoff = Backoff(first_seconds=1, longest_seconds=60, jitter=jitter)
    chance = random.Random(2).random
    waits = [backoff.delay(3, chance, previous_seconds=2) for _ in range(2_000)]
    assert least <= min(waits) < least + 0.1
    assert most - 0.1 < max(waits) <= most


@given(
    attempt=st.integers(1, 10_000),
    growth=st.sampled_from(["fixed", "linear", "exponential"]),
    jitter=st.sampled_from(["none", "full", "equal", "decorrelated"]),
    previous=st.none() | st.floats(0, 1e6),
    seed=st.integers(),
)
def test_no_wait_is_negative_or_above_the_cap(
    attempt: int, growth: Growth, jitter: Jitter, previous: float | None, seed: int
) -> None:
    """Whatever the attempt, a wait lies between zero and the longest."""
    backoff = Backoff(first_seconds=0.5, longest_seconds=20, growth=growth, jitter=jitter)
    assert 0 <= backoff.delay(attempt, random.Random(seed).random, previous) <= 20


@pytest.mark.parametrize(("first", "longest"), [(-1, 5), (10, 5), (float("nan"), 5)])
def test_waits_that_make_no_sense_are_refused(first: float, longest: float) -> None:
    """A mistake is reported where the backoff is declared."""
    with pytest.raises(DefinitionError):
        Backoff(first_seconds=first, longest_seconds=longest)
