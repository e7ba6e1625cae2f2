"""When a handler runs: by a cron expression, or somewhat later; and what becomes of the runs that were missed."""

from itertools import islice, takewhile
from typing import Final, Literal, NamedTuple, TypeAlias

from msgspec import Struct

from mainstem.delivery.schedules.cron import Cron
from mainstem.errors import DefinitionError
from mainstem.identifiers import Derivation

CRON: Final = "$cron:"
"""A timer whose name begins so is the next run of the handler named behind it."""

Missed: TypeAlias = Literal["skip", "once", "all"] | int
"""How many runs for which nobody was there are made up for: none, the last, as many as can be, or the last so many."""

LATE_MS: Final = 60_000
"""A run that begins so much later than it was due has been missed."""
MADE_UP_MOST: Final = 1_000
COUNTED_MOST: Final = 10_000
"""Of those that are left out no more are counted: years of minutes would hold up the task."""
_WORDS: Final = {"skip": 0, "once": 1, "all": MADE_UP_MOST}


class Decision(NamedTuple):
    """Which run is made now, if any, which comes next, and how many were left out."""

    run_ms: int | None
    next_ms: int
    left_out: int


class Recurring(Struct, frozen=True):
    """When a handler runs, and what becomes of the runs for which nobody was there.

    Each run begins up to ``jitter_ms`` later than the expression says.
    """

    cron: Cron
    missed: Missed = "once"
    jitter_ms: int = 0

    def __post_init__(self) -> None:
        """Refuse what no type checker has seen."""
        missed: object = self.missed
        number = isinstance(missed, int) and not isinstance(missed, bool) and 0 <= missed <= MADE_UP_MOST
        if not (number or (isinstance(missed, str) and missed in _WORDS)):
            raise DefinitionError(
                f"missed={missed!r} says nothing about the runs of a schedule",
                remedy=f'write "once", "skip" or "all", or how many are made up for, up to {MADE_UP_MOST:,}',
            )
        if not 0 <= self.jitter_ms <= 86_400_000:
            raise DefinitionError(
                f"jitter={self.jitter_ms / 1_000:g} s is no delay for the runs of a schedule",
                remedy='write a duration of up to a day, such as jitter="5m"',
            )

    @property
    def most(self) -> int:
        """How many missed runs are made up for at most."""
        return self.missed if isinstance(self.missed, int) else _WORDS[self.missed]


class Calendar(Struct, frozen=True):
    """The schedule of a handler of one group; ``was`` are the names that the handler had before."""

    handler: str
    was: tuple[str, ...]
    recurring: Recurring
    derivation: Derivation

    @property
    def timer(self) -> str:
        """The name of the timer that is its next run."""
        return CRON + self.handler

    def run_id(self, run_ms: int) -> str:
        """The id of a run."""
        return self.derivation.of("schedule", str(run_ms))

    def due_ms(self, run_ms: int) -> int:
        """When a run is to begin; whoever owns the task comes to the same."""
        jitter_ms = self.recurring.jitter_ms
        return run_ms + int(self.run_id(run_ms)[-12:], 16) % (jitter_ms + 1) if jitter_ms else run_ms

    def decide(self, run_ms: int, due_ms: int, now_ms: int) -> Decision:
        """What becomes of a run that was due, and of those since then."""
        cron, most = self.recurring.cron, self.recurring.most
        if now_ms - due_ms < LATE_MS:
            return Decision(run_ms, cron.next_after(run_ms), 0)
        if most:
            first_ms = cron.last_until(now_ms, run_ms, most)[0]
            return Decision(first_ms, cron.next_after(first_ms), self._count(run_ms, first_ms))
        next_ms = cron.last_until(now_ms, run_ms)[0]
        if now_ms - self.due_ms(next_ms) >= LATE_MS or next_ms == run_ms:
            next_ms = cron.next_after(now_ms)
        return Decision(None, next_ms, self._count(run_ms, next_ms))

    def _count(self, first_ms: int, before_ms: int) -> int:
        """How many runs there are from one on, and before another one."""
        runs = takewhile(lambda run_ms: run_ms < before_ms, self.recurring.cron.runs_after(first_ms - 1_000))
        return sum(1 for _ in islice(runs, COUNTED_MOST))


def is_schedule(timer: str) -> bool:
    """Whether a timer of this name is the next run of a schedule."""
    return timer.startswith(CRON)
