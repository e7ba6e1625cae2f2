"""A plain consumer: the records of topics, shared with the other consumers of its group, one after the other."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Self

from mainstem.broker import Ownership
from mainstem.clock import Clock, SystemClock
from mainstem.delivery import Environment, GroupRunner, Outputs, Plan, Runnable, tasks_for
from mainstem.errors import DefinitionError, MainstemError, UnknownTopic
from mainstem.events import Declarable
from mainstem.identifiers import Identifiers
from mainstem.service.brokers import Backend, connected, named_broker
from mainstem.service.handlers import several
from mainstem.service.plain.feed import Delivery, Feed, Start
from mainstem.service.plain.message import Message
from mainstem.service.plain.readings import Readings, declared
from mainstem.settings import Settings


class Consumer:
    """Reads topics in a group: ``async for message in consumer``, inside ``async with``.

    Each record is done when the next one is asked for, or the block is left without an error; positions are committed
    a moment later, or by :meth:`commit`. After a crash the records that were not committed come again: at least once.
    The partitions are shared between the consumers of a group, in all processes, and move when one comes or goes; a
    partition's records come in order. ``start`` says where a new group begins.

    ``reads`` names the types that :meth:`Message.event` is asked for and whose records name the schema that they were
    written with. A registry is asked for it before the record is given: the one in the settings, or that of the
    broker. While nobody answers, the record's partition waits, and the others go on.
    """

    def __init__(
        self,
        *topics: str,
        group: str,
        broker: str | Backend | None = None,
        start: Start = "earliest",
        reads: tuple[Declarable, ...] = (),
        settings: Settings | None = None,
    ) -> None:
        if not topics:
            raise DefinitionError("a consumer of no topic", remedy="name one: Consumer('orders', group='reports')")
        self._topics = topics
        self._reads = declared(several("reads", reads), topics)
        self._group = group
        self._named = broker
        self._start: Start = start
        self._settings = settings
        self._stack = AsyncExitStack()
        self._deliveries: asyncio.Queue[Delivery] = asyncio.Queue()
        self._delivery: Delivery | None = None
        self._runner: GroupRunner | None = None
        self._running: asyncio.Task[None] | None = None
        self._feeds: list[Feed] = []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        if self._running is None:
            raise _not_open()
        while True:
            self._finish()
            message = None if self._delivery is None else self._delivery.take()
            if message is not None:
                return message
            self._delivery = await self._next(self._running)

    async def commit(self) -> None:
        """Commit everything that was given so far, the last record included. Raises what stands in the way."""
        if self._running is None:
            raise _not_open()
        self._finish()
        for feed in self._feeds:
            if not feed.ended:
                await feed.commit()

    def _finish(self) -> None:
        if self._delivery is not None:
            self._delivery.done()

    async def _next(self, running: "asyncio.Task[None]") -> Delivery:
        # Whoever has much to do must not keep the process from showing that it lives.
        await asyncio.sleep(0)
        if not self._deliveries.empty():
            return self._deliveries.get_nowait()
        waiting = asyncio.create_task(self._deliveries.get())
        try:
            await asyncio.wait([waiting, running], return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                running.result()
                raise StopAsyncIteration
            return waiting.result()
        finally:
            waiting.cancel()

    async def __aenter__(self) -> Self:
        settings = self._settings or Settings.load()
        named = self._named
        if named is None or isinstance(named, str):
            named = named_broker(named, settings, dev=False)
        clock = SystemClock()
        identifiers = Identifiers(clock)
        broker = await self._stack.enter_async_context(connected(named, clock, identifiers))
        try:
            plan = await self._plan(broker)
            chance = random.Random(identifiers.new())  # noqa: S311 - jitter
            environment = Environment(broker, clock, chance, settings, None)
            readings = self._readings(broker, settings, clock) if self._reads else None
            feed = partial(self._feed, plan, environment, readings)
            self._runner = GroupRunner(plan, partial(broker.rows, plan.group), environment, feed)
            self._running = asyncio.create_task(self._runner.run(), name=f"group {self._group}")
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        if kind is None:
            self._finish()
        elif self._delivery is not None:
            self._delivery.let_go()
        running, self._running = self._running, None
        try:
            if running is not None and self._runner is not None:
                self._runner.drain()
                await asyncio.gather(running, return_exceptions=kind is not None)
        finally:
            await self._stack.aclose()

    async def _plan(self, broker: Backend) -> Plan:
        described = await broker.admin.topics(self._topics)
        missing = [name for name in self._topics if name not in described]
        if missing:
            raise UnknownTopic(
                f"{', '.join(map(repr, missing))}: no such topic",
                where=broker.name,
                remedy="create it: mainstem topics apply, or a tool of your broker",
            )
        partitions = {name: described[name].spec.partitions for name in self._topics}
        known = (await broker.admin.groups([self._group])).get(self._group)
        return Plan(
            service=self._group,
            group=self._group,
            processors=(),
            partitions=partitions,
            outputs=Outputs((), partitions, self._group),
            tasks=tasks_for(partitions.values()) if known is None else known.tasks,
            start=self._start,
        )

    def _readings(self, broker: Backend, settings: Settings, clock: Clock) -> Readings:
        # Who names no types need not load what opens registries.
        from mainstem.service.promises import writers_of_read  # noqa: PLC0415

        return Readings(self._reads, writers_of_read(self._reads, broker, settings, clock, self._stack))

    def _feed(
        self,
        plan: Plan,
        environment: Environment,
        readings: Readings | None,
        ownership: Ownership,
        begun: Callable[[], None],
    ) -> Runnable:
        inputs = {at: "earliest" if at.topic == plan.inbox else plan.start for at in plan.inputs_of(ownership.task)}
        feed = Feed(environment, ownership, inputs, self._deliveries.put_nowait, begun, readings)
        self._feeds = [*(each for each in self._feeds if not each.ended), feed]
        return feed


def _not_open() -> MainstemError:
    return DefinitionError("the consumer is not open", remedy="use it inside async with Consumer(...)")
