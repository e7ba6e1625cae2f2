"""Lets a process tell its page what the library's fault points do not say."""

import threading
from contextlib import nullcontext

import mainstem.broker.sqlite.transaction as transaction_module
from mainstem.broker.sqlite.transaction import Owner, SqliteTransaction
from mainstem.database import Connection
from mainstem.database.wal import Checkpointer
from mainstem.errors import Fenced
from tests.crash.page import PREPARED, Page
from tests.crash.sabotage import replace


def install(page: Page) -> None:
    """Put every probe in place; after a guard was switched off, so that its absence is seen."""
    _tell_verdicts(page)
    _tell_prepared(page)


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
