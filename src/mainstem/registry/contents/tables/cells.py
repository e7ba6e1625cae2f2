"""Rows as typed values, by keys of several parts.

Parts are separated by a character that no name has. Numbers have ten digits, so that they are in order.
"""

from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from mainstem.registry.contents.tables.rows import Rows

T = TypeVar("T")

_BETWEEN: Final = "\x1f"
_ENCODE: Final = msgspec.msgpack.Encoder().encode


class Cells:
    """Rows, read and written as values."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def get(self, kind: type[T], *parts: str | int) -> T | None:
        """The value at a key."""
        value = self._rows.get(_key(parts))
        return None if value is None else msgspec.msgpack.decode(value, type=kind)

    def put(self, value: object, *parts: str | int) -> None:
        """Write a value, or with None remove it."""
        if value is None:
            self._rows.delete(_key(parts))
        else:
            self._rows.put(_key(parts), _ENCODE(value))

    def scan(self, kind: type[T], *parts: str | int) -> Iterator[tuple[list[str], T]]:
        """The keys that begin with these parts, and the last one of them only with its beginning; and the values."""
        for key, value in self._rows.scan(_key(parts)):
            yield parts_of(key), msgspec.msgpack.decode(value, type=kind)


def parts_of(key: bytes) -> list[str]:
    """The parts of a key."""
    return key.decode().split(_BETWEEN)


def _key(parts: tuple[str | int, ...]) -> bytes:
    return _BETWEEN.join(f"{part:010d}" if isinstance(part, int) else part for part in parts).encode()
