"""What a handler says that it publishes, by its return annotation and beside it."""

import inspect
import types
import typing
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator

from mainstem.delivery.handlers.registration import Registration
from mainstem.errors import DefinitionError, MainstemError
from mainstem.events import Declarable, Declaration, Topic, declaration_of


def output_declarations(registration: Registration, returns: object) -> tuple[Declaration, ...]:
    """The declarations behind a return annotation and ``publishes=``, each once."""
    found: dict[object, Declaration] = {each.type: each for each in map(declaration_of, registration.publishes)}
    for leaf in _leaves(returns):
        if leaf not in found:
            try:
                declaration = declaration_of(typing.cast(Declarable, leaf))
            except MainstemError as error:
                raise DefinitionError(
                    f"handler {registration.name!r} returns {getattr(leaf, '__name__', leaf)}, "
                    "which is not a declared event",
                    where=registration.place,
                    remedy="return an event type, declare it with publishes=(Topic(...),), or return None",
                ) from error
            found[leaf] = declaration
    return tuple(found.values())


def latest_of(registration: Registration, outputs: Iterable[Declaration]) -> tuple[Declaration, ...]:
    """Of which outputs only the last one of each key counts: those that are outputs, and have a key."""
    found = tuple(map(declaration_of, registration.latest))
    for each in found:
        name, published = each.type.__name__, each in outputs
        if not (published and each.key):
            raise DefinitionError(
                f"handler {registration.name!r} cannot publish the latest {name} of each key alone",
                where=registration.place,
                why="its events have no key" if published else "it publishes none",
                remedy=f"declare {name} with a key" if published else f"annotate it, or add publishes=({name},)",
            )
    return found


def _leaves(annotation: object) -> Iterable[object]:
    """The types in a return annotation, out of unions, lists, tuples and iterators."""
    if annotation in (None, type(None), inspect.Parameter.empty, typing.Any, Ellipsis, typing.Never, typing.NoReturn):
        return
    if isinstance(annotation, Topic):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType) or typing.get_origin(annotation) in _MANY:
        for each in typing.get_args(annotation):
            yield from _leaves(each)
    else:
        yield annotation


_MANY = frozenset(
    typing.get_origin(each)
    for each in (
        list[int],
        tuple[int],
        typing.Iterable[int],
        typing.Iterator[int],
        typing.Sequence[int],
        typing.Generator[int, None, None],
        typing.AsyncIterator[int],
        typing.AsyncIterable[int],
        typing.AsyncGenerator[int, None],
    )
)


def check_returns(registration: Registration, returns: object) -> None:
    """Refuse an iterator that is returned instead of being yielded: nobody would go through it."""
    kinds = typing.get_args(returns) if typing.get_origin(returns) in (typing.Union, types.UnionType) else (returns,)
    if any(typing.get_origin(kind) in _YIELDED for kind in kinds):
        raise DefinitionError(
            f"handler {registration.name!r} says that it yields, and has no yield",
            where=registration.place,
            remedy="yield each event, or return a list and annotate list[...]",
        )


_YIELDED = (Iterator, Generator, AsyncIterator, AsyncIterable, AsyncGenerator)
