"""What a cache does with the other system: its functions, checked and given what the service provides."""

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from msgspec import Struct

from mainstem.delivery.processor import written_at
from mainstem.errors import DefinitionError

Function: TypeAlias = Callable[..., Awaitable[object]]

_LOADS = "load(key)"
_WRITES = "write(key, value)"


class Bound(Struct, frozen=True):
    """The functions of a cache in one process. ``write`` is given None where a value is to be deleted."""

    load: Function | None
    write: Function | None
    most: int


class Source:
    """The functions of a cache as they were declared. ``most``: so many keys may wait to be written; 0 means none."""

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self.most = most
        self.load: Function | None = None
        self.write: Function | None = None

    def bind(self, provided: Mapping[type, object]) -> Bound:
        """Give them what they ask for by annotation. Raises :class:`~mainstem.errors.DefinitionError`."""
        if self.most and self.write is None:
            raise DefinitionError(
                f"the cache {self.name!r} is written behind, and nobody writes",
                remedy=f"declare a function above which stands @{self.name}.writer()",
            )
        load = None if self.load is None else self._bound(self.load, _LOADS, provided)
        write = None if self.write is None else self._bound(self.write, _WRITES, provided)
        return Bound(load, write, self.most)

    def _bound(self, function: Function, form: str, provided: Mapping[type, object]) -> Function:
        """The function, to be called with what ``form`` names and nothing else."""
        taken = form.count(",") + 1
        parameters = list(inspect.signature(function).parameters.values())
        if not inspect.iscoroutinefunction(function) or len(parameters) < taken:
            raise DefinitionError(
                f"a function of the cache {self.name!r} cannot be called",
                where=written_at(function),
                why=f"it is called as await {form}, with what is provided behind that",
                remedy=f"write async def {form.replace(')', ', ...)')}",
            )
        hints = typing.get_type_hints(function)
        extra: dict[str, object] = {}
        for parameter in parameters[taken:]:
            kind = hints.get(parameter.name)
            if isinstance(kind, type) and kind in provided:
                extra[parameter.name] = provided[kind]
            elif parameter.default is inspect.Parameter.empty:
                raise DefinitionError(
                    f"a function of the cache {self.name!r} wants {parameter.name!r}, which nobody provides",
                    where=written_at(function),
                    why="what stands behind key and value is found by its annotation, among what the service provides",
                    remedy=f"service.provide({getattr(kind, '__name__', 'Client')}, ...)",
                )
        return functools.partial(function, **extra) if extra else function
