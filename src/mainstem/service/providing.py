"""What handlers are given beside event and context: opened once in a process, in order, and closed in reverse."""

import inspect
import typing
from collections.abc import Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)

from mainstem.errors import DefinitionError
from mainstem.events import unresolved_annotation
from mainstem.service.definition import Definition


async def open_provided(
    service: Definition, replaced: Mapping[type[object], object], stack: AsyncExitStack
) -> dict[type[object], object]:
    """Everything that a service provides, by type; ``stack`` closes it. ``replaced`` stands in for a factory's."""
    opened: dict[type[object], object] = {}
    for kind, factory in service.provided.items():
        opened[kind] = replaced[kind] if kind in replaced else await _open(service, kind, factory, opened, stack)
    return opened


async def call_hook(hook: Callable[..., object], opened: Mapping[type[object], object]) -> None:
    """Call a start-up or shut-down hook with what it asks for."""
    result = hook(**_arguments(hook, opened))
    if inspect.isawaitable(result):
        await result


def faults_in(service: Definition, replaced: Mapping[type[object], object]) -> list[DefinitionError]:
    """What factories and hooks ask for and nobody provides, or provides too late."""
    faults: list[DefinitionError] = []
    known: set[type[object]] = set()
    for kind, factory in service.provided.items():
        if kind not in replaced:
            faults += _missing(service, factory, known)
        known.add(kind)
    for hook in (*service.startup, *service.shutdown):
        faults += _missing(service, hook, known)
    return faults


def _missing(service: Definition, function: Callable[..., object], known: set[type[object]]) -> list[DefinitionError]:
    try:
        wanted = _wanted(function, optional=False)
    except DefinitionError as fault:
        return [fault]
    return [
        DefinitionError(
            f"{_name(function)}() of service {service.name!r} wants {name!r}, which nobody has provided before it",
            why="what a factory or a hook takes is found by its annotation, among what was provided earlier",
            remedy="provide it first, or give the parameter a default",
        )
        for name, kind in wanted.items()
        if kind not in known
    ]


def _wanted(function: Callable[..., object], *, optional: bool = True) -> dict[str, object]:
    """The annotations of a function's parameters; without ``optional``, of those that have no default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return {}  # a class that is written in C says nothing, and can be called without anything
    named = [
        each.name
        for each in parameters
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD) and (optional or each.default is each.empty)
    ]
    if not named:
        return {}
    target = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]  # only its annotations
    try:
        hints = typing.get_type_hints(target)
    except NameError as error:
        raise unresolved_annotation(function, error) from error
    return {name: hints.get(name) for name in named}


def _arguments(function: Callable[..., object], opened: Mapping[type[object], object]) -> dict[str, object]:
    return {name: opened[kind] for name, kind in _wanted(function).items() if isinstance(kind, type) and kind in opened}


async def _open(
    service: Definition,
    kind: type[object],
    factory: Callable[..., object],
    opened: Mapping[type[object], object],
    stack: AsyncExitStack,
) -> object:
    arguments = _arguments(factory, opened)
    if inspect.isasyncgenfunction(factory):
        factory = asynccontextmanager(factory)
    elif inspect.isgeneratorfunction(factory):
        factory = contextmanager(factory)
    value = factory(**arguments)
    if inspect.isawaitable(value):
        value = await value
    if isinstance(value, AbstractAsyncContextManager):
        value = await stack.enter_async_context(value)
    elif isinstance(value, AbstractContextManager):
        value = stack.enter_context(value)
    # A protocol cannot be asked; a class can, and finds a lock that was acquired instead of handed out.
    if not getattr(kind, "_is_protocol", False) and not isinstance(value, kind):
        raise DefinitionError(
            f"the factory {_name(factory)}() gave a {type(value).__name__}, and not a {kind.__name__}",
            where=f"service {service.name!r}",
            why="a context manager is entered, and what it gives then is what handlers get",
            remedy=f"let it return or yield a {kind.__name__}",
        )
    return value


def _name(function: Callable[..., object]) -> str:
    return getattr(function, "__qualname__", repr(function))
