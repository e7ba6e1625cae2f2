"""The composition root: services, a broker and an event loop become a running process."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace as with_changes
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from mainstem.broker import TopicPartition, lag_behind
from mainstem.clock import Clock, SystemClock
from mainstem.delivery import (
    Counters,
    Environment,
    GroupRunner,
    Plan,
    Point,
    Processor,
    enter_handlers,
    no_point,
    standing_told,
)
from mainstem.errors import BrokerAway, DefinitionError, DiskFull, MainstemError, StartRefused
from mainstem.events import Declaration
from mainstem.identifiers import Identifiers
from mainstem.service.brokers import Backend, connected, file_of, named_broker
from mainstem.service.catalogue import entry_of, write_catalogue
from mainstem.service.definition import Definition, HandlerGroup, reaching
from mainstem.service.plans import CATALOGUE, Draft, Existing, check, draft, outputs_of, plan_of, unpinnable
from mainstem.service.process import Checkup, Entrance, Health, blocking_told, longest_grace, signalled
from mainstem.service.providing import call_hook, open_provided
from mainstem.service.publishing import Publisher
from mainstem.settings import Settings
from mainstem.telemetry import log
from mainstem.web import Address


class Floor(Struct, frozen=True, kw_only=True):
    """What a process stands on: time, ids and chance. A simulation hands in its own.

    With ``threads`` false, plain functions run on the event loop. ``point`` hears the named steps of every commit, and
    ``around`` is given each handler with its group's name, and may put something around it.
    """

    clock: Clock
    identifiers: Identifiers
    chance: random.Random
    threads: bool = True
    point: Point = no_point
    around: Callable[[str, Processor], Processor] | None = None

    @classmethod
    def of_this_machine(cls) -> "Floor":
        """The clock and the randomness of the operating system."""
        clock = SystemClock()
        identifiers = Identifiers(clock)
        return cls(clock=clock, identifiers=identifiers, chance=random.Random(identifiers.new()))  # noqa: S311 - jitter


class TaskStatistics(Struct, frozen=True):
    """A task that this process owns.

    ``lag`` counts the offsets between the committed positions and the ends; ``in_flight`` the events that were read
    and are not finished.
    """

    group: str
    task: int
    counters: Counters
    in_flight: int
    lag: int
    positions: Mapping[TopicPartition, int]


class Running:
    """Services that run in this process, on one broker."""

    def __init__(self, broker: Backend, clock: Clock, stuck_seconds: float) -> None:
        self.broker = broker
        self.clock = clock
        self.plans: list[Plan] = []
        self.runners: dict[str, GroupRunner] = {}
        self._stuck_seconds = stuck_seconds
        self.checkup = Checkup(broker, self.runners, lambda: broker.admin.topics([CATALOGUE]), clock)

    async def health(self) -> Health:
        """How this process is. Whether a task stands still is known from one call to the next."""
        return await self.checkup.look(self._stuck_seconds)

    async def tell(self, outputs: Mapping[str, Sequence[Declaration]]) -> None:
        """Write into the catalogue what its groups are; ``outputs`` by service."""
        now = self.clock.now_ms()
        await write_catalogue(self.broker, [entry_of(plan, outputs[plan.service], now) for plan in self.plans])

    async def statistics(self) -> list[TaskStatistics]:
        """Where every task of this process stands, by group and task."""
        owned = [(group, n, task) for group, runner in self.runners.items() for n, task in runner.tasks.items()]
        topics = {at.topic for _, _, task in owned for at in task.positions}
        described = await self.broker.admin.topics(topics)
        found = []
        for group, number, task in sorted(owned, key=lambda each: each[:2]):
            positions = dict(task.positions)
            lag = sum(lag_behind(described, at, offset) for at, offset in positions.items())
            counters = Counters() if task.ledger is None else task.ledger.counters
            found.append(TaskStatistics(group, number, counters, task.in_flight, lag, positions))
        return found


@asynccontextmanager
async def running(
    *services: Definition,
    broker: str | Backend | None = None,
    dev: bool = False,
    consume: bool = True,
    settings: Settings | None = None,
    floor: Floor | None = None,
    replaced: Mapping[type[object], object] | None = None,
) -> AsyncIterator[Running]:
    """Run services in this event loop until the block ends; then drain them, and close what was opened.

    ``broker`` is a URL, or a broker that is open and stays open; without one the settings name it. ``dev`` creates
    missing topics, and a file for a missing broker, and reads every event back before it is published: one whose
    fields are not of their types is refused there. With ``consume=False`` nothing is handled, and the services only
    publish. ``replaced`` stands in for what services provide, by type. The block begins when each group runs what is
    assigned to it; where another process still drains that, after a session timeout.

    Raises :class:`~mainstem.errors.StartRefused` with all faults at once. When a group fails, the block is cancelled
    and the group's error raised.
    """
    settings = settings or Settings.load()
    prepared = _prepared(
        *services, broker=broker, dev=dev, consume=consume, settings=settings, floor=floor, replaced=replaced
    )
    async with prepared as (process, crew):
        await crew.stand(settings.session_timeout_seconds)
        yield process


@asynccontextmanager
async def _prepared(
    *services: Definition,
    broker: str | Backend | None,
    dev: bool,
    consume: bool,
    settings: Settings,
    floor: Floor | None,
    replaced: Mapping[type[object], object] | None,
) -> "AsyncIterator[tuple[Running, _Crew]]":
    """The same, from when groups begin to take over what is theirs."""
    _check_services(services)
    floor, crew = floor or Floor.of_this_machine(), _Crew()
    async with AsyncExitStack() as stack:
        if _is_new(broker, settings, dev=dev):
            _pass(draft(services, Existing(), dev=dev), replaced, may_create=dev)
        backend, faults = await _backend(broker, settings, floor, crew, stack, dev=dev)
        drafted = draft(services, Existing() if backend is None else await _existing(services, backend), dev=dev)
        drafted.faults = [*faults, *drafted.faults, *unpinnable(drafted, settings.pinned if consume else None)]
        # Where nobody could look, no topic is known to be missing.
        _pass(drafted, replaced, may_create=dev or backend is None)
        assert backend is not None, "that there is no broker is a fault"
        for spec in drafted.missing:
            await backend.admin.create(spec)
        process = Running(backend, floor.clock, settings.stuck_seconds)
        stack.push_async_callback(process.checkup.close)
        for group in (group for service in services for group in service.groups):
            stack.enter_context(group.held())
        for service in services:
            prepared = _Service(service, drafted, process, settings)
            prepared.publish_with(floor, stack)
            if consume:
                await prepared.provide(replaced or {}, stack)
                for group in service.groups:
                    prepared.man(group, floor, crew, stack)
        await process.tell(drafted.outputs)
        stack.enter_context(standing_told(backend, process.plans, process.runners, floor.clock))
        stack.enter_context(blocking_told(settings.blocked_seconds if floor.threads else None))
        await stack.enter_async_context(crew)
        yield process, crew


async def serve(
    *services: Definition,
    broker: str | Backend | None = None,
    dev: bool = False,
    settings: Settings | None = None,
    floor: Floor | None = None,
    started: Callable[[Running], None] | None = None,
    http: Address | None = None,
) -> None:
    """Run services until SIGTERM or SIGINT, then drain within the grace period. ``started`` is called in between.

    With ``http``, the process can be probed and measured at that address, from before it starts until it has drained.
    A broker that does not answer at the start, or has no room, is asked again and again.

    A second signal ends the process at once, with code 130 after Ctrl-C; the next owner goes on from the last commit.
    So does, whatever holds it up, the tenth second after the grace period, with code 1.
    Raises what :func:`running` raises, also when a group fails.
    """
    floor, settings = floor or Floor.of_this_machine(), settings or Settings.load()
    entrance = Entrance(floor.chance.random)
    async with AsyncExitStack() as stack:
        if http is not None:
            await stack.enter_async_context(_probed(http, entrance.health))
        stopped = stack.enter_context(signalled(longest_grace(services, settings.grace_seconds)))
        while not stopped.is_set():
            try:
                prepared = _prepared(
                    *services, broker=broker, dev=dev, consume=True, settings=settings, floor=floor, replaced=None
                )
                async with prepared as (process, crew):
                    entrance.open(process)
                    await crew.stand(settings.session_timeout_seconds)
                    entrance.pass_through()
                    if started is not None:
                        started(process)
                    await stopped.wait()
                    log.info("draining: what has begun is finished first; a second signal ends the process at once")
            except (StartRefused, BrokerAway, DiskFull) as refused:
                await entrance.wait(refused, stopped)
    log.info("stopped")


def _check_services(services: tuple[object, ...]) -> None:
    for each in services:
        if not isinstance(each, Definition):
            raise DefinitionError(
                f"{each!r} is not a service",
                why="services are given themselves, as objects; the command line finds them by name",
                remedy="import it: from shop import shop, and async with mainstem.running(shop)",
            )


def _probed(address: Address, look: Callable[[], Awaitable[Health]]) -> AbstractAsyncContextManager[None]:
    try:
        # An extra, loaded when used.
        from mainstem.service.process.routes import probed  # noqa: PLC0415
    except ImportError as error:
        raise DefinitionError(
            "the HTTP server is not installed",
            where=f"--http {address}",
            why=str(error),
            remedy="pip install 'mainstem[http]'",
        ) from error
    return probed(address, look)


async def _backend(
    broker: str | Backend | None, settings: Settings, floor: Floor, crew: "_Crew", stack: AsyncExitStack, *, dev: bool
) -> tuple[Backend | None, tuple[MainstemError, ...]]:
    """Open the broker; that nobody names one, or that it cannot be reached, is a fault among others."""
    try:
        named = named_broker(broker, settings, dev=dev) if broker is None or isinstance(broker, str) else broker
        backend = await stack.enter_async_context(connected(named, floor.clock, floor.identifiers, crew.fail))
    except StartRefused as refused:
        return None, refused.faults
    except MainstemError as fault:
        return None, (fault,)
    log.info("broker: %s", backend.name)
    return backend, ()


async def _existing(services: tuple[Definition, ...], backend: Backend) -> Existing:
    groups = [group.name for service in services for group in service.groups]
    # Of other topics of a cluster nothing need be known, and may be.
    topics = draft(services, Existing()).topics
    return Existing(await backend.admin.topics(topics), await backend.admin.groups(groups))


def _is_new(broker: str | Backend | None, settings: Settings, *, dev: bool) -> bool:
    """Whether the broker is a file that is still to be made: what can be refused without it, is refused before."""
    try:
        named = named_broker(broker, settings, dev=dev) if broker is None or isinstance(broker, str) else ""
    except DefinitionError:
        return False
    path = file_of(named)
    return path is not None and path.parent.is_dir() and not path.exists()


def _pass(drafted: Draft, replaced: Mapping[type[object], object] | None, *, may_create: bool) -> None:
    """Check everything; raise all faults at once."""
    check(drafted, replaced or {}, may_create=may_create)
    count = len(drafted.faults)
    if count:
        names = ", ".join(repr(service.name) for service in drafted.services)
        raise StartRefused(f"{names} cannot start: {count} fault{'s'[: count - 1]}", tuple(drafted.faults))


class _Crew:
    """The groups that run. When one of them fails, whoever waits in the block is woken, and gets its error."""

    def __init__(self) -> None:
        self.runners: list[GroupRunner] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._host: asyncio.Task[object] | None = None
        self._error: BaseException | None = None
        self._woken = False
        self._cancelling = 0

    async def __aenter__(self) -> None:
        if self._error is not None:
            raise self._error
        self._host = asyncio.current_task()
        self._cancelling = self._host.cancelling() if self._host is not None else 0
        for runner in self.runners:
            task = asyncio.create_task(runner.run())
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def stand(self, timeout_seconds: float) -> None:
        """Wait until each group runs what is assigned to it, but not for an owner that drains for long."""
        try:
            async with asyncio.timeout(timeout_seconds):
                for runner in self.runners:
                    await runner.standing()
        except TimeoutError:
            log.info("not all tasks have been taken over after %g s; going on", timeout_seconds)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        host, self._host = self._host, None
        for runner in self.runners:
            runner.drain()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._error is None or host is None:
            return
        cancelled = host.uncancel() if self._woken else host.cancelling()
        if kind is None or (issubclass(kind, asyncio.CancelledError) and cancelled <= self._cancelling):
            # Nobody else has cancelled this task, and no other error is on its way.
            raise self._error from None

    def _ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Whole it comes out of the block; but what is under way is finished first, and that may take a while.
            log.error("a group has failed: %s", error.what if isinstance(error, MainstemError) else error)
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Something has happened after which this process must not go on."""
        self._error = self._error or error
        if self._host is not None and not self._woken:
            self._woken = True
            self._host.cancel()


class _Service:
    """One service of the process, on its way up."""

    def __init__(self, service: Definition, drafted: Draft, process: Running, settings: Settings) -> None:
        self._service = service
        self._drafted = drafted
        self._process = process
        self._outputs = outputs_of(service, drafted)
        self._provided: Mapping[type[object], object] = {}
        grace = service.grace_seconds
        self._settings = settings if grace is None else replace(settings, grace_seconds=grace)

    def publish_with(self, floor: Floor, stack: AsyncExitStack) -> None:
        """Let the service publish from outside."""
        service = self._service
        publisher = Publisher(service.name, self._outputs, self._process.broker.log, floor.clock, floor.identifiers)
        stack.push_async_callback(publisher.close)
        stack.enter_context(reaching(service, publisher, self._process.broker, self._settings))

    async def provide(self, replaced: Mapping[type[object], object], stack: AsyncExitStack) -> None:
        """Open what handlers ask for, and run the hooks."""
        service = self._service
        self._provided = await open_provided(service, replaced, stack)
        for hook in service.startup:
            await call_hook(hook, self._provided)
        for hook in reversed(service.shutdown):
            stack.push_async_callback(call_hook, hook, self._provided)

    def man(self, group: HandlerGroup, floor: Floor, crew: _Crew, stack: AsyncExitStack) -> None:
        """Make the runner of a group."""
        plan = plan_of(self._service, group, self._outputs, self._drafted, self._provided)
        if floor.around is not None:
            plan = with_changes(plan, processors=tuple(floor.around(plan.group, each) for each in plan.processors))
        self._process.plans.append(plan)
        if not plan.processors:
            return
        executor = _executor(plan, stack) if floor.threads else None
        broker = self._process.broker
        environment = Environment(broker, floor.clock, floor.chance, self._settings, executor, floor.point)
        runner = GroupRunner(plan, partial(broker.rows, plan.group), environment)
        self._process.runners[plan.group] = runner
        crew.runners.append(runner)
        log.info("group %r of service %r: %d tasks, %d lanes", plan.group, plan.service, plan.tasks, plan.lanes)


def _executor(plan: Plan, stack: AsyncExitStack) -> Executor | None:
    """Threads for plain functions, as many as lanes; made when they are used."""
    if not any(each.plain for each in plan.processors):
        return None
    threads = ThreadPoolExecutor(plan.lanes, thread_name_prefix=plan.group, initializer=enter_handlers)
    stack.callback(threads.shutdown, wait=False, cancel_futures=True)
    return threads
