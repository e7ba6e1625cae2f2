"""Retry policies, as tables of what happens after each failure."""

from collections.abc import Callable
from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from mainstem.delivery import Retry
from mainstem.delivery.failures import Discard, GiveUp, Park, RunAgain, Verdict
from mainstem.delivery.failures.look_alikes import look_alikes
from mainstem.errors import DecodingFailed, DefinitionError, EventRefused, HandlerTimeout, RecordTooLarge
from mainstem.resilience import Backoff, Jitter

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


@given(inline=st.integers(0, 5), later=st.integers(1, 5), chance=st.floats(0, 0.999))
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
        (lambda: Retry.on(TimeoutError).later(), r"later\(\) names no time"),
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


def test_the_unlisted_may_be_given_a_rule_too() -> None:
    """``otherwise`` is for everything that no rule before it names, in place of the default."""
    policy = Retry.on(TimeoutError).later("1s").otherwise().discard("of no use to anybody")
    assert in_words(table(policy, TimeoutError(), 1)) == [("park", 1_000)]
    assert table(policy, KeyError(), 1) == [Discard("of no use to anybody")]
    assert table(policy, DecodingFailed("x"), 1) == [Discard("of no use to anybody")]


def test_a_rule_may_end_in_a_discard() -> None:
    """Tries come first; then the event is passed over with the stated reason."""
    policy = Retry.on(KeyError).inline(1, STEADY).discard("cancelled")
    assert table(policy, KeyError(), 3) == [RunAgain(0.5), Discard("cancelled"), Discard("cancelled")]


def test_attempts_and_age_end_every_rule() -> None:
    """Whichever limit is reached first; a try that would come too late is not waited for."""
    few = Retry.on(TimeoutError).inline(5, STEADY).later("1s").discard("too often").within(attempts=2)
    assert table(few, TimeoutError(), 3) == [RunAgain(0.5), Discard("too often"), Discard("too often")]
    assert isinstance(table(few, KeyError(), 2)[1], GiveUp)
    young = Retry.on(TimeoutError).later("1h", "1h").within(age="90m")
    assert young.verdict(TimeoutError(), 1, lambda: 0.5, 0) == Park(3_600_000)
    assert young.verdict(TimeoutError(), 2, lambda: 0.5, 3_600_000) == GiveUp()


def test_nothing_is_tried_again_after_a_week_unless_stated() -> None:
    """A policy that lists later tries is refused until it says how long it means."""
    long = Retry.on(TimeoutError).later("5d", "5d")
    with pytest.raises(DefinitionError, match=r"goes on for 10d") as refused:
        long.check()
    assert '.within(age="20d")' in refused.value.remedy
    long.within(age="20d").check()
    assert long.verdict(TimeoutError(), 2, lambda: 0.5, 5 * 86_400_000) == GiveUp()


@pytest.mark.parametrize(("jitter", "expected"), [("none", 10_000), ("full", 5_000), ("equal", 7_500)])
def test_later_tries_may_be_spread(jitter: Jitter, expected: int) -> None:
    """Keys that failed together need not come back together."""
    policy = Retry.on(TimeoutError).later("10s", jitter=jitter)
    assert policy.verdict(TimeoutError(), 1, lambda: 0.5) == Park(expected)


@pytest.mark.parametrize(
    "sentence",
    [
        "Retry()",
        'Retry().within(attempts=3, age="1h30m")',
        'Retry.on(ConnectionError).inline(2).later("10s", "1h", jitter="equal").dead_letter()',
        "Retry.on(KeyError, ValueError).discard('gone').also_on(OSError).inline(1).dead_letter()",
        "Retry.on(KeyError).dead_letter().otherwise().discard('no')",
    ],
)
def test_a_policy_prints_as_its_sentence(sentence: str) -> None:
    """What is printed can be pasted into a program, and means the same there."""
    assert repr(eval(sentence, {"Retry": Retry})) == sentence


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Retry.on(OSError).also_on(TimeoutError), "TimeoutError stands behind a rule that has it already"),
        (lambda: Retry.never().otherwise(), "Exception stands behind"),
        (lambda: Retry.on(OSError).discard(" "), "discard"),
        (lambda: Retry.on(OSError).dead_letter().inline(2), r"dead_letter\(\) has ended, and something follows"),
        (lambda: Retry.on(OSError).discard("no").later("1s"), r"discard\('no'\) has ended, and something follows"),
        (lambda: Retry.on(OSError).within(), "states no limit"),
        (lambda: Retry.on(OSError).within(attempts=0), "attempts=0"),
        (lambda: Retry.on(OSError).later(1, jitter="decorrelated"), "decorrelated"),
    ],
)
def test_a_sentence_that_ends_badly_is_refused(make: Callable[[], Retry], what: str) -> None:
    """A rule that nobody would ask, a discard without a reason, a limit that limits nothing."""
    with pytest.raises(DefinitionError, match=what) as refused:
        make()
    assert refused.value.remedy


class Timeout(Exception):
    """What a client library may call it."""


class ReadTimeout(Timeout):
    """One of its kinds."""


def test_exceptions_that_look_alike_are_named() -> None:
    """Those of nearly the same name that no rule catches; nothing where one is listed, or all are."""
    others = look_alikes(Retry.on(TimeoutError))["TimeoutError"]
    assert f"{__name__}.Timeout" in others
    assert not any("ReadTimeout" in each or "HandlerTimeout" in each for each in others)
    assert "TimeoutError" in look_alikes(Retry.on(Timeout))[f"{__name__}.Timeout"]
    assert f"{__name__}.Timeout" not in look_alikes(Retry.on(TimeoutError, Timeout)).get("TimeoutError", ())
    assert look_alikes(Retry.on(TimeoutError).otherwise().inline(1)) == look_alikes(Retry()) == {}
