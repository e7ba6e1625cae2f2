"""The world around simulated services: publish into it, let time pass, and look at what has become of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from random import Random
from typing import NamedTuple, TypeVar, overload

from mainstem.broker import Batch, Record, TopicPartition, inbox_of
from mainstem.broker.sqlite import SqliteBroker
from mainstem.calendar import Duration, seconds
from mainstem.clock import ManualClock
from mainstem.delivery import Action, Command, Entry, Outputs, Plan, Store, decode_entry, encode_command, in_binary_mode
from mainstem.errors import DefinitionError, NotFound
from mainstem.events import CE_ID, CE_TYPE, Attributes, Declaration, declaration_of, identity
from mainstem.identifiers import Identifiers
from mainstem.schemas import codec_for
from mainstem.service import Definition
from mainstem.settings import Settings
from mainstem.testing.published import Fact, Published
from mainstem.testing.simulation import (
    Fault,
    Pause,
    Process,
    Scene,
    Settling,
    SimulationLoop,
    Trace,
    Worker,
)

E = TypeVar("E")
V = TypeVar("V")
D = TypeVar("D")
R = TypeVar("R")


class DeadLetter(NamedTuple):
    """A parked sequence without a next try, as the audit stream of its group tells of it."""

    group: str
    entry: Entry

    @property
    def handler(self) -> str:
        """The handler that has given up."""
        return self.entry.handler

    @property
    def key(self) -> str | None:
        """The key that waits."""
        return self.entry.key

    @property
    def error(self) -> str:
        """What the handler raised last: type and text."""
        return f"{self.entry.failure.error_type}: {self.entry.failure.error}"


class World:
    """Simulated services, and what a test does to them and asks of them. Made by :func:`simulate`."""

    def __init__(self, scene: Scene, broker: SqliteBroker) -> None:
        """``broker`` belongs to the test, and never to a worker."""
        self.clock: ManualClock = scene.loop.clock
        self.random: Random = scene.random
        self.trace: Trace = scene.trace
        self._scene = scene
        self._broker = broker
        self._settling = Settling(scene, broker)
        self._identifiers = Identifiers(self.clock, Random(scene.random.getrandbits(64)))  # noqa: S311 - seeded
        self._outputs: dict[type, Outputs] = {}
        self._decoders: dict[type, Callable[[bytes], object]] = {}

    # -- doing

    async def publish(
        self,
        *events: object,
        subject: str | None = None,
        time: datetime | None = None,
        extensions: Mapping[str, str] | None = None,
        correlation_id: str | None = None,
    ) -> None:
        """Publish events as somebody outside would, in this order; each is durable before the next one is sent.

        What is stated counts for each of them, as in :meth:`~mainstem.Service.publish`.
        """
        attributes = Attributes(subject, time, extensions, correlation_id)
        for event in events:
            outputs = self._outputs_for(type(event))
            now = self.clock.now_ms()
            if stated := attributes.headers(now):
                outputs.check_attributes((event,))
            at, record = outputs.fact(event, self._identifiers.new(), stated, now)
            for _ in range(2 if self._scene.havoc.duplicates() else 1):
                offset = await self._broker.log.append(at, [record])
                self.trace.note("published", f"{type(event).__name__} at {at.topic}[{at.partition}] offset {offset}")

    async def settle(self, horizon: Duration = "366d") -> None:
        """Let time pass until nothing is left to do: no lag, nothing in flight, no retry and no timer.

        Dead letters are not waited for. Raises :class:`SimulationStuck` when something is left after ``horizon``,
        when a handler waits for what never comes, or when it has reached out of the simulation; and what has made a
        worker fail.
        """
        await self._settling.settle(seconds(horizon))
        self.complain()

    async def advance(self, duration: Duration) -> None:
        """Let so much time pass, whatever happens in it."""
        await self._settling.advance(seconds(duration))
        self.complain()

    def crash(self, worker: int = 0, *, restart_after: Duration | None = "1s") -> None:
        """Let a worker end now, as ``kill -9`` would."""
        self._scene.workers[worker].crash(None if restart_after is None else seconds(restart_after), "the test")

    def lose_ownership(self, worker: int = 0, *, stand_still: bool = False) -> None:
        """Let others take a worker's tasks over, while it does not know; see :func:`lose_ownership`."""
        self._scene.workers[worker].pause(Pause(None, running=not stand_still), "the test")

    async def restart(self, worker: int = 0) -> None:
        """Stop a worker as SIGTERM does, and start it again: a step of a rolling deployment."""
        await self._scene.workers[worker].restart()

    async def redrive(self, letter: DeadLetter, reason: str = "") -> None:
        """Let a dead letter be tried again, and what waits behind it."""
        await self._command("redrive", letter, reason)

    async def discard(self, letter: DeadLetter, reason: str = "") -> None:
        """Drop a dead letter, and what waits behind it."""
        await self._command("discard", letter, reason)

    async def _command(self, action: Action, letter: DeadLetter, reason: str) -> None:
        entry = letter.entry
        command = Command(self._identifiers.new(), action, entry.handler, entry.place, reason)
        record = Record(None, encode_command(command), self.clock.now_ms())
        await self._broker.log.append(TopicPartition(inbox_of(letter.group), entry.task), [record])

    def _outputs_for(self, kind: type) -> Outputs:
        found = self._outputs.get(kind)
        if found is None:
            declaration = self._declaration(kind)
            described = _at_once(self._broker.admin.topics([declaration.topic]))
            if declaration.topic not in described:
                raise NotFound(
                    f"there is no topic {declaration.topic!r}",
                    why=f"none of the simulated services reads or publishes {kind.__name__}",
                    remedy="simulate a service that does",
                )
            counts = {declaration.topic: described[declaration.topic].spec.partitions}
            found = self._outputs[kind] = Outputs([declaration], counts, "/simulation", read_back=True)
        return found

    # -- looking

    def published(self, kind: type[E]) -> Published[E]:
        """The events of a type that are in the log now, whoever published them."""
        declaration = self._declaration(kind)
        decode = self._decoders.get(kind)
        if decode is None:
            decode = self._decoders[kind] = codec_for(declaration).decode
        names = {name.encode() for name in declaration.names}
        facts: list[Fact[E]] = []
        for batch in map(in_binary_mode, self._read(declaration.topic)):
            types = batch.column(CE_TYPE) if declaration.envelope else [declaration.wire_name.encode()] * len(batch)
            for index, name in enumerate(types):
                value = batch.values[index]
                if name not in names or value is None:
                    continue
                event: E = decode(value)  # type: ignore[assignment]  # it is decoded as this very type
                facts.append(_fact(event, batch, index))
        facts.sort(key=lambda fact: (fact.partition, fact.offset))
        return Published(kind.__name__, facts)

    def values(self, store: Store[V], *, task: int | None = None) -> dict[bytes, V]:
        """The committed values of a store by key bytes; of one task, or of all.

        With ``scope="partition"`` several tasks may keep a value of their own for a key; then name the task.
        """
        plan = self._plan_of(store)
        found: dict[bytes, V] = {}
        for number in range(plan.tasks) if task is None else (task,):
            values = dict(store.values(self._broker.rows(plan.group, number), self.clock.now_ms()))
            if twice := found.keys() & values.keys():
                raise DefinitionError(
                    f"several tasks keep a value for {min(twice)!r} in the store {store.name!r}",
                    why='a store with scope="partition" keeps one per task',
                    remedy="ask for one task: world.values(store, task=0)",
                )
            found.update(values)
        return found

    @overload
    def value(self, store: Store[V], key: str | int | bytes) -> V | None: ...
    @overload
    def value(self, store: Store[V], key: str | int | bytes, default: D) -> V | D: ...
    def value(self, store: Store[V], key: str | int | bytes, default: D | None = None) -> V | D | None:
        """The committed value of a store for a key."""
        encoded = key if isinstance(key, bytes) else str(key).encode()
        return self.values(store).get(encoded, default)

    def dead_letters(self) -> list[DeadLetter]:
        """What is parked without a next try, in every group."""
        found: list[DeadLetter] = []
        for plan in self._plans:
            last: dict[bytes | None, bytes | None] = {}
            for batch in self._read(plan.audit):
                last.update(zip(batch.keys, batch.values, strict=True))
            entries = [decode_entry(value) for value in last.values() if value is not None]
            found += [DeadLetter(plan.group, entry) for entry in entries if entry.status == "dead-lettered"]
        return found

    def complain(self) -> None:
        """Raise what has made a worker fail, and what somebody was refused who reached out of the simulation."""
        for error in (*self._scene.failures, *self._scene.loop.refused):
            raise error

    @property
    def _plans(self) -> list[Plan]:
        plans = next((worker.plans for worker in self._scene.workers if worker.plans), [])
        return [plan for plan in plans if plan.processors]

    def _plan_of(self, store: Store[V]) -> Plan:
        plans = [plan for plan in self._plans if plan.stores.get(store.name) is store]
        if len(plans) != 1:
            raise NotFound(
                f"{len(plans)} of the simulated groups keep the store {store.name!r}",
                remedy="name the store that service.store(...) has returned",
            )
        return plans[0]

    def _declaration(self, kind: type) -> Declaration:
        for plan in self._plans:
            for processor in plan.processors:
                for declaration in (*processor.inputs, *processor.outputs):
                    if declaration.type is kind:
                        return declaration
        return declaration_of(kind)

    def _read(self, topic: str) -> Iterator[Batch]:
        described = _at_once(self._broker.admin.topics([topic])).get(topic)
        starts = () if described is None else described.starts
        reader = self._broker.log.reader({TopicPartition(topic, number): start for number, start in enumerate(starts)})
        try:
            while (batch := reader.take()) is not None:
                yield batch
        finally:
            reader.close()


def _at_once(coroutine: Coroutine[object, None, R]) -> R:
    """The result of a coroutine that does not wait; the embedded broker describes itself without waiting."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: R = stop.value
        return result
    coroutine.close()
    raise RuntimeError("the broker has waited")


def _fact(event: E, batch: Batch, index: int) -> Fact[E]:
    headers = batch.headers(index)
    offset = batch.offsets[index]
    event_id = identity(headers.get(CE_ID), batch.topic, batch.partition, offset)
    return Fact(
        event, event_id, batch.keys[index], batch.topic, batch.partition, offset, batch.timestamps[index], headers
    )


@asynccontextmanager
async def simulate(
    *services: Definition,
    replace: Mapping[type, object] | None = None,
    faults: Iterable[Fault] = (),
    workers: int = 1,
    settings: Settings | None = None,
    seed: int | None = None,
) -> AsyncIterator[World]:
    """Run services in virtual time, on an embedded broker in memory, until the block ends.

    ``workers`` processes run all of them, as ``mainstem run --workers`` does. ``replace`` gives handlers something else
    in the place of what the services provide. ``faults`` go wrong where they say. The same ``seed`` (that of the loop,
    unless given) gives the same run. It needs a :class:`SimulationLoop`: see :func:`simulated`.
    """
    loop = _loop()
    random = Random(loop.seed if seed is None else seed)  # noqa: S311 - chance that can be repeated is the point
    replaced = dict(replace or {})
    _check_replaced(services, replaced)
    scene = Scene(services, faults, replaced, settings or Settings(), loop, random)
    loop.traces.append(scene.trace)
    scene.workers += [Worker(number, scene) for number in range(workers)]
    broker = scene.broker(Process("test"), "test")
    with scene.havoc.in_place(services, replaced):
        try:
            await broker.open()
            world = World(scene, broker)
            for worker in scene.workers:
                worker.start()
            await asyncio.gather(*(worker.started for worker in scene.workers))
            yield world
            world.complain()
            scene.over = True
            await asyncio.gather(*(worker.stop() for worker in scene.workers))
        finally:
            loop.at_rest, loop.waiting = None, loop.tasks_waiting
            scene.over = scene.trace.closed = True
            for worker in scene.workers:
                await worker.sweep()
            await broker.close()
            scene.machine.close()


def _loop() -> SimulationLoop:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SimulationLoop):
        raise DefinitionError(
            f"a simulation needs an event loop in virtual time, and this is a {type(loop).__name__}",
            why="a real loop waits in real time",
            remedy="put @simulated above the test, or call run_simulation(scenario)",
        )
    return loop


def _check_replaced(services: Iterable[Definition], replaced: Mapping[type, object]) -> None:
    provided = {kind for service in services for kind in service.provided}
    for kind in replaced.keys() - provided:
        raise DefinitionError(
            f"a {kind.__name__} is to be replaced, and none of the services provides one",
            why=f"they provide {', '.join(sorted(each.__name__ for each in provided)) or 'nothing'}",
            remedy="replace={...} is by the type that service.provide() names",
        )
