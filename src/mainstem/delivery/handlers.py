"""From a user's function to a processor: what its signature says, checked when the service starts.

A handler takes the event (or ``list[Event]``), then, in any order and each if it wants, the ``Context`` and what the
service provides, found by annotation; what has a default and is not provided keeps it. It is ``async def`` or plain,
and returns or yields what it publishes.
"""

import asyncio
import functools
import inspect
import types
import typing
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import aclosing, closing
from typing import TypeAlias

from msgspec import Struct

from mainstem.delivery.context import Context
from mainstem.delivery.failures import Retry
from mainstem.delivery.gates import Deduplicate, Limit, check_deduplicate, sieve_of
from mainstem.delivery.processor import Call, Predicate, Processor, written_at
from mainstem.delivery.schedules import Recurring
from mainstem.errors import DefinitionError, HandlerTimeout, MainstemError
from mainstem.events import Declarable, Declaration, Event, Topic, declaration_of, meant_instead
from mainstem.state import Timer

Function: TypeAlias = Callable[..., object]


class Registration(Struct, frozen=True, kw_only=True):
    """What a decorator has written down. Nothing has been looked up yet."""

    function: Function
    name: str
    types: tuple[Declarable, ...] = ()
    timer: str | None = None
    schedule: Recurring | None = None
    retry: Retry = Retry()
    timeout_seconds: float | None = None
    where: Predicate | None = None
    deduplicate: Deduplicate | None = None
    limit: Limit | None = None
    publishes: tuple[Declarable, ...] = ()
    latest: tuple[Declarable, ...] = ()
    was: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no type checker has seen, and what would only fail at the first failure."""
        given: object = self.retry
        if not isinstance(given, Retry):
            raise DefinitionError(
                f"retry={given!r} of handler {self.name!r} is not a retry policy",
                where=self.place,
                remedy='write retry=Retry.on(TimeoutError).inline(3).later("10s", "1m"), or Retry.never()',
            )
        self.retry.check()
        check_deduplicate(self.deduplicate, self.name, self.place)

    @property
    def place(self) -> str:
        """Where the function stands, for errors."""
        return written_at(self.function)


def compile_handler(registration: Registration, provided: Mapping[type, object]) -> Processor:
    """Check the signature, bind what is provided, and make a processor. Raises :class:`DefinitionError`."""
    signature = _Signature.of(registration)
    missing = [
        kind for name, kind in signature.wanted.items() if kind not in provided and name not in signature.optional
    ]
    if missing:
        raise DefinitionError(
            f"handler {registration.name!r} wants a {missing[0].__name__}, which nobody provides",
            where=registration.place,
            remedy=f"service.provide({missing[0].__name__}, ...)",
        )
    extra = {name: provided[kind] for name, kind in signature.wanted.items() if kind in provided}
    call = _bound(registration.function, signature, extra)
    plain = not (
        inspect.iscoroutinefunction(registration.function) or inspect.isasyncgenfunction(registration.function)
    )
    if inspect.isasyncgenfunction(registration.function):
        call = _collect_async(call)
    elif inspect.isgeneratorfunction(registration.function):
        call = _collect(call)
    else:
        _check_returns(registration, signature.returns)
    if registration.timeout_seconds is not None and not plain:
        call = _timed(call, registration.name, registration.timeout_seconds)
    return Processor(
        name=registration.name,
        call=call,
        inputs=(inputs := tuple(declaration_of(each) for each in registration.types)),
        outputs=(outputs := output_declarations(registration, signature.returns)),
        timer=registration.timer,
        schedule=registration.schedule,
        plain=plain,
        batch=signature.batch,
        retry=registration.retry,
        timeout_seconds=registration.timeout_seconds,
        where=registration.where,
        sieve=sieve_of(registration.deduplicate, inputs, registration.place),
        limit=registration.limit,
        latest=_latest(registration, outputs),
        was=registration.was,
    )


def declared_outputs(registration: Registration) -> tuple[Declaration, ...]:
    """What a handler says it publishes: its return annotation and ``publishes=``."""
    return output_declarations(registration, _Signature.of(registration).returns)


class _Signature(Struct, frozen=True):
    """A handler's parameters by role; an ``optional`` one keeps its default unless its type is provided."""

    takes_event: bool
    batch: bool
    context: str | None
    wanted: Mapping[str, type]
    optional: frozenset[str]
    returns: object

    @classmethod
    def of(cls, registration: Registration) -> "_Signature":
        hints = _hints(registration)
        event: inspect.Parameter | None = None
        context: str | None = None
        wanted: dict[str, type] = {}
        parameters = inspect.signature(registration.function).parameters
        for number, parameter in enumerate(parameters.values()):
            hint = _but_none(hints.get(parameter.name))
            _check_first(registration, parameter, hint, number)
            if number == 0 and _is_event(registration, hint):
                _check_kind(registration, parameter, _BY_PLACE, "make the event its first parameter, given by place")
                event = parameter
            elif hint is Context and context is None:
                places = _BY_PLACE | _BY_NAME if number == 1 and event is not None else _BY_NAME
                _check_kind(registration, parameter, places, "let the context be given by name: no / behind it")
                context = parameter.name
            elif isinstance(hint, type) and hint is not Context:
                _check_kind(
                    registration, parameter, _BY_NAME, f"let {parameter.name!r} be given by name: no / behind it"
                )
                wanted[parameter.name] = hint
            elif parameter.default is inspect.Parameter.empty:
                raise DefinitionError(
                    f"handler {registration.name!r}: nobody can tell what {parameter.name!r} should be",
                    where=registration.place,
                    why="what follows the event is found by its annotation: Context, once, or a type that is provided",
                    remedy=f"annotate {parameter.name!r}, or take it away",
                )
        if event is None and registration.timer is None:
            raise DefinitionError(
                f"handler {registration.name!r} does not take its event",
                where=registration.place,
                remedy="make the event its first parameter",
            )
        kind = None if event is None else hints.get(event.name)
        batch = typing.get_origin(kind) is list
        if registration.timer is None:
            _check_event(registration, typing.get_args(kind)[0] if batch else kind)
        optional = frozenset(each.name for each in parameters.values() if each.default is not inspect.Parameter.empty)
        return cls(event is not None, batch, context, wanted, optional, hints.get("return"))


_BY_PLACE = frozenset({inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD})
_BY_NAME = frozenset({inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY})


def _hints(registration: Registration) -> Mapping[str, object]:
    """The annotations, with those that are strings looked up."""
    try:
        return typing.get_type_hints(registration.function)
    except (NameError, AttributeError) as error:
        raise DefinitionError(
            f"handler {registration.name!r}: the annotation {error.name!r} cannot be resolved",
            where=registration.place,
            why="annotations that are strings are looked up in the module, and the type is defined elsewhere",
            remedy=meant_instead(registration.function, error) or "move the type to module level",
        ) from error
    except (TypeError, SyntaxError) as error:
        raise DefinitionError(
            f"handler {registration.name!r} is not a function whose annotations can be read",
            where=registration.place,
            why=str(error),
            remedy="register a function or a method; wrap anything else in one",
        ) from error


def _is_event(registration: Registration, hint: object) -> bool:
    """Whether the first parameter is the event; a timer's handler need not take the timer."""
    if registration.timer is not None:
        return hint in (None, object, Timer)
    return hint is not Context


def _but_none(hint: object) -> object:
    """The type in ``Context | None``: whoever may be given nothing is given what there is."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [each for each in typing.get_args(hint) if each is not type(None)]
        return kinds[0] if len(kinds) == 1 else hint
    return hint


def _check_first(registration: Registration, parameter: inspect.Parameter, hint: object, number: int) -> None:
    """Refuse what cannot come first: nobody's ``self``, an event where a timer is due, a timer where events come."""
    what, why, remedy = "", "", ""
    if number == 0 and parameter.name in ("self", "cls") and hint is None:
        what = f"is a method, and takes {parameter.name!r}"
        why = "it is registered where its class is written, and there is no object yet whose method could be called"
        remedy = "write a function, and service.provide() what it needs; or register the method of an object"
    elif registration.timer is not None and isinstance(hint, type) and issubclass(hint, Event):
        what = f"is for the timer {registration.timer!r}, and takes a {hint.__name__}"
        why = "a due timer brings no event along"
        remedy = "take the Timer, or nothing, and the Context; keep in a store what is needed, or use @service.on(...)"
    elif registration.timer is None and number == 0 and hint is Timer:
        what = "takes a Timer, and is registered for events"
        remedy = 'write @service.on_timer("...") above it, with the name that context.wake() sets'
    if what:
        raise DefinitionError(f"handler {registration.name!r} {what}", where=registration.place, why=why, remedy=remedy)


def _check_kind(
    registration: Registration, parameter: inspect.Parameter, kinds: frozenset[object], remedy: str
) -> None:
    if parameter.kind not in kinds:
        raise DefinitionError(
            f"handler {registration.name!r} cannot be given its {parameter.name!r}",
            where=registration.place,
            why=f"the parameter is {parameter.kind.description}",
            remedy=remedy,
        )


def _check_event(registration: Registration, hint: object) -> None:
    """Refuse an annotation that is no type of what the handler is registered for; one that says nothing will do."""
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    origin = typing.get_origin(hint)
    if inspect.isclass(origin) and issubclass(origin, Iterable):
        raise _other_event(registration, hint, "a batch is a list: annotate list[Event]")
    if any(
        not inspect.isclass(kind) or typing.is_typeddict(kind) or getattr(kind, "_is_protocol", False) for kind in kinds
    ):
        return
    for each in registration.types:
        if not issubclass(declaration_of(each).type, kinds):
            raise _other_event(
                registration, hint, "annotate the type it is registered for, or register it for this one"
            )


def _check_returns(registration: Registration, returns: object) -> None:
    """Refuse an iterator that is returned instead of being yielded: nobody would go through it."""
    kinds = typing.get_args(returns) if typing.get_origin(returns) in (typing.Union, types.UnionType) else (returns,)
    if any(typing.get_origin(kind) in _YIELDED for kind in kinds):
        raise DefinitionError(
            f"handler {registration.name!r} says that it yields, and has no yield",
            where=registration.place,
            remedy="yield each event, or return a list and annotate list[...]",
        )


_YIELDED = (Iterator, Generator, AsyncIterator, AsyncIterable, AsyncGenerator)


def _other_event(registration: Registration, hint: object, remedy: str) -> DefinitionError:
    registered = ", ".join(declaration_of(each).type.__name__ for each in registration.types)
    return DefinitionError(
        f"handler {registration.name!r} takes a {getattr(hint, '__name__', hint)}, and is registered for {registered}",
        where=registration.place,
        remedy=remedy,
    )


def _bound(function: Function, signature: _Signature, extra: Mapping[str, object]) -> Call:
    """A call that takes exactly event and context, with as little between as the signature allows."""
    second = next(iter([*inspect.signature(function).parameters.values()][1:2]), None)
    in_place = second is not None and second.name == signature.context and second.kind in _BY_PLACE
    if signature.takes_event and not extra and in_place:
        return function
    keyword = signature.context
    partial = functools.partial(function, **extra) if extra else function
    if signature.takes_event:
        if keyword is None:
            return lambda event, _: partial(event)
        return lambda event, context: partial(event, **{keyword: context})
    if keyword is None:
        return lambda _, __: partial()
    return lambda _, context: partial(**{keyword: context})


def _collect_async(call: Call) -> Call:
    async def run(event: object, context: Context) -> None:
        # Closed when an output is refused, so that it ends in its lane, and not whenever it is collected.
        async with aclosing(typing.cast("AsyncGenerator[object]", call(event, context))) as outputs:
            async for output in outputs:
                context.publish(output)

    return run


def _collect(call: Call) -> Call:
    def run(event: object, context: Context) -> None:
        with closing(typing.cast("Generator[object]", call(event, context))) as outputs:
            for output in outputs:
                context.publish(output)

    return run


def _timed(call: Call, name: str, timeout_seconds: float) -> Call:
    async def run(event: object, context: Context) -> object:
        limit = asyncio.timeout(timeout_seconds)
        try:
            async with limit:
                return await typing.cast("Awaitable[object]", call(event, context))
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise HandlerTimeout(
                f"handler {name!r} took longer than {timeout_seconds:g} s",
                where=f"{context.topic}[{context.partition}] offset {context.offset}, event {context.event_id}",
                remedy="raise timeout=, or give the call inside a shorter time-out of its own",
            ) from error

    return run


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


def _latest(registration: Registration, outputs: Iterable[Declaration]) -> tuple[Declaration, ...]:
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
