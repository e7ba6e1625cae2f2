"""Lets a process tell its page how far a transaction has come, and where it stands when tasks come and go."""

from collections.abc import Awaitable, Callable
from typing import Any

from mainstem.broker.kafka.groups.membership import KafkaMembership
from mainstem.broker.kafka.producers import TransactionalProducer
from mainstem.broker.kafka.tasks import Owner
from mainstem.delivery.tasks import Task
from mainstem.errors import Fenced
from tests.crash.page import Page
from tests.crash.sabotage import replace

OPENED = "lock-taken"
"""The commit is to be sent; nothing of it has been."""
SENT = "before-commit"
"""Facts, changes and positions are sent, and the commit is not asked for: the transaction is open."""
COMMITTED = "committed"
"""It is committed in the cluster, and the local copy does not have it yet."""
APPLIED = "before-acknowledge"
"""The local copy has it, and nobody has been told."""

INSIDE = frozenset({"begun", SENT, COMMITTED})
"""Between the begin of a transaction and the end of its second half."""


def install(page: Page) -> None:
    """Put every probe in place."""
    replace(TransactionalProducer, "_produce", _told(page, "begun", TransactionalProducer._produce))
    replace(TransactionalProducer, "_commit", _told(page, SENT, TransactionalProducer._commit, COMMITTED))
    replace(Owner, "send", _told(page, OPENED, Owner.send, APPLIED))
    replace(TransactionalProducer, "send", _judged(page, TransactionalProducer.send))
    replace(Task, "drain", _passed(page, "draining", Task.drain))
    replace(KafkaMembership, "release", _awaited(page, "releasing", KafkaMembership.release))
    replace(KafkaMembership, "leave", _awaited(page, "leaving", KafkaMembership.leave))
    replace(KafkaMembership, "take_over", _awaited(page, "taking-over", KafkaMembership.take_over, "taken-over"))


def _told(page: Page, before: str, method: Callable[..., Any], after: str | None = None) -> Callable[..., Any]:
    def told(*arguments: Any) -> Any:
        page.at(before)
        result = method(*arguments)
        if after is not None:
            page.at(after)
        return result

    return told


def _judged(page: Page, method: Callable[..., Any]) -> Callable[..., Any]:
    """Say what came of a transaction: whether it was somebody else's task by then."""

    def told(*arguments: Any) -> Any:
        try:
            result = method(*arguments)
        except Fenced:
            page.judge(refused=True)
            raise
        page.judge(refused=False)
        return result

    return told


def _passed(page: Page, before: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def told(*arguments: Any) -> Any:
        page.passing(before)
        return method(*arguments)

    return told


def _awaited(
    page: Page, before: str, method: Callable[..., Awaitable[Any]], after: str | None = None
) -> Callable[..., Awaitable[Any]]:
    async def told(*arguments: Any) -> Any:
        page.passing(before)
        result = await method(*arguments)
        if after is not None:
            page.passing(after)
        return result

    return told
