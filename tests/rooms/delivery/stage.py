"""A group on the embedded broker in memory: handlers in, what they did out."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from mainstem.broker import Broker, Record, TopicPartition, TopicSpec
from mainstem.broker.sqlite.broker import SqliteBroker
from mainstem.clock import SystemClock
from mainstem.delivery import (
    Answer,
    Command,
    Counters,
    Entry,
    Environment,
    GroupRunner,
    Outputs,
    Plan,
    Processor,
    Registration,
    Store,
    answers_topic,
    compile_handler,
    decode_answer,
    decode_entry,
    decode_notice,
    encode_command,
    is_notice,
)
from mainstem.events import IntegrationEvent, Topic, declaration_of
from mainstem.identifiers import Identifiers
from mainstem.schemas.writers import Writers
from mainstem.settings import Settings

V = TypeVar("V")
GROUP = "shop"
QUICK = Settings(commit_interval_ms=1, session_timeout_seconds=5.0, grace_seconds=1.0)


class Paid(IntegrationEvent, topic="orders", key="order"):
    """What is handled in most tests."""

    order: str
    n: int = 0


class Shipped(IntegrationEvent, topic="orders", key="order"):
    """Another type on the same topic."""

    order: str
    n: int = 0


class Told(IntegrationEvent, topic="told", key="what"):
    """What handlers publish."""

    what: str


class Keyless(IntegrationEvent, topic="talk"):
    """Without a key."""

    n: int = 0


EVENTS: tuple[type[IntegrationEvent], ...] = (Paid, Shipped, Told, Keyless)


def on(*types: type[object] | Topic[Any], **options: Any) -> Callable[[Callable[..., object]], Processor]:
    """Compile a function into a processor; with ``provided`` beside the options of a registration."""
    provided = options.pop("provided", {})

    def register(function: Callable[..., object]) -> Processor:
        name = options.pop("name", function.__name__)
        return compile_handler(Registration(function=function, name=name, types=types, **options), provided)

    return register


async def until(condition: Callable[[], bool] | Callable[[], Awaitable[bool]], within_seconds: float = 8) -> None:
    """Return once the condition holds."""
    async with asyncio.timeout(within_seconds):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.001)


@dataclass
class Running:
    """A runner and the task it runs in."""

    runner: GroupRunner
    task: "asyncio.Task[None]"
    done: list[Counters] = field(default_factory=list)

    @property
    def in_flight(self) -> int:
        """Events read and not finished."""
        return sum(each.in_flight for each in self.runner.tasks.values())

    @property
    def counters(self) -> Counters:
        """Those of the first task."""
        ledger = next(iter(self.runner.tasks.values())).ledger
        assert ledger is not None
        return ledger.counters

    async def stop(self) -> None:
        """Drain, and wait for the end."""
        self.runner.drain()
        await self.task

    async def crash(self) -> None:
        """End without another commit."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class Shifted(SystemClock):
    """The system's clock, which a test may set forward."""

    ahead_ms = 0

    def now_ms(self) -> int:
        """The time that the test wants it to be."""
        return super().now_ms() + self.ahead_ms


class Stage:
    """One broker, and the means to run a group on it as often as the test likes."""

    def __init__(self, broker: SqliteBroker, clock: Shifted, topics: Mapping[str, int]) -> None:
        """An open broker with these topics, by partitions."""
        self.broker = broker
        self.clock = clock
        self.topics = topics
        self.identifiers = Identifiers(clock, random.Random(5))
        known = [each for each in EVENTS if declaration_of(each).topic in topics]
        self.outputs = Outputs(
            [declaration_of(each) for each in known], topics, f"/{GROUP}", dict.fromkeys(topics, 10**6)
        )
        self.records = 0

    # -- before

    def plan(self, *processors: Processor, inputs: Sequence[str] = (), **options: Any) -> Plan:
        """A group of these processors; it reads what they take."""
        topics = {each.topic for processor in processors for each in processor.inputs} | set(inputs)
        stores: Sequence[Store[Any]] = options.pop("stores", ())
        counts = {topic: self.topics[topic] for topic in topics}
        given = {"service": GROUP, "group": GROUP, "tasks": 1, "outputs": self.outputs, **options}
        return Plan(processors=processors, partitions=counts, stores={each.name: each for each in stores}, **given)

    async def publish(self, *events: object, timestamp_ms: int | None = None) -> None:
        """Append events as a service would from outside."""
        for event in events:
            self.records += 1
            now = self.clock.now_ms() if timestamp_ms is None else timestamp_ms
            at, record = self.outputs.fact(event, self.identifiers.new(), {}, now)
            await self.broker.log.append(at, [record])

    async def publish_at_once(self, *events: object) -> None:
        """Append events of one topic and partition as one batch."""
        facts = [self.outputs.fact(event, self.identifiers.new(), {}, self.clock.now_ms()) for event in events]
        await self.broker.log.append(facts[0][0], [record for _, record in facts])

    async def append(self, topic: str, key: bytes | None, value: bytes | None, **headers: bytes) -> None:
        """Append any bytes to the first partition."""
        await self.broker.log.append(TopicPartition(topic, 0), [Record(key, value, self.clock.now_ms(), headers)])

    async def command(self, command: Command, task: int = 0) -> None:
        """Send a command to a task."""
        at = TopicPartition(f"{GROUP}.inbox", task)
        await self.broker.log.append(at, [Record(command.place, encode_command(command), self.clock.now_ms())])

    # -- running

    def start(
        self,
        plan: Plan,
        *,
        settings: Settings = QUICK,
        executor: Executor | None = None,
        broker: Broker | None = None,
        point: Callable[[str], None] = lambda _: None,
        writers: Writers | None = None,
    ) -> Running:
        """Run the group in this event loop."""
        environment = Environment(
            broker or self.broker, self.clock, random.Random(3), settings, executor, point, writers=writers
        )
        runner = GroupRunner(plan, lambda task: self.broker.rows(GROUP, task), environment)
        return Running(runner, asyncio.create_task(runner.run()))

    @asynccontextmanager
    async def running(self, *processors: Processor, **options: Any) -> AsyncIterator[Running]:
        """Run handlers until the block ends, then drain. Options of :meth:`start` and of :meth:`plan`."""
        names = ("settings", "executor", "broker", "point", "writers")
        mine = {name: options.pop(name) for name in names if name in options}
        running = self.start(self.plan(*processors, **options), **mine)
        try:
            yield running
        except BaseException:
            await running.crash()
            raise
        await running.stop()

    async def settled(self, running: Running) -> None:
        """Return when everything in the inputs is handled and committed. Raises what has ended the runner."""

        async def done() -> bool:
            if running.task.done():
                running.task.result()
                return True
            tasks = running.runner.tasks.values()
            if not tasks or any(each.in_flight or not each.positions for each in tasks):
                return False
            for task in tasks:
                assert task.ledger is not None
                if task.ledger.moved(task.positions):
                    return False
                for at, position in task.positions.items():
                    if (await self.broker.log.bounds(at))[1] != position:
                        return False
            return True

        await until(done)

    async def run(self, *processors: Processor, **options: Any) -> Counters:
        """Run handlers until all is handled, then drain; what was counted."""
        async with self.running(*processors, **options) as running:
            await self.settled(running)
            return running.counters

    # -- after

    async def read(self, topic: str) -> list[tuple[bytes | None, bytes | None, dict[str, bytes]]]:
        """Every record of a topic, partition by partition: key, value and headers."""
        found = []
        for partition in range(self.topics.get(topic, 1)):
            at = TopicPartition(topic, partition)
            start, end = await self.broker.log.bounds(at)
            reader = self.broker.log.reader({at: start})
            while start < end and (batch := reader.take()) is not None:
                found += [(batch.keys[i], batch.values[i], batch.headers(i)) for i in range(len(batch))]
                start = batch.next_offset
            reader.close()
        return found

    async def told(self) -> list[str]:
        """What handlers have published, in order."""
        return [msgspec.json.decode(value, type=Told).what for _, value, _ in await self.read("told") if value]

    async def told_ids(self) -> list[bytes]:
        """The ids of what they have published."""
        return [headers["ce_id"] for _, _, headers in await self.read("told")]

    async def entries(self) -> list[Entry | None]:
        """The audit stream; None for a tombstone."""
        return [
            None if value is None else decode_entry(value)
            for key, value, _ in await self.read(f"{GROUP}.dead-letters")
            if not is_notice(key)
        ]

    async def notices(self) -> list[str]:
        """What has held up the group, in short."""
        found = [
            decode_notice(value or b"") for key, value, _ in await self.read(f"{GROUP}.dead-letters") if is_notice(key)
        ]
        return [f"{'not ' if each.over else ''}{each.held}: {each.subject}" for each in found]

    async def history(self) -> list[str]:
        """The audit stream in short."""
        return ["over" if each is None else each.status for each in await self.entries()]

    async def answers(self) -> list[Answer]:
        """What commands were answered."""
        return [decode_answer(value) for _, value, _ in await self.read(answers_topic(GROUP)) if value is not None]

    async def said(self, running: "Running", command: Command) -> str:
        """What a command is answered."""
        before = len(await self.answers())
        await self.command(command)

        async def answered() -> bool:
            return len(await self.answers()) > before

        await until(answered)
        await self.settled(running)
        return (await self.answers())[before].text

    def stored(self, store: Store[V], key: str, task: int = 0) -> V | None:
        """The committed value of a key."""
        row = self.broker.rows(GROUP, task).get_many(store.name, [key.encode()]).get(key.encode())
        return None if row is None else store.unpack(row, self.clock.now_ms())

    def rows(self, store: str, task: int = 0) -> list[tuple[bytes, bytes]]:
        """The committed rows of a store, also of the runtime's own."""
        return list(self.broker.rows(GROUP, task).scan(store, b"", None, limit=10_000))


@asynccontextmanager
async def staged(**partitions: int) -> AsyncIterator[Stage]:
    """A stage with the usual topics, of one partition unless stated otherwise."""
    clock = Shifted()
    broker = SqliteBroker(None, clock=clock, identifiers=Identifiers(clock, random.Random(1)))
    await broker.open()
    try:
        topics = {"orders": 1, "told": 1, "talk": 1} | partitions
        topics |= {f"{GROUP}.dead-letters": 4, answers_topic(GROUP): 1}
        for name, count in topics.items():
            await broker.admin.create(TopicSpec(name, count))
        yield Stage(broker, clock, topics)
    finally:
        await broker.close()
