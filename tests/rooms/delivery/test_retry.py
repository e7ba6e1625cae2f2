"""Retry policies, as tables of what happens after each failure."""

from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from mainstem.delivery import Retry
from mainstem.delivery.failures import GiveUp, Park, RunAgain, Verdict
from mainstem.errors import DecodingFailed, DefinitionError, EventRefused, HandlerTimeout, RecordTooLarge
from mainstem.resilience import Backoff

STEADY = Backoff(first_seconds=0.5, growth="fixed", jitter="none")


def table(policy: Retry, error: Exception, until: int = 6) -> list[Verdict]:
    """What is done after the first, the second, and so on, failure; chance always says one half."""
    return [policy.verdict(error, failures, lambda: 0.5) for failures in range(1, until + 1)]


def in_words(verdicts: list[Verdict]) -> list[object]:
    """The same, shorter: a wait in seconds, a time parked in milliseconds, or None."""
    return [
        ("again", each.after_seconds)
        if isinstance(each, RunAgain)
        else ("park", each.after_ms)
        if isinstance(each, Park)
        else None
        for each in verdicts
    ]


def test_a_sentence_is_done_word_by_word() -> None:
    """Inline as often as it says, then later after each of the times, then a dead letter, for ever."""
    policy = Retry.on(TimeoutError).inline(2, STEADY).later("10s", "1m", timedelta(minutes=10)).dead_letter()
    assert in_words(table(policy, TimeoutError(), 8)) == [
        ("again", 0.5),
        ("again", 0.5),
        ("park", 10_000),
        ("park", 60_000),
        ("park", 600_000),
        None,
        None,
        None,
    ]


@pytest.mark.parametrize("rules", [3, Retry(), [], "3"])
def test_a_policy_is_no_number(rules: object) -> None:
    """It is refused where it is written, with the sentence that was meant."""
    with pytest.raises(DefinitionError) as refused:
        Retry(rules)  # type: ignore[arg-type]
    assert "write Retry.on(Exception).inline(3)" in refused.value.remedy


def test_the_first_rule_that_fits_counts() -> None:
    """Rules are looked at in order, subclasses fit their bases, and each has its own times."""
    policy = Retry.on(ConnectionError).later(1).also_on(OSError).inline(1, STEADY).also_on(KeyError)
    assert in_words(table(policy, ConnectionResetError(), 2)) == [("park", 1_000), None]
    assert in_words(table(policy, FileNotFoundError(), 2)) == [("again", 0.5), None]
    assert in_words(table(policy, KeyError("k"), 1)) == [None]


def test_what_is_not_listed_follows_the_default() -> None:
    """Two more runs at once, then after ten seconds, a minute and ten minutes, then a dead letter."""
    for policy in (Retry(), Retry.on(KeyError).inline(9)):
        verdicts = table(policy, ValueError())
        assert [isinstance(each, RunAgain) for each in verdicts] == [True, True, False, False, False, False]
        assert in_words(verdicts[2:]) == [("park", 10_000), ("park", 60_000), ("park", 600_000), None]


@pytest.mark.parametrize("error", [DecodingFailed("x"), EventRefused("x"), DefinitionError("x"), RecordTooLarge("x")])
def test_what_waiting_cannot_mend_is_a_dead_letter_at_once(error: Exception) -> None:
    """Bytes, events and declarations do not get better; a policy may still say something else."""
    assert table(Retry(), error, 1) == [GiveUp()]
    assert in_words(table(Retry.on(type(error)).later(1), error, 1)) == [("park", 1_000)]


def test_a_time_out_is_tried_again() -> None:
    """A handler that took too long is an ordinary failure."""
    assert isinstance(table(Retry(), HandlerTimeout("x"), 1)[0], RunAgain)


def test_never_means_never() -> None:
    """A dead letter at the first failure, whatever it was."""
    assert table(Retry.never(), TimeoutError(), 2) == [GiveUp(), GiveUp()]


@given(inline=st.integers(0, 5), later=st.integers(0, 5), chance=st.floats(0, 0.999))
def test_tries_are_finite(inline: int, later: int, chance: float) -> None:
    """Every policy gives up after as many failures as it has steps, plus one; waits are never negative."""
    policy = Retry.on(Exception).inline(inline).later(*range(later))
    verdicts = [policy.verdict(OSError(), failures, lambda: chance) for failures in range(1, inline + later + 2)]
    assert [type(each) for each in verdicts] == [RunAgain] * inline + [Park] * later + [GiveUp]
    assert all(each.after_seconds >= 0 for each in verdicts if isinstance(each, RunAgain))


def test_policies_are_values() -> None:
    """Each word gives a new policy; the one before it is not changed, so that it can be shared."""
    base = Retry.on(TimeoutError)
    base.inline(3).later("1s")
    assert table(base, TimeoutError(), 1) == [GiveUp()]


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Retry.on(TimeoutError).inline(-1), r"inline\(-1\)"),
        (lambda: Retry.on(TimeoutError).later("ten"), "'ten' is not a duration"),
        (lambda: Retry.on(TimeoutError).later(-1), "-1 is not a duration"),
        (lambda: Retry.on(TimeoutError("an instance")), "is not an exception type"),  # type: ignore[arg-type]
        (lambda: Retry.on(KeyboardInterrupt), "is not an exception type"),  # type: ignore[arg-type]
        (lambda: Retry.on(int), "is not an exception type"),  # type: ignore[arg-type]
        (lambda: Retry().inline(1), "begins with the exceptions it is for"),
        (lambda: Retry().later(1), "begins with the exceptions it is for"),
        (Retry.on, "names no exceptions"),
    ],
)
def test_a_sentence_without_sense_is_refused(make: object, what: str) -> None:
    """A mistake in a policy is found where it is written, and says what to write instead."""
    assert callable(make)
    with pytest.raises(DefinitionError, match=what) as refused:
        make()
    assert refused.value.remedy
