"""The place of a value in plain data: names with dots between them, ``[]`` behind the name of a list."""

import re
from collections.abc import Iterator
from typing import Final, TypeGuard

from msgspec import Struct

from mainstem.errors import DefinitionError
from mainstem.events import Plain

_SEGMENT: Final = re.compile(r"([^.\[\]]+)(\[\])?")


class StepFailed(Exception):
    """Data that a step cannot work on; the text says which and why."""


class Place(Struct, frozen=True):
    """Where a value stands: the names that lead to its object, each with whether it names a list, and its own name."""

    way: tuple[tuple[str, bool], ...]
    name: str

    @classmethod
    def of(cls, path: str) -> "Place":
        """Read a path such as ``customer.address`` or ``lines[].sku``. Raises ``DefinitionError``."""
        given: object = path
        parts = given.split(".") if isinstance(given, str) else [""]
        found = [_SEGMENT.fullmatch(part) for part in parts]
        segments = [(each[1], each[2] is not None) for each in found if each]
        if len(segments) < len(parts) or segments[-1][1]:
            raise DefinitionError(
                f"{path!r} is not the place of a field",
                remedy='write "customer_id", "customer.address", or "lines[].sku" for a field of each item of a list',
            )
        return cls(tuple(segments[:-1]), segments[-1][0])

    @property
    def lists(self) -> bool:
        """Whether there may be many of it."""
        return any(many for _, many in self.way)

    def holders(self, data: Plain) -> Iterator[Plain]:
        """The objects in which the value stands, or would stand; none where the way there is absent or null.

        Raises :class:`StepFailed` where something else than an object, or than a list of them, stands on the way.
        """
        return _holders(data, self.way, "")

    def holder(self, data: Plain) -> Plain:
        """The object in which the value is to stand, made where it is absent or null."""
        for name, _ in self.way:
            inner = data.get(name)
            if inner is None:
                inner = data[name] = {}
            data = _object(inner, name)
        return data

    def __str__(self) -> str:
        return ".".join([*(name + "[]" * many for name, many in self.way), self.name])


def _holders(data: Plain, way: tuple[tuple[str, bool], ...], path: str) -> Iterator[Plain]:
    if not way:
        yield data
        return
    (name, many), *rest = way
    inner, path = data.get(name), f"{path}.{name}".lstrip(".")
    if inner is None:
        return
    if not many:
        yield from _holders(_object(inner, path), tuple(rest), path)
    elif isinstance(inner, list):
        for item in inner:
            yield from _holders(_object(item, f"{path}[]"), tuple(rest), f"{path}[]")
    else:
        raise StepFailed(f"{path} is no list")


def _object(data: object, path: str) -> Plain:
    if is_plain(data):
        return data
    raise StepFailed(f"{path} is no object")


def is_plain(data: object) -> TypeGuard[Plain]:
    """Whether decoded JSON is an object; its names are texts then."""
    return isinstance(data, dict)
