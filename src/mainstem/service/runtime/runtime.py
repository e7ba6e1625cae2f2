"""The composition root: services, a broker and an event loop become a running process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from mainstem.delivery import standing_told
from mainstem.errors import BrokerAway, DefinitionError, DiskFull, StartRefused
from mainstem.service.brokers import Backend
from mainstem.service.contracts import SEEN_SECONDS
from mainstem.service.definition import Definition
from mainstem.service.plans import Draft, Existing, check, draft, unpinnable
from mainstem.service.process import Entrance, Health, blocking_told, loaded_for_good, longest_grace, signalled, unless
from mainstem.service.promises import enforced, losses_told, writers_of
from mainstem.service.runtime.backend import existing_on, is_new, opened
from mainstem.service.runtime.crew import Crew
from mainstem.service.runtime.floor import Floor
from mainstem.service.runtime.launch import Launch
from mainstem.service.runtime.process import Running
from mainstem.settings import Settings
from mainstem.telemetry import log
from mainstem.web import Address


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
) -> AsyncIterator[tuple[Running, Crew]]:
    """The same, from when groups begin to take over what is theirs."""
    _check_services(services)
    floor, crew = floor or Floor.of_this_machine(), Crew()
    async with AsyncExitStack() as stack:
        if is_new(broker, settings, dev=dev):
            _pass(draft(services, Existing(), dev=dev), replaced, may_create=dev)
        backend, faults = await opened(broker, settings, floor, crew, stack, dev=dev)
        drafted = draft(services, Existing() if backend is None else await existing_on(services, backend), dev=dev)
        drafted.faults = [*faults, *drafted.faults, *unpinnable(drafted, settings.pinned if consume else None)]
        # Where nobody could look, no topic is known to be missing.
        _pass(drafted, replaced, may_create=dev or backend is None)
        assert backend is not None, "that there is no broker is a fault"
        drafted.faults += await enforced(drafted, backend, settings, floor.clock)
        _refuse(drafted)
        for spec in drafted.missing:
            await backend.admin.create(spec)
        process = Running(backend, floor.clock, settings.stuck_seconds)
        stack.push_async_callback(process.checkup.close)
        process.writers = floor.writers or writers_of(drafted, backend, settings, floor.clock, stack)
        for group in (group for service in services for group in service.groups):
            stack.enter_context(group.held())
        for service in services:
            prepared = Launch(service, drafted, process, settings)
            prepared.publish_with(floor, stack)
            if consume:
                await prepared.provide(replaced or {}, stack)
                for group in service.groups:
                    prepared.man(group, floor, crew, stack)
        live = floor.later is None
        if live:
            # A replay is nobody who reads: the catalogue of the living says nothing of it.
            await process.tell(drafted.outputs, settings.environment)
        looked = losses_told(drafted, backend, settings, floor.clock, wanted=live and consume)
        await stack.enter_async_context(looked)
        await stack.enter_async_context(process.seen(SEEN_SECONDS if live and floor.threads else None))
        stack.enter_context(standing_told(backend, process.plans, process.runners, floor.clock, process.survey))
        await stack.enter_async_context(process.survey.telling())
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

    While they run, the garbage collector leaves alone what was loaded before: this is for a process of their own.
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
                async with AsyncExitStack() as inside:
                    async with unless(stopped):
                        process, crew = await inside.enter_async_context(prepared)
                        entrance.open(process)
                        await crew.stand(settings.session_timeout_seconds)
                        entrance.pass_through()
                        if started is not None:
                            started(process)
                        with loaded_for_good():
                            await asyncio.Event().wait()
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


def _pass(drafted: Draft, replaced: Mapping[type[object], object] | None, *, may_create: bool) -> None:
    """Check everything; raise all faults at once."""
    check(drafted, replaced or {}, may_create=may_create)
    _refuse(drafted)


def _refuse(drafted: Draft) -> None:
    count = len(drafted.faults)
    if count:
        names = ", ".join(repr(service.name) for service in drafted.services)
        raise StartRefused(f"{names} cannot start: {count} fault{'s'[: count - 1]}", tuple(drafted.faults))
