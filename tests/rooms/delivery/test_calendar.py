"""What becomes of runs that were missed, and of the delay before each run."""

import pytest

from mainstem.delivery import Cron, Missed, Recurring
from mainstem.delivery.schedules import Calendar
from mainstem.errors import DefinitionError
from mainstem.identifiers import Derivation

HOUR_MS = 3_600_000
FIRST_MS = 1_000 * HOUR_MS


def calendar(missed: Missed = "once", jitter_ms: int = 0, handler: str = "tell") -> Calendar:
    """A schedule of every hour."""
    recurring = Recurring(Cron("0 * * * *", "UTC"), missed, jitter_ms)
    return Calendar(handler, (), recurring, Derivation("shop", "shop", handler))


@pytest.mark.parametrize(
    ("missed", "run", "next_run", "left_out"),
    [("skip", None, 6, 6), ("once", 5, 6, 5), (3, 3, 4, 3), ("all", 0, 1, 0), (0, None, 6, 6), (6, 0, 1, 0)],
)
def test_runs_that_were_missed(missed: Missed, run: int | None, next_run: int, left_out: int) -> None:
    """Five and a half hours late: so many are made up for, from the oldest of these on; the others are counted."""
    now_ms = FIRST_MS + 5 * HOUR_MS + HOUR_MS // 2
    run_ms, next_ms, count = calendar(missed).decide(FIRST_MS, FIRST_MS, now_ms)
    assert run_ms == (None if run is None else FIRST_MS + run * HOUR_MS)
    assert (next_ms, count) == (FIRST_MS + next_run * HOUR_MS, left_out)


@pytest.mark.parametrize("missed", ["skip", "once", "all", 7])
def test_a_run_within_its_minute_is_made(missed: Missed) -> None:
    """Whatever becomes of those that were missed."""
    assert calendar(missed).decide(FIRST_MS, FIRST_MS, FIRST_MS + 59_999) == (FIRST_MS, FIRST_MS + HOUR_MS, 0)


def test_catching_up_is_bounded() -> None:
    """After years, "all" makes up for a thousand; the others are counted as far as it is worth it."""
    run_ms, next_ms, count = calendar("all").decide(FIRST_MS, FIRST_MS, FIRST_MS + 20_000 * HOUR_MS)
    assert run_ms == FIRST_MS + 19_001 * HOUR_MS
    assert (next_ms, count) == (FIRST_MS + 19_002 * HOUR_MS, 10_000)


def test_a_jitter_differs_from_run_to_run_and_from_handler_to_handler() -> None:
    """But not from one owner to the next: it is made from what a run is."""
    one, other = calendar(jitter_ms=600_000), calendar(jitter_ms=600_000, handler="other")
    delays = [one.due_ms(FIRST_MS + n * HOUR_MS) - FIRST_MS - n * HOUR_MS for n in range(200)]
    assert all(0 <= each <= 600_000 for each in delays)
    assert min(delays) < 30_000
    assert max(delays) > 570_000
    assert delays == [
        calendar(jitter_ms=600_000).due_ms(FIRST_MS + n * HOUR_MS) - FIRST_MS - n * HOUR_MS for n in range(200)
    ]
    assert sum(other.due_ms(FIRST_MS + n * HOUR_MS) - FIRST_MS - n * HOUR_MS == delays[n] for n in range(200)) < 5


def test_a_run_whose_delay_has_not_passed_is_not_missed() -> None:
    """Where missed runs are skipped, that one is the next."""
    late = calendar("skip", 30 * 60_000)
    for hour in range(1, 50):
        run_ms = FIRST_MS + hour * HOUR_MS
        now_ms = run_ms + 60_000
        found = late.decide(FIRST_MS, late.due_ms(FIRST_MS), now_ms)
        if now_ms - late.due_ms(run_ms) < 60_000:
            assert found == (None, run_ms, hour)
        else:
            assert found == (None, run_ms + HOUR_MS, hour + 1)


@pytest.mark.parametrize("missed", ["twice", -1, 1_001, True, None, 2.5])
def test_what_says_nothing_about_missed_runs(missed: object) -> None:
    """Told when it is declared."""
    with pytest.raises(DefinitionError, match="says nothing about the runs"):
        Recurring(Cron("@daily", "UTC"), missed)  # type: ignore[arg-type]


@pytest.mark.parametrize("jitter_ms", [-1, 86_400_001])
def test_what_is_no_jitter(jitter_ms: int) -> None:
    """Longer than a day, or the other way."""
    with pytest.raises(DefinitionError, match="no delay for the runs"):
        Recurring(Cron("@daily", "UTC"), "once", jitter_ms)
