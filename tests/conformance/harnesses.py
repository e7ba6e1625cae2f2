"""The embedded broker, made ready for the suite: in memory under virtual time, and on disk under real time."""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path

from mainstem.broker import Broker, GroupSpec, Membership, TopicPartition
from mainstem.broker.sqlite import SqliteBroker, SqliteOptions
from mainstem.clock import Clock, ManualClock, SystemClock
from mainstem.testing.conformance.broker import Capabilities
from tests.conformance.virtual import VirtualLoop


class RealTime:
    """What harnesses have in common where time passes by itself, and where no offset is left out on demand."""

    def run(self, main: Coroutine[object, object, None]) -> None:
        asyncio.run(main)

    async def advance(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def make_gap(self, at: TopicPartition) -> None:
        raise AssertionError(f"not claimed, and asked for at {at}")


class SqliteHarness(RealTime):
    """What both have in common. Each rule has a file, or a memory, of its own, so every name is new."""

    def __init__(self, path: Path | None, clock: Clock, options: SqliteOptions, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._path = path
        self._clock = clock
        self._options = options
        self._names = count(1)
        self._brokers: list[SqliteBroker] = []

    def name(self, label: str) -> str:
        return f"{label}-{next(self._names)}"

    def now_ms(self) -> int:
        return self._clock.now_ms()

    async def open(self) -> Broker:
        broker = SqliteBroker(self._path, clock=self._clock, options=self._options)
        await broker.open()
        self._brokers.append(broker)
        return broker

    async def maintained(self) -> None:
        await self._brokers[0].maintain()

    async def silence(self, membership: Membership) -> None:
        for broker in self._brokers:
            with suppress(KeyError):  # a member of another broker
                broker.silence(membership.member)

    async def stored(self, group: GroupSpec, store: str, task: int) -> Mapping[bytes, bytes]:
        return dict(self._brokers[-1].rows(group.name, task).scan(store))


class OnDisk(SqliteHarness):
    """A file that several clients share, each with its threads and its locks, as processes would."""

    def __init__(self, folder: Path) -> None:
        capabilities = Capabilities(
            durable=True,
            several_clients=True,
            virtual_time=False,
            silence=True,
            gaps=False,
            maintenance_on_demand=True,
            retention_waits=True,
            pinning=True,
            declining=True,
            session_timeout_seconds=0.6,
            grace_seconds=0.2,
            wake_seconds=0.15,
            model_examples=15,
        )
        super().__init__(folder / "log.db", SystemClock(), SqliteOptions(), capabilities)


class InMemory(SqliteHarness):
    """One client, its writer on the event loop, and a clock that jumps: the way in which simulations run."""

    def __init__(self) -> None:
        self._manual = ManualClock()
        capabilities = Capabilities(
            durable=False,
            several_clients=False,
            virtual_time=True,
            silence=True,
            gaps=False,
            maintenance_on_demand=True,
            retention_waits=True,
            pinning=True,
            declining=True,
            session_timeout_seconds=2.0,
            model_examples=40,
        )
        super().__init__(None, self._manual, SqliteOptions(latency=lambda: 0.001), capabilities)

    def run(self, main: Coroutine[object, object, None]) -> None:
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(self._manual)) as runner:
            runner.run(main)
