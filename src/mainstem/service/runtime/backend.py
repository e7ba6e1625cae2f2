"""The broker of a process: whether it is still to be made, opening it, and what it has already."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from mainstem.errors import DefinitionError, MainstemError, StartRefused
from mainstem.service.brokers import Backend, connected, file_of, named_broker
from mainstem.service.definition import Definition
from mainstem.service.plans import Existing, draft
from mainstem.service.runtime.crew import Crew
from mainstem.service.runtime.floor import Floor
from mainstem.settings import Settings
from mainstem.telemetry import log


async def opened(
    broker: str | Backend | None, settings: Settings, floor: Floor, crew: Crew, stack: AsyncExitStack, *, dev: bool
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


async def existing_on(services: Sequence[Definition], backend: Backend) -> Existing:
    """What is there of the topics and groups of these services.

    Of other topics of a cluster nothing need be known, and may be; there can be thousands.
    """
    groups = [group.name for service in services for group in service.groups]
    topics = draft(services, Existing()).topics
    return Existing(await backend.admin.topics(topics), await backend.admin.groups(groups))


def is_new(broker: str | Backend | None, settings: Settings, *, dev: bool) -> bool:
    """Whether the broker is a file that is still to be made: what can be refused without it, is refused before."""
    try:
        named = named_broker(broker, settings, dev=dev) if broker is None or isinstance(broker, str) else ""
    except DefinitionError:
        return False
    path = file_of(named)
    return path is not None and path.parent.is_dir() and not path.exists()
