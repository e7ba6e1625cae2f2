"""A commit that is under way when its task ends is whole, or it is not there."""

import asyncio
import threading
from pathlib import Path

import pytest

from mainstem import Context, IntegrationEvent, Service
from mainstem.broker import Change, GroupSpec, Record, TopicPartition, TopicSpec
from mainstem.broker.sqlite import SqliteBroker, SqliteOptions
from mainstem.database import Step
from mainstem.errors import DatabaseFailed
from mainstem.service import running
from tests.journeys.conditions import until


class Turnstile:
    """A fault point at which the writer waits, once somebody has closed it."""

    def __init__(self, point: str) -> None:
        self._point = point
        self._open = threading.Event()
        self._open.set()
        self.waiting = threading.Event()

    def close(self) -> None:
        """The next transaction waits."""
        self._open.clear()

    def open(self) -> None:
        """It goes on."""
        self._open.set()

    def __call__(self, point: str) -> None:
        if point == self._point and not self._open.is_set():
            self.waiting.set()
            self._open.wait(10)


async def test_a_commit_that_is_given_up_is_whole(tmp_path: Path) -> None:
    """Whoever gives up waiting for a commit that has begun takes neither its facts nor its changes out of it."""
    turnstile = Turnstile("lock-taken")
    broker = SqliteBroker(tmp_path / "crash.db", options=SqliteOptions(at=turnstile))
    await broker.open()
    try:
        await broker.admin.create(TopicSpec("orders", 1))
        membership = await broker.group.join(GroupSpec("billing", "billing", 1, {"orders": 1}))
        transaction = (await membership.take_over(0)).transaction()
        at = TopicPartition("orders", 0)
        transaction.append(at, [Record(b"c", b"a fact", 0)])
        transaction.changes([Change("spent", b"c", b"a change")])
        transaction.positions({at: 0, TopicPartition("billing.inbox", 0): 0})
        turnstile.close()
        committing = asyncio.ensure_future(transaction.commit())
        await asyncio.to_thread(turnstile.waiting.wait, 10)
        committing.cancel()
        await asyncio.wait([committing])
        transaction.abort()
        turnstile.open()
        await until(lambda: broker.rows("billing", 0).get("spent", b"c") == b"a change")
        assert await broker.log.bounds(at) == (0, 1)
    finally:
        turnstile.open()
        await broker.close()


class Done(IntegrationEvent, topic="done", key="key"):
    key: str


async def test_a_process_whose_file_has_failed_waits_for_nobody(tmp_path: Path) -> None:
    """What handlers are still doing cannot be committed any more, so the grace period is not waited for."""
    service = Service("patient", publishes=(Done,), grace="1h")
    begun: set[str] = set()
    go_on, never = asyncio.Event(), asyncio.Event()

    @service.on(Done)
    async def finish(event: Done) -> None:
        begun.add(event.key)
        await (go_on if event.key == "quick" else never).wait()

    broker = SqliteBroker(tmp_path / "crash.db")
    await broker.open()
    try:
        with pytest.raises(DatabaseFailed):  # noqa: PT012 - it comes out of the block
            async with running(service, broker=broker, dev=True):
                await service.publish(Done("slow"), Done("quick"))
                await until(lambda: begun == {"slow", "quick"})
                broker.database.writer.fail(DatabaseFailed("the disk has failed"))
                go_on.set()
                await never.wait()
    finally:
        await broker.close()


async def test_a_drain_that_cannot_commit_says_so(tmp_path: Path) -> None:
    """A process that is told to stop and cannot commit what it did ends with the error, not as if all were well."""
    service = Service("patient", publishes=(Done,))
    begun, go_on = asyncio.Event(), asyncio.Event()

    @service.on(Done)
    async def finish(event: Done) -> None:
        begun.set()
        await go_on.wait()

    broker = SqliteBroker(tmp_path / "crash.db")
    await broker.open()
    try:
        with pytest.raises(DatabaseFailed):  # noqa: PT012 - it comes out of the block
            async with running(service, broker=broker, dev=True):
                await service.publish(Done("slow"))
                await begun.wait()
                broker.database.writer.fail(DatabaseFailed("the disk has failed"))
                asyncio.get_running_loop().call_later(0.1, go_on.set)
    finally:
        await broker.close()


class Ask(IntegrationEvent, topic="asked", key="key"):
    key: str


class Rang(IntegrationEvent, topic="rung", key="key"):
    key: str


async def test_a_drain_waits_for_the_commit_that_is_under_way(tmp_path: Path) -> None:
    """A task that is given back while a timer's effects wait for their commit does not drop them."""
    turnstile = Turnstile("lock-taken")
    rung: list[str] = []
    service = Service("clock", publishes=(Ask,))

    @service.on(Ask)
    async def ask(event: Ask, context: Context) -> None:
        context.wake("ring", after="20ms")

    @service.on_timer("ring")
    async def ring(context: Context) -> Rang:
        turnstile.close()
        # Somebody else writes first, so that the commit of this firing has to queue.
        broker.database.writer.submit(Step(lambda _: None))
        rung.append(str(context.key))
        return Rang("c")

    broker = SqliteBroker(tmp_path / "crash.db", options=SqliteOptions(at=turnstile))
    await broker.open()
    try:
        async with running(service, broker=broker, dev=True):
            await service.publish(Ask("c"))
            await asyncio.to_thread(turnstile.waiting.wait, 10)
            asyncio.get_running_loop().call_later(0.2, turnstile.open)
        topics = await broker.admin.topics(["rung"])
        assert sum(topics["rung"].ends) == 1
        assert len(rung) == 1
    finally:
        turnstile.open()
        await broker.close()
