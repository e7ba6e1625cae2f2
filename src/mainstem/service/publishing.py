"""Publishing from outside a handler: durable when the answer is there, encoded where it is called."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from mainstem.broker import Log, Record, TopicPartition
from mainstem.clock import Clock
from mainstem.delivery import Fact, Outputs, inside_handler
from mainstem.errors import DefinitionError, EventRefused
from mainstem.events import Attributes, lineage
from mainstem.identifiers import Identifiers
from mainstem.telemetry import Trace, current_trace, event_spans

NO_ATTRIBUTES: Final = Attributes()


class Outgoing:
    """Events to be published together: their records by partition, and the span of it, where somebody makes spans."""

    __slots__ = ("_sending", "records")

    def __init__(self) -> None:
        self.records: dict[TopicPartition, list[Record]] = {}
        spans = event_spans()
        self._sending = None if spans is None else spans.sending()

    @property
    def trace(self) -> Trace | None:
        """The trace context that the events carry."""
        return current_trace() if self._sending is None else self._sending.trace

    def over(self, error: BaseException | None = None) -> None:
        """They are durable; or it has failed, and they are not, or nobody knows."""
        counts: dict[str, int] = {}
        for at, records in self.records.items():
            counts[at.topic] = counts.get(at.topic, 0) + len(records)
        if error is None:
            # Who declares a service, and publishes nothing, should not have to load what tasks tell.
            from mainstem.delivery import count_sent  # noqa: PLC0415

            count_sent(counts)
        if self._sending is not None:
            self._sending.over(counts, error)


class Acknowledgement:
    """The answer that events are durable. Await it, or in a thread call :meth:`result`.

    The events are on their way already; whoever gives up waiting does not take them back.
    """

    __slots__ = ("_bridge", "_waiting")

    def __init__(self, waiting: "asyncio.Task[None] | concurrent.futures.Future[None]", bridge: "Bridge") -> None:
        self._waiting = waiting
        self._bridge = bridge

    def __await__(self) -> Generator[object, None, None]:
        waiting = self._waiting
        future = waiting if isinstance(waiting, asyncio.Task) else asyncio.wrap_future(waiting)
        return asyncio.shield(future).__await__()

    def result(self, timeout_seconds: float | None = None) -> None:
        """Wait in a thread that runs no event loop. Raises what publishing has raised, and ``TimeoutError``."""
        if self._bridge.is_here:
            raise DefinitionError(
                "result() would stop the event loop that it waits for",
                why="it was called on the loop that runs the service",
                remedy="await it: await service.publish(event)",
            )
        waiting = self._waiting
        if isinstance(waiting, asyncio.Task):
            waiting = self._bridge.wait_for(waiting)
        waiting.result(timeout_seconds)


class Bridge:
    """Lets threads wait for what the event loop does. Whatever was let across ends, also when the loop does."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: set[concurrent.futures.Future[None]] = set()
        self._over = False
        self.closed = False
        """Nothing new is let across; what is under way may still be waited for."""

    @property
    def is_here(self) -> bool:
        """Whether this is the event loop itself."""
        return _running_loop() is self._loop

    def begin(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """Do something, on the loop."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def send(self, work: Callable[[], Coroutine[None, None, None]]) -> "concurrent.futures.Future[None] | None":
        """Do something on the loop, from a thread; None when that is too late."""
        with self._lock:
            return None if self.closed else self._cross(lambda: self.begin(work()))

    def wait_for(self, task: "asyncio.Task[None]") -> "concurrent.futures.Future[None]":
        """What a thread may wait for in the place of a task."""
        with self._lock:
            if not self._over:
                return self._cross(lambda: task)
        waiting: concurrent.futures.Future[None] = concurrent.futures.Future()
        _hand_over(task, waiting)
        return waiting

    def _cross(self, begin: "Callable[[], asyncio.Task[None]]") -> "concurrent.futures.Future[None]":
        waiting: concurrent.futures.Future[None] = concurrent.futures.Future()
        # Under the lock, so that whoever closes the bridge knows of it and the loop is there to do it.
        self._loop.call_soon_threadsafe(lambda: begin().add_done_callback(lambda done: _hand_over(done, waiting)))
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)
        return waiting

    async def close(self) -> None:
        """Let nothing new across, and wait for what is; when this is cancelled, nobody waits any more."""
        with self._lock:
            self.closed = True
        try:
            while not self._is_empty():
                crossing = [asyncio.wrap_future(each) for each in self._waiting.copy()]
                for each in crossing:
                    each.add_done_callback(_looked_at)
                await asyncio.wait([*self._tasks, *crossing])
        finally:
            with self._lock:
                self._over = True
                left = self._waiting.copy()
            for unanswered in left:
                unanswered.cancel()

    def _is_empty(self) -> bool:
        with self._lock:
            self._over = not (self._tasks or self._waiting)
            return self._over


class Publisher:
    """Publishes the events of one service in one process, for any thread."""

    def __init__(self, service: str, outputs: Outputs, log: Log, clock: Clock, identifiers: Identifiers) -> None:
        self.service = service
        self._outputs = outputs
        self._log = log
        self.clock = clock
        self.identifiers = identifiers
        self._bridge = Bridge()

    def encode(self, events: Sequence[object], outgoing: Outgoing, attributes: Attributes = NO_ATTRIBUTES) -> None:
        """Add these events. Raises :class:`~mainstem.errors.EventRefused`."""
        self.check_usable(events, "service.publish", "return the event, or call context.publish(event)")
        trace = outgoing.trace
        inherited = {} if trace is None else lineage(None, None, *trace)
        now = self.clock.now_ms()
        if attributes != NO_ATTRIBUTES:
            self._outputs.check_attributes(events)
            inherited.update(attributes.headers(now))
        ids = self.identifiers.many(len(events))
        self._outputs.gather(zip(events, ids, strict=True), inherited, now, outgoing.records)

    def fact(self, event: object, event_id: str, timestamp_ms: int) -> Fact:
        """The record of one event that comes from nowhere. Raises :class:`~mainstem.errors.EventRefused`."""
        return self._outputs.fact(event, event_id, {}, timestamp_ms)

    def send(self, outgoing: Outgoing) -> Acknowledgement:
        """Put events on their way; all of them become durable, or none."""
        return self.begin(lambda: self._send(outgoing))

    def begin(self, work: Callable[[], Coroutine[None, None, None]]) -> Acknowledgement:
        """Do something on the event loop, from whatever thread this is. Raises EventRefused when that is too late."""
        bridge = self._bridge
        if not bridge.is_here:
            waiting = bridge.send(work)
            if waiting is not None:
                return Acknowledgement(waiting, bridge)
        elif not bridge.closed:
            return Acknowledgement(bridge.begin(work()), bridge)
        raise not_running(self.service)

    async def close(self) -> None:
        """Take no more, and wait for what is on its way."""
        await self._bridge.close()

    async def _send(self, outgoing: Outgoing) -> None:
        records = outgoing.records
        try:
            if sum(map(len, records.values())) == 1:
                [(at, found)] = ((at, found) for at, found in records.items() if found)
                # Alone it may share a row with what others publish at the same moment.
                await self._log.append(at, found)
            elif records:
                transaction = self._log.transaction()
                for at, found in records.items():
                    transaction.append(at, found)
                await transaction.commit()
        except BaseException as error:
            outgoing.over(error)
            raise
        outgoing.over()

    def check_usable(self, events: Sequence[object], call: str, instead: str) -> None:
        """Raise :class:`~mainstem.errors.EventRefused` inside a handler, and when nothing is taken any more."""
        if inside_handler():
            raise EventRefused(
                f"{call} was called inside a handler of {self.service!r}",
                where=", ".join(sorted({f"{type(each).__module__}.{type(each).__qualname__}" for each in events})),
                why="it would escape the commit: published although the handler fails, and again when it is retried",
                remedy=instead,
            )
        if self._bridge.closed:
            raise not_running(self.service)


class PublishTransaction:
    """Several events from outside a handler, published together at the end of the block, or not at all."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._outgoing = Outgoing()
        self._over = False

    def publish(
        self,
        *events: object,
        subject: str | None = None,
        time: datetime | None = None,
        extensions: Mapping[str, str] | None = None,
        correlation_id: str | None = None,
    ) -> None:
        """Add events; what is stated counts for each of them, as in :meth:`~mainstem.Service.publish`.

        Raises :class:`~mainstem.errors.EventRefused` for one that cannot be encoded.
        """
        if self._over:
            raise EventRefused("the transaction is over", remedy="publish inside the block of async with")
        self._publisher.encode(events, self._outgoing, Attributes(subject, time, extensions, correlation_id))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        if kind is None:
            await self._publisher.send(self._outgoing)


def not_running(service: str) -> EventRefused:
    """Nobody can publish for a service that does not run."""
    return EventRefused(
        f"service {service!r} is not running, so nothing can be published",
        remedy="publish inside `async with service.running(...)`; with consume=False it only publishes",
    )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _looked_at(future: "asyncio.Future[None]") -> None:
    """Whoever waits in a thread is told."""
    if not future.cancelled():
        future.exception()


def _hand_over(done: "asyncio.Task[None]", waiting: "concurrent.futures.Future[None]") -> None:
    if not waiting.set_running_or_notify_cancel():
        return
    if not done.done() or done.cancelled():
        waiting.set_exception(concurrent.futures.CancelledError())
    elif (error := done.exception()) is not None:
        waiting.set_exception(error)
    else:
        waiting.set_result(None)
