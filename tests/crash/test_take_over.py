"""Taking a task over can fail as any commit can, and costs time only."""

import asyncio
import fcntl
import logging
from pathlib import Path

import pytest

from mainstem import IntegrationEvent, Service
from mainstem.broker import GroupSpec
from mainstem.broker.sqlite import SqliteBroker, SqliteOptions
from mainstem.broker.sqlite.group import SqliteMembership, SqliteOwnership
from mainstem.errors import MembershipLost
from mainstem.service import running
from tests.crash.logfile import Database
from tests.journeys.conditions import until


class Sent(IntegrationEvent, topic="sent", key="key"):
    key: str


class Flaw:
    """A fault point that raises at the commit of the first take-over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
        self.happened = False
        self._point = point
        self._armed = False
        take_over = SqliteMembership.take_over

        async def flawed(itself: SqliteMembership, task: int) -> SqliteOwnership:
            self._armed = not self.happened
            return await take_over(itself, task)

        monkeypatch.setattr(SqliteMembership, "take_over", flawed)

    def __call__(self, point: str) -> None:
        if point == self._point and self._armed:
            self._armed, self.happened = False, True
            raise RuntimeError


@pytest.mark.parametrize("point", ["begun", "committed"])
async def test_a_take_over_of_unknown_outcome_is_tried_again(
    point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it happened or not, the next one fences it, and the service runs."""
    flaw = Flaw(monkeypatch, point)
    broker = SqliteBroker(tmp_path / "crash.db", options=SqliteOptions(at=flaw))
    handled: list[str] = []
    service = Service("reader", tasks=1, publishes=(Sent,))

    @service.on(Sent)
    async def collect(event: Sent) -> None:
        handled.append(event.key)

    await broker.open()
    try:
        async with running(service, broker=broker, dev=True):
            await service.publish(Sent("a"))
            await until(lambda: handled == ["a"])
    finally:
        await broker.close()
    assert flaw.happened


async def test_a_membership_lost_at_the_take_over_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that is expelled just when it takes a task over joins again, once."""
    take_over = SqliteMembership.take_over
    broker = SqliteBroker(tmp_path / "crash.db")
    expelled: list[str] = []

    async def too_late(itself: SqliteMembership, task: int) -> SqliteOwnership:
        if not expelled:
            expelled.append(itself.member)
            broker.silence(itself.member, dead=True)
            raise MembershipLost("expelled")
        return await take_over(itself, task)

    monkeypatch.setattr(SqliteMembership, "take_over", too_late)
    handled: list[str] = []
    service = Service("reader", tasks=1, publishes=(Sent,))

    @service.on(Sent)
    async def collect(event: Sent) -> None:
        handled.append(event.key)

    await broker.open()
    try:
        async with running(service, broker=broker, dev=True):
            await service.publish(Sent("a"))
            await until(lambda: handled == ["a"])
            assert len((await broker.admin.groups())["reader"].members) <= 2
    finally:
        await broker.close()


async def test_a_drain_takes_nothing_over_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is told to stop while it takes a task over does not begin to run it."""
    take_over = SqliteMembership.take_over
    taking, go_on = asyncio.Event(), asyncio.Event()

    async def slow(itself: SqliteMembership, task: int) -> SqliteOwnership:
        taking.set()
        await go_on.wait()
        return await take_over(itself, task)

    monkeypatch.setattr(SqliteMembership, "take_over", slow)
    handled: list[str] = []
    service = Service("reader", tasks=1, publishes=(Sent,))

    @service.on(Sent)
    async def collect(event: Sent) -> None:
        handled.append(event.key)

    broker = SqliteBroker(tmp_path / "crash.db")
    await broker.open()
    try:
        async with running(service, broker=broker, dev=True):
            await service.publish(Sent("a"))
            await taking.wait()
        go_on.set()
        left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("task ")]
        assert left == []
        assert handled == []
    finally:
        await broker.close()


async def test_a_member_is_expelled_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However long the write lock is held by somebody else, each of the dead is struck out once."""
    caplog.set_level(logging.INFO, "mainstem")
    path = tmp_path / "crash.db"
    spec = GroupSpec("billing", "billing", 1, {}, session_timeout_seconds=0.2)
    broker = SqliteBroker(path)
    await broker.open()
    try:
        await broker.group.join(spec)
        dead = await broker.group.join(spec)
        with path.with_name("crash.db-lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            broker.silence(dead.member, dead=True)
            await until(lambda: "expelling" in caplog.text)
            beats: list[None] = []
            asyncio.get_running_loop().call_later(0.5, beats.append, None)
            await until(lambda: bool(beats))
        await until(lambda: len(members_of(path)) == 1)
    finally:
        await broker.close()
    assert caplog.text.count("expelling") == 1


def members_of(path: Path) -> list[tuple[object, ...]]:
    """The members that the file has."""
    with Database(path) as database:
        return database.rows("select member from member")
