"""After a start: whether what others have registered, or publish by now, can still be read here.

It stops nobody, and nobody waits for it: the log says what is not read, and what to do about it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from mainstem.clock import Clock
from mainstem.errors import DefinitionError, MainstemError, SchemaRefused
from mainstem.events import Declaration
from mainstem.schemas import subject_of
from mainstem.schemas.compatibility import in_words
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import Loss, losses, schema_of
from mainstem.schemas.registries import SchemaRegistry
from mainstem.service.brokers import Backend
from mainstem.service.catalogue import read_catalogue
from mainstem.service.plans import Draft
from mainstem.service.promises.registries import named_registry, registry_at
from mainstem.settings import Settings
from mainstem.telemetry import log

LOSSES_TOLD: Final = 5


@asynccontextmanager
async def losses_told(
    drafted: Draft, backend: Backend, settings: Settings, clock: Clock, *, wanted: bool
) -> AsyncIterator[None]:
    """Inside the block, what handlers of these services take is compared with what others write. In play nothing is."""
    if not wanted or drafted.dev or not any(drafted.inputs.values()):
        yield
        return
    looking = asyncio.create_task(_look(drafted, backend, settings, clock), name="whether all can be read")
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _look(drafted: Draft, backend: Backend, settings: Settings, clock: Clock) -> None:
    read = [(service, each) for service, inputs in drafted.inputs.items() for each in inputs]
    try:
        await _look_for_versions(read, backend)
        name = named_registry(None, settings, dev=drafted.dev)
        if name is None:
            return
        async with registry_at(name, settings, backend, clock) as registry:
            if registry is not None:
                for service, each in read:
                    await _compare(service, each, registry)
    except MainstemError as error:
        log.info("nobody has looked whether all that is registered can be read here: %s", error)


async def _look_for_versions(read: list[tuple[str, Declaration]], backend: Backend) -> None:
    """Tell of which types somebody publishes a version that is not known here, on the topic that is read."""
    published = {(entry.service, each) for entry in await read_catalogue(backend) for each in entry.publishes}
    for service, declared in read:
        later = [
            (each.version, other)
            for other, each in published
            if each.name in declared.names and each.topic == declared.topic and each.version > declared.version
        ]
        if later:
            version, other = max(later)
            log.warning(
                "%r does not read v%d of %s, which %r publishes on %r: such events are refused, version-unknown. Take "
                "the type in that version, with upcast() from v%d on",
                *(service, version, declared.wire_name, other, declared.topic, declared.version),
            )


async def _compare(service: str, declared: Declaration, registry: SchemaRegistry) -> None:
    """Tell what of the last form that is registered cannot be read; what cannot be compared is not told."""
    subject = subject_of(declared)
    latest = await registry.version(subject, "latest")
    if latest is None:
        return
    try:
        # It may take a while, and the tasks of this process run by now.
        found = await asyncio.to_thread(_losses, latest.schema, declared)
    except (SchemaRefused, DefinitionError) as refused:
        log.info("what is registered for %s cannot be compared with what is read: %s", declared.label, refused)
        return
    lost = [each for each in found if each.difference.outcome == "incompatible"]
    if lost:
        log.warning(
            "%r cannot read all that may be written of %s: version %d of the subject %r has %s. Such events become "
            "dead letters: read what is written, or let its publisher take the change back; "
            "mainstem schema check shows both, field by field",
            *(service, declared.label, latest.version, subject, "; ".join(_told(lost))),
        )


def _losses(writer: Schema, declared: Declaration) -> list[Loss]:
    reader = schema_of(declared)
    return [] if writer.text == reader.text else losses(writer, reader)


def _told(lost: list[Loss]) -> Iterator[str]:
    for each in lost[:LOSSES_TOLD]:
        yield f"{', '.join(each.fields) or 'the event as a whole'}: {in_words(each.difference)}"
    if len(lost) > LOSSES_TOLD:
        yield f"and {len(lost) - LOSSES_TOLD} more"
