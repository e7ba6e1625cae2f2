"""What a context refuses, in words: a store, timer or name that is not to be used like this, a time that is none."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from mainstem.errors import DefinitionError, IncarnationOver, StoreRefused

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAME_CHARACTERS: Final = 200
_TEN_YEARS_MS: Final = 10 * 365 * 86_400_000


def no_store(given: object, handler: str) -> DefinitionError:
    """Something else was given where the store belongs."""
    return DefinitionError(
        f"{type(given).__name__!r} is not a store",
        where=f"handler {handler}",
        why="the store comes first, as service.store(...) has returned it",
        remedy="write context.get(spent), context.put(spent, 5)",
    )


def strange_store(store: str, handler: str) -> StoreRefused:
    """A store that the group does not have, or that the handler says it does not use."""
    return StoreRefused(
        f"store {store!r} is not one of this group's, or not one that the handler states",
        where=f"handler {handler}",
        why="a group has stores of its own; this one was declared by another group or service, or by nobody; "
        "or the handler states stores=, and this one is not among them",
        remedy="declare it on the handler's group, or include() the handlers that declare it; or add it to stores=",
    )


def strange_key(store: str, handler: str, key: object) -> StoreRefused:
    """Another key than the event's, in a store that is keyed by it."""
    return StoreRefused(
        f"store {store!r} is keyed by the event's key; another key was given: {key!r}",
        where=f"handler {handler}",
        why="it would count per partition in silence, because another key may live in another task",
        remedy='declare the store with scope="partition" and the group with lanes=1, or key the topic that way',
    )


def no_key(store: str, handler: str, *, free: bool, batch: bool) -> StoreRefused:
    """A key is needed, and there is none: the keys are free, a batch is handled, or the event has none."""
    if free:
        why, remedy = "its keys are free", "pass key=..."
    elif batch:
        why = "a batch is handled, and its events have many keys"
        remedy = 'declare the store with scope="partition" and pass key=..., or take one event at a time'
    else:
        why, remedy = "the event has none", "declare the topic with a key"
    return StoreRefused(f"store {store!r} needs a key", where=f"handler {handler}", why=why, remedy=remedy)


def strange_timer(timer: str, handler: str, known: Iterable[str]) -> DefinitionError:
    """A timer that no handler waits for."""
    return DefinitionError(
        f"no handler is registered for the timer {timer!r}",
        where=f"handler {handler}",
        why=f"known timers: {', '.join(sorted(known)) or 'none'}",
        remedy=f"write one with @service.on_timer({timer!r})",
    )


def one_time(call: str, place: str) -> DefinitionError:
    """No time was given, or two."""
    return DefinitionError(
        f"{call} takes either after= or at=", where=place, remedy=f'write {call.removesuffix(")")}, after="14d")'
    )


def used_after_its_run(handler: str, where: str) -> IncarnationOver:
    """The handler has returned, and something that it has started goes on."""
    return IncarnationOver(
        f"a context of handler {handler!r} was used after the handler had returned",
        where=where,
        why="what it does now would belong to no commit; something that the handler started still runs",
        remedy="await it in the handler, or let it publish through the service",
    )


def no_memory(handler: str) -> DefinitionError:
    """Something is to be published later, and nothing is remembered."""
    return DefinitionError(
        "an event is to be published later, and the group is delivered at least once",
        where=f"handler {handler}",
        why="what waits is kept in a store, and at least once there is none",
        remedy='publish it now; or declare delivery="exactly_once", which is the default',
    )


def checked_name(name: object, place: str) -> str:
    """The name of a publication that waits. Raises :class:`~mainstem.errors.DefinitionError`."""
    if isinstance(name, str) and 0 < len(name) <= _NAME_CHARACTERS and name.isprintable():
        return name
    raise DefinitionError(
        f"what is published later cannot be called {name!r}",
        where=place,
        why=f"a name is 1 to {_NAME_CHARACTERS} printable characters",
        remedy='give it a word such as name="reminder", or leave it out and keep the handle',
    )


def wall_clock_ms(at: object, now_ms: int, place: str) -> int:
    """A wall-clock time in milliseconds, from that number or from an aware ``datetime``, rounded up.

    Raises :class:`~mainstem.errors.DefinitionError` for anything else, and for seconds in the place of milliseconds.
    """
    if isinstance(at, datetime) and at.tzinfo is not None:
        return -((_EPOCH - at) // timedelta(milliseconds=1))
    if isinstance(at, datetime):
        what, why = f"the time {at.isoformat()} has no time zone", "elsewhere it would mean another moment"
    elif not isinstance(at, int):
        what, why = f"at={at!r} is no time", "it is a whole number of milliseconds since 1970, or an aware datetime"
    elif abs(at * 1_000 - now_ms) < _TEN_YEARS_MS and at < now_ms // 100:
        what, why = f"at={at} is a time in seconds", "in milliseconds it lies in January 1970, and would be due at once"
    else:
        return at
    remedy = "write at=datetime(..., tzinfo=UTC), or milliseconds since 1970"
    raise DefinitionError(what, where=place, why=why, remedy=remedy)
