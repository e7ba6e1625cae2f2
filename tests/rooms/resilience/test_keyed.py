"""A limit for each key, in bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.errors import DefinitionError
from mainstem.resilience import Count, FixedWindow, KeyedLimit, Level, RateLimiter, SlidingLog, TokenBucket


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), max_size=60))
def test_keys_are_independent(requests: list[tuple[int, str]]) -> None:
    """Each key is answered as it would be alone."""
    limit = TokenBucket(limit=2, period_ms=50, capacity=3)
    together = KeyedLimit[str, Level](limit)
    alone = {key: KeyedLimit[str, Level](limit) for key in "abc"}
    now_ms = 0
    for wait_ms, key in requests:
        now_ms += wait_ms
        assert together.ask(key, now_ms) == alone[key].ask(key, now_ms)


def test_the_key_that_asked_longest_ago_is_forgotten() -> None:
    """Never more keys than stated; a forgotten one begins anew, which is counted when its limit was in use."""
    keyed = KeyedLimit[str, tuple[int, ...]](SlidingLog(limit=1, period_ms=100), keys=2)
    assert keyed.ask("a", 0).allowed
    assert keyed.ask("b", 1).allowed
    assert not keyed.ask("a", 2).allowed
    assert keyed.ask("c", 3).allowed
    assert (len(keyed), keyed.forgotten) == (2, 1)
    assert not keyed.ask("a", 4).allowed
    assert keyed.ask("b", 5).allowed
    assert keyed.ask("d", 200).allowed
    assert (len(keyed), keyed.forgotten) == (2, 2)


def test_a_cost_that_is_refused_forgets_nothing() -> None:
    """A mistake in one request leaves what the key has used."""
    keyed = KeyedLimit[str, Count](FixedWindow(limit=2, period_ms=100))
    keyed.ask("a", 0, 2)
    with pytest.raises(DefinitionError):
        keyed.ask("a", 0, 3)
    assert not keyed.ask("a", 0).allowed
    with pytest.raises(DefinitionError):
        KeyedLimit(FixedWindow(limit=1, period_ms=1), keys=0)


def test_a_number_is_no_limit() -> None:
    """It says nothing of the time within which; that is told where it is written."""
    with pytest.raises(DefinitionError, match="5 is not a rate limit"):
        RateLimiter(5)  # type: ignore[arg-type]
