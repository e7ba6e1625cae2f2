"""The world around simulated services: publish into it, let time pass, and look at what has become of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from random import Random
from typing import NamedTuple, TypeVar, overload

from mainstem.broker import Record, TopicPartition, inbox_of
from mainstem.broker.sqlite import SqliteBroker
from mainstem.calendar import Duration, seconds
from mainstem.clock import ManualClock
from mainstem.delivery import Action, Command, Entry, Outputs, Plan, Store, decode_entry, encode_command, is_notice
from mainstem.errors import DefinitionError, NotFound
from mainstem.events import Attributes, Declaration, declaration_of
from mainstem.identifiers import Identifiers
from mainstem.testing.faults import Pause
from mainstem.testing.published import Published
from mainstem.testing.records import Records
from mainstem.testing.simulation import AUDIT, Audited, Scene, Settling, Trace, audit_of

E = TypeVar("E")
T = TypeVar("T")
V = TypeVar("V")
D = TypeVar("D")


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

    def __init__(self, scene: Scene, broker: SqliteBroker, random: Random, left_out: frozenset[int]) -> None:
        """``broker`` belongs to the test, and never to a worker. Of what the test does, ``left_out`` is not done."""
        self.clock: ManualClock = scene.loop.clock
        self.random = random
        self.trace: Trace = scene.trace
        self.records = Records(broker)
        """The log, read back record by record."""
        self.deeds = 0
        """What the test has done so far: events published, workers killed, cut off or restarted."""
        self._scene = scene
        self._broker = broker
        self._left_out = left_out
        self._settling = Settling(scene, broker)
        self._identifiers = Identifiers(self.clock, Random(scene.random.getrandbits(64)))  # noqa: S311 - seeded
        self._outputs: dict[type, Outputs] = {}

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
            if not self._is_done():
                continue
            await self._scene.machine.broker_back()
            outputs = self._outputs_for(type(event))
            now = self.clock.now_ms()
            if stated := attributes.headers(now):
                outputs.check_attributes((event,))
            at, record = outputs.fact(event, self._identifiers.new(), stated, now)
            for what in ("published", "published again")[: 2 if self._scene.havoc.duplicates() else 1]:
                offset = await self._broker.log.append(at, [record])
                place = f"{at.topic}[{at.partition}] offset {offset}"
                self.trace.note(what, f"{type(event).__name__} at {place}", (at.topic, at.partition, offset))

    async def settle(self, horizon: Duration = "366d") -> None:
        """Let time pass until nothing is left to do: no lag, nothing in flight, no retry and no timer.

        Dead letters are not waited for, nor is the next run of a schedule. Raises :class:`SimulationStuck` when
        something is left after ``horizon``, when a handler waits for what never comes, or when it has reached out of
        the simulation; and what has made a worker fail.
        """
        await self._settling.settle(seconds(horizon))
        self.complain()

    async def quiet(self) -> None:
        """Let time pass until all there is has been handled. What waits for its time, such as a timer, still does."""
        await self._settling.quiet()
        self.complain()

    async def advance(self, duration: Duration) -> None:
        """Let so much time pass, whatever happens in it."""
        await self._settling.advance(seconds(duration))
        self.complain()

    def crash(self, worker: int = 0, *, restart_after: Duration | None = "1s") -> None:
        """Let a worker end now, as ``kill -9`` would."""
        if self._is_done():
            self._scene.workers[worker].crash(None if restart_after is None else seconds(restart_after), "the test")

    def lose_ownership(self, worker: int = 0, *, stand_still: bool = False) -> None:
        """Let others take a worker's tasks over, while it does not know; see :func:`lose_ownership`."""
        if self._is_done():
            self._scene.workers[worker].pause(Pause(None, running=not stand_still), "the test")

    async def restart(self, worker: int = 0) -> None:
        """Stop a worker as SIGTERM does, and start it again: a step of a rolling deployment."""
        if self._is_done():
            await self._scene.workers[worker].restart()

    async def redrive(self, letter: DeadLetter, reason: str = "") -> None:
        """Let a dead letter be tried again, and what waits behind it."""
        await self._command("redrive", letter, reason)

    async def discard(self, letter: DeadLetter, reason: str = "") -> None:
        """Drop a dead letter, and what waits behind it."""
        await self._command("discard", letter, reason)

    def _is_done(self) -> bool:
        """Whether the next thing that the test does is done."""
        self.deeds += 1
        return self.deeds - 1 not in self._left_out

    async def _command(self, action: Action, letter: DeadLetter, reason: str) -> None:
        entry = letter.entry
        command = Command(self._identifiers.new(), action, entry.handler, entry.place, reason)
        record = Record(None, encode_command(command), self.clock.now_ms())
        await self._broker.log.append(TopicPartition(inbox_of(letter.group), entry.task), [record])

    def _outputs_for(self, kind: type) -> Outputs:
        found = self._outputs.get(kind)
        if found is None:
            declaration = self._declaration(kind)
            partitions = self.records.partitions(declaration.topic)
            if partitions is None:
                raise NotFound(
                    f"there is no topic {declaration.topic!r}",
                    why=f"none of the simulated services reads or publishes {kind.__name__}",
                    remedy="simulate a service that does",
                )
            counts = {declaration.topic: partitions}
            found = self._outputs[kind] = Outputs([declaration], counts, "/simulation", read_back=True)
        return found

    # -- looking

    def published(self, kind: type[E]) -> Published[E]:
        """The events of a type that are in the log now, whoever published them."""
        outputs = [each for plan in self.plans for each in plan.outputs.declarations]
        return Published(kind.__name__, self.records.facts(kind, self._declaration(kind), outputs))

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
        for plan in self.plans:
            last: dict[bytes | None, bytes | None] = {}
            for row in self.records.rows(plan.audit):
                last[row.key] = row.value
            entries = [decode_entry(value) for key, value in last.items() if value is not None and not is_notice(key)]
            found += [DeadLetter(plan.group, entry) for entry in entries if entry.status == "dead-lettered"]
        return found

    def stand_in(self, kind: type[T]) -> T:
        """What stands in for something that a service provides, by its own type or by the type it stands in for."""
        replaced = self._scene.cast.replaced
        found = [each for key, each in replaced.items() if key is kind or isinstance(each, kind)]
        if len(found) != 1 or not isinstance(found[0], kind):
            raise NotFound(
                f"{len(found)} things stand in for a {kind.__name__} in this simulation",
                why=f"replaced are {', '.join(sorted(each.__name__ for each in replaced)) or 'none'}",
                remedy="name the class of what stands in: world.stand_in(PlayedBank)",
            )
        return found[0]

    @property
    def stand_ins(self) -> Sequence[object]:
        """Everything that stands in for what the services provide."""
        return list(self._scene.cast.replaced.values())

    @property
    def handled(self) -> Sequence[Audited]:
        """What has taken effect, in the order of the commits, where that is audited: in a search."""
        return [audit_of(row.value) for row in self.records.rows(AUDIT.topic)]

    @property
    def plans(self) -> Sequence[Plan]:
        """The groups that are simulated, as their services declare them."""
        plans = next((worker.plans for worker in self._scene.workers if worker.plans), [])
        return [plan for plan in plans if plan.processors]

    def complain(self) -> None:
        """Raise what has made a worker fail, and what somebody was refused who reached out of the simulation."""
        for error in (*self._scene.failures, *self._scene.loop.refused):
            raise error

    def _plan_of(self, store: Store[V]) -> Plan:
        plans = [plan for plan in self.plans if plan.stores.get(store.name) is store]
        if len(plans) != 1:
            raise NotFound(
                f"{len(plans)} of the simulated groups keep the store {store.name!r}",
                remedy="name the store that service.store(...) has returned",
            )
        return plans[0]

    def _declaration(self, kind: type) -> Declaration:
        for plan in self.plans:
            for processor in plan.processors:
                for declaration in (*processor.inputs, *processor.outputs):
                    if declaration.type is kind:
                        return declaration
        return declaration_of(kind)
