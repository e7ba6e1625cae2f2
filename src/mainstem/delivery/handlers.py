"""From a user's function to a processor: what its signature says, checked when the service starts.

A handler takes the event (or ``list[Event]``), then, in any order and each if it wants, the ``Context`` and what the
service provides, found by annotation. It is ``async def`` or plain, and returns or yields what it publishes.
"""

import asyncio
import functools
import inspect
import types
import typing
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from mainstem.delivery.context import Context
from mainstem.delivery.failures.retry import Retry
from mainstem.delivery.processor import Call, Predicate, Processor
from mainstem.errors import DefinitionError, HandlerTimeout, MainstemError
from mainstem.events import Declaration, Topic, declaration_of

Function: TypeAlias = Callable[..., object]
Declarable: TypeAlias = "type[object] | Topic[object]"
"""An event type, or a topic that is not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a decorator has written down. Nothing has been looked up yet."""

    function: Function
    name: str
    types: tuple[Declarable, ...] = ()
    timer: str | None = None
    retry: Retry = Retry()
    timeout_seconds: float | None = None
    where: Predicate | None = None
    publishes: tuple[Declarable, ...] = ()
    was: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where the function stands, for errors."""
        code = inspect.unwrap(self.function).__code__
        return f"{self.function.__module__}.{self.function.__qualname__} ({code.co_filename}:{code.co_firstlineno})"


def compile_handler(registration: Registration, provided: Mapping[type, object]) -> Processor:
    """Check the signature, bind what is provided, and make a processor. Raises :class:`DefinitionError`."""
    signature = _Signature.of(registration)
    missing = [each for each in signature.wanted.values() if each not in provided]
    if missing:
        raise DefinitionError(
            f"handler {registration.name!r} wants a {missing[0].__name__}, which nobody provides",
            where=registration.place,
            remedy=f"service.provide({missing[0].__name__}, ...)",
        )
    extra = {name: provided[kind] for name, kind in signature.wanted.items()}
    call = _bound(registration.function, signature, extra)
    plain = not (
        inspect.iscoroutinefunction(registration.function) or inspect.isasyncgenfunction(registration.function)
    )
    if inspect.isasyncgenfunction(registration.function):
        call = _collect_async(call)
    elif inspect.isgeneratorfunction(registration.function):
        call = _collect(call)
    if registration.timeout_seconds is not None and not plain:
        call = _timed(call, registration.name, registration.timeout_seconds)
    return Processor(
        name=registration.name,
        call=call,
        inputs=tuple(declaration_of(each) for each in registration.types),
        outputs=output_declarations(registration, signature.returns),
        timer=registration.timer,
        plain=plain,
        batch=signature.batch,
        retry=registration.retry,
        timeout_seconds=registration.timeout_seconds,
        where=registration.where,
        was=registration.was,
    )


def wanted_types(registration: Registration) -> frozenset[type]:
    """The types, beside event and context, that a handler wants to be provided."""
    return frozenset(_Signature.of(registration).wanted.values())


def declared_outputs(registration: Registration) -> tuple[Declaration, ...]:
    """What a handler says it publishes: its return annotation and ``publishes=``."""
    return output_declarations(registration, _Signature.of(registration).returns)


@dataclass(frozen=True, slots=True)
class _Signature:
    """A handler's parameters by role."""

    takes_event: bool
    batch: bool
    context: str | None
    wanted: Mapping[str, type]
    returns: object

    @classmethod
    def of(cls, registration: Registration) -> "_Signature":
        function, place = registration.function, registration.place
        try:
            hints = typing.get_type_hints(function)
        except NameError as error:
            raise DefinitionError(
                f"handler {registration.name!r}: the annotation {error.name!r} cannot be resolved",
                where=place,
                why="annotations that are strings are looked up in the module, and the type is defined elsewhere",
                remedy="move the type to module level",
            ) from error
        parameters = list(inspect.signature(function).parameters.values())
        event: inspect.Parameter | None = None
        context: str | None = None
        wanted: dict[str, type] = {}
        for parameter in parameters:
            hint = hints.get(parameter.name)
            if hint is Context:
                context = parameter.name
            elif event is None and parameter is parameters[0]:
                event = parameter
            elif parameter.default is not parameter.empty or parameter.kind in _OPEN:
                continue  # the function's own business
            elif isinstance(hint, type):
                wanted[parameter.name] = hint
            else:
                raise DefinitionError(
                    f"handler {registration.name!r}: nobody can tell what {parameter.name!r} should be",
                    where=place,
                    why="what follows the event is found by its annotation: Context, or a type that is provided",
                    remedy=f"annotate {parameter.name!r}, or take it away",
                )
        if event is None and registration.timer is None:
            raise DefinitionError(
                f"handler {registration.name!r} does not take its event",
                where=place,
                remedy="make the event its first parameter",
            )
        batch = event is not None and typing.get_origin(hints.get(event.name)) is list
        return cls(event is not None, batch, context, wanted, hints.get("return"))


_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _bound(function: Function, signature: _Signature, extra: Mapping[str, object]) -> Call:
    """A call that takes exactly event and context, with as little between as the signature allows."""
    names = list(inspect.signature(function).parameters)
    if signature.takes_event and not extra and signature.context == (names[1] if len(names) > 1 else ""):
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
        async for output in typing.cast("AsyncIterable[object]", call(event, context)):
            context.publish(output)

    return run


def _collect(call: Call) -> Call:
    def run(event: object, context: Context) -> None:
        for output in typing.cast("Iterable[object]", call(event, context)):
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
    found: dict[object, Declaration] = {}
    for each in registration.publishes:
        declaration = declaration_of(each)
        found[declaration.type] = declaration
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


def _leaves(annotation: object) -> Iterable[object]:
    """The types in a return annotation, out of unions, lists, tuples and iterators."""
    if annotation in (None, type(None), inspect.Parameter.empty, typing.Any, Ellipsis):
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
