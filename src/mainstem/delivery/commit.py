"""The commit: facts, memory and position, together or not at all.

The steps are those of ``docs/decisions/0001-the-commit.md``:

1. cut: take out what has been done since the last commit, without an await;
2. append the facts;
3. add the store changes;
4. name a position for every input;
5. commit, and wait until it is durable;
6. count the changes as committed, and tell who waits.

It ends in one of three ways. Done. Refused: nothing of it happened, and the task starts again from the last commit.
Unknown: the task is lost, and a new incarnation reads what is there. Nothing goes on from memory after the last two.

When it happens, :class:`CommitClock` decides.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from mainstem.broker import Ownership
from mainstem.delivery.ledger import Cut, Ledger, Pending

Point: TypeAlias = Callable[[str], None]
"""Hears the name of each step before it is done; a simulation may end the process there."""


REST_SHARE: Final = 4
"""A task that has nothing left to do commits at once, but at most so many times in a commit interval."""

PACE: Final = 3
"""The interval is at least so many times as long as the last commit took: whoever commits slowly commits seldom."""

INTERVAL_SECONDS_MOST: Final = 1.0

ALONE: Final = 10
"""Positions alone that nobody waits for are committed after so many intervals, or after one in which nothing came."""


class CommitClock:
    """When the next commit is due. It is told the time, in seconds, and reads none."""

    __slots__ = ("_events", "_first", "_interval", "_last", "_rest_until", "_shortest")

    def __init__(self, interval_seconds: float, events: int) -> None:
        """A commit after each interval, and one whenever so many events are done."""
        self._shortest = self._interval = interval_seconds
        self._events = events
        self._first: float | None = None
        self._last = 0.0
        self._rest_until = 0.0

    def something_came(self, now: float) -> None:
        """Records were read, or something was done."""
        if self._first is None:
            self._first = now
        self._last = now

    def nothing_pends(self) -> None:
        """Everything has been taken out for a commit, or there was nothing to be committed after all."""
        self._first = None

    def rest_from(self, now: float) -> None:
        """A commit begins; the next one leaves it some time."""
        self._rest_until = now + self._interval / REST_SHARE

    def took(self, seconds: float) -> None:
        """A commit has taken so long."""
        self._interval = max(self._shortest, min(PACE * seconds, INTERVAL_SECONDS_MOST))

    def due(self, pending: Pending) -> float | None:
        """When it is due as things stand; None when nothing has come since the last one."""
        if pending.waited_for or pending.events >= self._events:
            return self._last
        if self._first is None:
            return None
        if not pending.changed:
            last_moment = self._first + ALONE * self._interval
            return min(last_moment, self._last + self._interval) if pending.resting else last_moment
        last_moment = self._first + self._interval
        return min(last_moment, max(self._last, self._rest_until)) if pending.resting else last_moment


def no_point(_name: str) -> None:
    """Nobody listens."""


async def commit(ledger: Ledger, ownership: Ownership, point: Point = no_point) -> Cut:
    """Commit what the ledger holds. Raises what :meth:`~mainstem.broker.Transaction.commit` raises."""
    point("commit.cut")
    cut = ledger.cut()
    transaction = ownership.transaction()
    try:
        point("commit.append")
        for at, records in cut.facts.items():
            transaction.append(at, records)
        point("commit.changes")
        transaction.changes(cut.changes)
        point("commit.positions")
        transaction.positions(cut.positions)
        point("commit.commit")
        await transaction.commit()
        point("commit.committed")
    except BaseException as error:
        transaction.abort()
        for waiter in cut.waiters:
            if not waiter.done():
                waiter.set_exception(error) if isinstance(error, Exception) else waiter.cancel()
                if isinstance(error, Exception):
                    waiter.exception()  # whoever waited may have gone, and then nobody need be told
        raise
    ledger.state.committed()
    for waiter in cut.waiters:
        if not waiter.done():
            waiter.set_result(None)
    return cut
