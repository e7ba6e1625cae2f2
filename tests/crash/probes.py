"""Lets a process tell its page what the library's fault points do not say."""

import threading
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import mainstem.broker.sqlite.transaction as transaction_module
from mainstem.broker.sqlite.group import SqliteMembership, SqliteOwnership
from mainstem.broker.sqlite.transaction import Owner, SqliteTransaction
from mainstem.database import Connection
from mainstem.database.lock import WriteLock
from mainstem.database.wal import Checkpointer
from mainstem.delivery.tasks import Task
from mainstem.errors import Fenced
from tests.crash.page import PREPARED, Page
from tests.crash.sabotage import replace


def install(page: Page) -> None:
    """Put every probe in place; after a guard was switched off, so that its absence is seen."""
    _tell_verdicts(page)
    _tell_prepared(page)
    _tell_leaving(page)
    _tell_arriving(page)
    _tell_checkpoints(page)


def _tell_verdicts(page: Page) -> None:
    """Say what came of the check of an owner epoch: the log tells of it only if the task is still there by then."""
    check = transaction_module.check_epoch

    def judged(connection: Connection, owner: Owner) -> None:
        try:
            check(connection, owner)
        except Fenced:
            page.judge(refused=True)
            raise
        page.judge(refused=False)

    replace(transaction_module, "check_epoch", judged)


def _tell_prepared(page: Page) -> None:
    """Be at a point when the writer has taken up a task's commit.

    Nobody can call it back then. Whoever stops there must not hold the lock, which checkpoints take as well.
    """
    prepare, checkpoint = SqliteTransaction.prepare, Checkpointer.checkpoint
    checkpointing = threading.Lock()

    def prepared(transaction: SqliteTransaction) -> None:
        prepare(transaction)
        if transaction._owner is not None:
            with checkpointing if page.asked else nullcontext():
                page.passing(PREPARED)

    def exclusive(checkpointer: Checkpointer) -> int:
        with checkpointing:
            return checkpoint(checkpointer)

    replace(SqliteTransaction, "prepare", prepared)
    replace(Checkpointer, "checkpoint", exclusive)


def _tell_leaving(page: Page) -> None:
    drain = Task.drain

    def draining(task: Task) -> None:
        page.passing("draining")
        drain(task)

    replace(Task, "drain", draining)
    replace(SqliteMembership, "release", _after(page, "releasing", SqliteMembership.release))
    replace(SqliteMembership, "leave", _after(page, "leaving", SqliteMembership.leave))


def _after(page: Page, point: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The same method, after the process has been at a point."""

    async def told(*arguments: Any) -> Any:
        page.passing(point)
        return await method(*arguments)

    return told


def _tell_arriving(page: Page) -> None:
    take_over = SqliteMembership.take_over

    async def told(membership: SqliteMembership, task: int) -> SqliteOwnership:
        page.passing("taking-over")
        ownership = await take_over(membership, task)
        page.passing("taken-over")
        return ownership

    replace(SqliteMembership, "take_over", told)


class _ToldLock:
    """The write lock, as the checkpoints use it."""

    def __init__(self, lock: WriteLock, page: Page) -> None:
        self._lock = lock
        self._page = page

    def acquire(self) -> None:
        self._lock.acquire()
        self._page.passing("checkpoint-locked")

    def release(self) -> None:
        self._page.passing("checkpoint-done")
        self._lock.release()

    def close(self) -> None:
        self._lock.close()


def _tell_checkpoints(page: Page) -> None:
    begin = Checkpointer.__init__

    def told(checkpointer: Checkpointer, connection: Connection, lock: WriteLock, *others: Any) -> None:
        begin(checkpointer, connection, _ToldLock(lock, page), *others)  # type: ignore[arg-type]  # it uses no more

    replace(Checkpointer, "__init__", told)
