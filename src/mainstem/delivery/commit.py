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
"""

from collections.abc import Callable
from typing import TypeAlias

from mainstem.broker import Ownership
from mainstem.delivery.ledger import Cut, Ledger

Point: TypeAlias = Callable[[str], None]
"""Hears the name of each step before it is done; a simulation may end the process there."""


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
    counters = ledger.counters
    counters.commits += 1
    counters.handled += cut.events
    counters.published += sum(map(len, cut.facts.values()))
    for waiter in cut.waiters:
        if not waiter.done():
            waiter.set_result(None)
    return cut
