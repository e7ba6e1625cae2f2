"""The schemas that a process reads with: its own by the lock file, those of others by the registry it is given."""

from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from mainstem.clock import Clock
from mainstem.events import Declaration
from mainstem.schemas.registries import LOCK_NAME, Locked, LockFile
from mainstem.schemas.writers import Ask, Asking, SchemaName, Writers, Written
from mainstem.service.brokers import Backend
from mainstem.service.plans import Draft
from mainstem.service.promises.registries import check_client, named_registry, registry_at
from mainstem.service.promises.stated import stated_by
from mainstem.settings import Settings


def writers_of(
    drafted: Draft, backend: Backend, settings: Settings, clock: Clock, stack: AsyncExitStack, *, recorded: bool = False
) -> Writers | None:
    """What the process knows of writers' schemas, and asks for; None where nobody reads what names them.

    The registry is opened with the first question. What was ``recorded`` may have been written in play.
    """
    read = [each for inputs in drafted.inputs.values() for each in inputs]
    if not any(map(_is_named, read)):
        return None
    ask = _asked(named_registry(None, settings, dev=drafted.dev), backend, settings, clock, stack)
    published = [each for outputs in drafted.outputs.values() for each in outputs]
    writers = Writers(ask, clock.monotonic, in_play=drafted.dev or recorded, played=published)
    if not drafted.dev:
        _learn(writers, drafted)
    return writers


def writers_of_read(
    read: Sequence[Declaration], backend: Backend, settings: Settings, clock: Clock, stack: AsyncExitStack
) -> Writers | None:
    """The same for who reads these types and publishes nothing; what was written in play, as they are here."""
    if not any(map(_is_named, read)):
        return None
    ask = _asked(named_registry(None, settings, dev=False), backend, settings, clock, stack)
    return Writers(ask, clock.monotonic, in_play=True, played=read)


def writers_of_anybody(
    backend: Backend, settings: Settings, clock: Clock, stack: AsyncExitStack, *, dev: bool
) -> Writers:
    """The same for who only looks at records, whoever has written them."""
    return Writers(_asked(named_registry(None, settings, dev=dev), backend, settings, clock, stack), clock.monotonic)


def _asked(name: str | None, backend: Backend, settings: Settings, clock: Clock, stack: AsyncExitStack) -> Ask | None:
    if name is None:
        return None
    check_client(name)
    asking = Asking(partial(registry_at, name, settings, backend, clock))
    stack.push_async_callback(asking.close)
    return asking.ask


def _learn(writers: Writers, drafted: Draft) -> None:
    """What this process writes itself needs no question: which id it has stands in the lock file."""
    lock = LockFile.read(Path(LOCK_NAME))
    for service in drafted.services:
        named = [each for each in drafted.outputs[service.name] if _is_named(each)]
        for stated in stated_by(service.name, named):
            locked = lock.find(stated.subject, stated.schema)
            for each in () if locked is None else _names(locked):
                writers.learn(each, Written(stated.schema, {}))


def _is_named(declaration: Declaration) -> bool:
    """Whether its records name the schema that they are read with; of JSON nobody need know it."""
    return declaration.schema_id is not None and declaration.format != "json"


def _names(locked: Locked) -> Iterable[SchemaName]:
    context = f":{locked.subject.split(':')[1]}:" if locked.subject.startswith(":.") else ""
    yield SchemaName(locked.id, None, context)
    if locked.guid is not None:
        yield SchemaName(None, locked.guid)
