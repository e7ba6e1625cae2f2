"""Events left halfway behind a checkpoint: until the next owner has read them again, timers of their keys wait."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest
from msgspec import Struct

from mainstem.broker import Broker, Reader, TopicPartition
from mainstem.delivery import Context, Processor, Retry, Store
from mainstem.delivery.context import no_effects
from mainstem.delivery.failures import Checkpoints, Halfway
from mainstem.delivery.lanes import Progress, Work
from mainstem.delivery.works import alarm
from mainstem.delivery.works.halfway import Returning
from mainstem.state import TaskState, Timer
from tests.rooms.delivery.stage import Paid, Stage, Told, on, staged, until
from tests.rooms.state.rows import DictRows

SENT = Store("sent", int)
ORDERS = TopicPartition("orders", 0)
HOUR_MS = 3_600_000


class Late:
    """Hands everything on to a real broker, but for what is read: that comes when the test says so."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.comes = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    @property
    def log(self) -> "Late":
        """Itself, as a log."""
        return Late.within(self._broker.log, self.comes)

    @classmethod
    def within(cls, role: Any, comes: asyncio.Event) -> "Late":
        """The same around one role, or a reader."""
        late = cls(role)
        late.comes = comes
        return late

    def reader(self, positions: Mapping[TopicPartition, int]) -> Reader:
        """A real one that is late."""
        return cast("Reader", Late.within(cast("Any", self._broker).reader(positions), self.comes))

    def take(self) -> Any:
        """Nothing, until it comes."""
        return cast("Any", self._broker).take() if self.comes.is_set() else None

    async def wait(self) -> None:
        """Wait for it to come, and then as usual."""
        if self.comes.is_set():
            await cast("Any", self._broker).wait()
        else:
            await self.comes.wait()


@on(timer="ring", name="ring", publishes=(Told,))
async def ring(timer: Timer) -> Told:
    """Tells."""
    return Told(f"{(timer.key or b'').decode()} rings")


def sending(reached: asyncio.Event, opened: asyncio.Event, name: str = "send") -> Processor:
    """The first event of a key sets a timer; the second one makes a checkpoint, and may not come to its end."""

    @on(Paid, publishes=(Told,), name=name, was=() if name == "send" else ("send",))
    async def send(event: Paid, context: Context) -> Told | None:
        if event.n == 0:
            context.wake("ring", after=3_600)
            return None
        if context.get(SENT) is None:
            context.put(SENT, 1)
            await context.checkpoint()
            reached.set()
            await opened.wait()
        return Told(f"{event.order} is sent")

    return send


async def left_halfway(stage: Stage, name: str = "send") -> Processor:
    """An event of key a is halfway, and the timers of keys a and b are due; returns the handler that goes on."""
    reached, opened = asyncio.Event(), asyncio.Event()
    running = stage.start(stage.plan(sending(reached, opened), ring, stores=[SENT]))
    await stage.publish(Paid("a"), Paid("b"), Paid("a", 1))
    await asyncio.wait_for(reached.wait(), 5)
    await until(lambda: len(stage.rows("$due")) == 2)
    await running.crash()
    stage.clock.ahead_ms += HOUR_MS
    opened.set()
    return sending(reached, opened, name)


async def told(stage: Stage, *lines: str) -> bool:
    """Whether this has been told."""
    return set(lines) <= set(await stage.told())


@pytest.mark.parametrize("name", ["send", "renamed"])
async def test_a_timer_waits_until_the_event_has_its_lane_again(name: str) -> None:
    """However late the event is read; timers of other keys do not wait, and nothing is left of it afterwards."""
    async with staged() as stage:
        handler = await left_halfway(stage, name)
        assert len(stage.rows("$halfway")) == 1
        late = Late(stage.broker)
        async with stage.running(handler, ring, stores=[SENT], broker=cast("Broker", late)) as running:
            await until(lambda: told(stage, "b rings"))
            assert await stage.told() == ["b rings"]
            late.comes.set()
            await until(lambda: told(stage, "a rings"))
            await stage.settled(running)
        assert await stage.told() == ["b rings", "a is sent", "a rings"]
        assert stage.rows("$halfway") == stage.rows("$checkpoints") == stage.rows("$due") == []


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """An event that does not come back is not waited for after a while, and that is said."""
    monkeypatch.setattr(alarm, "LONGEST_SECONDS", 0.01)
    async with staged() as stage:
        handler = await left_halfway(stage)
        late = Late(stage.broker)
        async with stage.running(handler, ring, stores=[SENT], broker=cast("Broker", late)):
            await until(lambda: told(stage, "a rings", "b rings"))
        assert "timers go on without 1 events" in caplog.text


async def test_what_is_parked_is_not_awaited() -> None:
    """A handler that fails behind its checkpoint has let go of the lane."""

    @on(Paid, retry=Retry.on(ValueError).later("1h"))
    async def send(event: Paid, context: Context) -> None:
        context.put(SENT, 1)
        await context.checkpoint()
        raise ValueError

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await stage.run(send, stores=[SENT])
        assert (len(stage.rows("$checkpoints")), stage.rows("$halfway")) == (1, [])


class Begun(Struct):
    """A run of a handler."""

    handler: str = "send"
    event_id: str = "1"
    key: bytes = b"a"
    topic: str = "orders"
    partition: int = 0
    offset: int = 5


def test_what_is_given_up_is_not_awaited() -> None:
    """A handler that is retired leaves nothing that anybody would wait for."""
    state = TaskState(DictRows())
    checkpoints, effects = Checkpoints(state), no_effects()
    checkpoints.write(Begun(), 1, effects, ())
    state.apply(effects.writes)
    assert list(checkpoints.halfway()) == [Halfway(b"a", "orders", 0, 5)]
    for step in checkpoints.forget_all("send"):
        state.apply(step.writes)
    assert list(checkpoints.halfway()) == []


class Rung:
    """A work of a key."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    async def run(self) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("event", "awaited"),
    [
        (Halfway(b"a", "orders", 0, 5), True),
        (Halfway(b"a", "orders", 0, 4), False),
        (Halfway(b"a", "orders", 0, 8), False),
        (Halfway(b"a", "orders", 1, 5), False),
        (Halfway(b"a", "gone", 0, 5), False),
    ],
)
def test_only_what_is_still_to_be_read_is_awaited(event: Halfway, *, awaited: bool) -> None:
    """Not what is behind the position, what was completed beyond it, or what nobody reads any more."""
    progress = Progress(5)
    progress.restore([(7, 9)])
    added: list[Work] = []
    returning = Returning(added.extend, [event], {ORDERS: progress})
    returning.add([Rung(b"a"), Rung(b"b")])
    assert (returning.some, [work.key for work in added]) == (awaited, [b"b"] if awaited else [b"a", b"b"])
    returning.give_up()
    assert sorted(work.key or b"" for work in added) == [b"a", b"b"]


def test_an_event_that_is_passed_over_is_not_awaited_any_more() -> None:
    """It was deleted, or nobody wants it any more; works of a key go on when all of its events have been read."""
    added: list[Work] = []
    events = [Halfway(b"a", "orders", 0, 5), Halfway(b"a", "orders", 1, 5)]
    other = TopicPartition("orders", 1)
    returning = Returning(added.extend, events, {ORDERS: Progress(0), other: Progress(0)})
    works = [Rung(b"a"), Rung(b"a")]
    returning.add(works)
    returning.read(ORDERS, 6)
    returning.read(other, 5)
    assert (added, returning.some) == ([], True)
    returning.read(other, 6)
    assert (added, returning.some) == (works, False)
