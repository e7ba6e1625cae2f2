"""From an event to its key bytes, and from key bytes to a partition, as Kafka's Java client spells both.

The spelling is fixed for ever, because it decides the partition: text is UTF-8, an integer decimal, a UUID its
canonical text, several fields a compact JSON array of these (``["EWR",42]``, UTF-8 unescaped).
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Final, NoReturn, TypeAlias
from uuid import UUID

import msgspec

from mainstem.errors import EventRefused
from mainstem.events.declaration import Declaration
from mainstem.events.fields import key_types

KeyFunction: TypeAlias = Callable[[object], bytes | None]

PARTITIONS_REMEMBERED: Final = 32_768


def key_function(declaration: Declaration) -> KeyFunction:
    """A function from an event to its key, made once for a declaration; it gives ``None`` where there is no key.

    The function raises ``EventRefused`` for an event whose key field holds a value of another type than declared.
    """
    kinds = key_types(declaration.type, declaration.key)
    if not kinds:
        return _no_key
    if len(kinds) > 1:
        return _several(declaration, kinds)
    return {str: _text, int: _decimal, UUID: _canonical}[kinds[0]](declaration)


def _no_key(_event: object) -> None:
    return None


def _text(declaration: Declaration) -> KeyFunction:
    read = attrgetter(declaration.key[0])

    def key(event: object) -> bytes:
        value = read(event)
        try:
            return str.encode(value)
        except (TypeError, UnicodeEncodeError) as error:
            _refuse(declaration, declaration.key[0], value, error)

    return key


def _decimal(declaration: Declaration) -> KeyFunction:
    read = attrgetter(declaration.key[0])

    def key(event: object) -> bytes:
        value = read(event)
        if type(value) is not int and not _is_of(int, value):
            _refuse(declaration, declaration.key[0], value)
        return b"%d" % value

    return key


def _canonical(declaration: Declaration) -> KeyFunction:
    read = attrgetter(declaration.key[0])

    def key(event: object) -> bytes:
        value = read(event)
        if not isinstance(value, UUID):
            _refuse(declaration, declaration.key[0], value)
        return str(value).encode()

    return key


def _several(declaration: Declaration, kinds: tuple[type[object], ...]) -> KeyFunction:
    read = attrgetter(*declaration.key)
    encode = msgspec.json.Encoder().encode

    def key(event: object) -> bytes:
        values = read(event)
        if tuple(map(type, values)) != kinds:
            values = tuple(map(_plain, kinds, values))
            for name, kind, value in zip(declaration.key, kinds, values, strict=True):
                if type(value) is not kind:
                    _refuse(declaration, name, value)
        try:
            return encode(values)
        except (UnicodeEncodeError, OverflowError) as error:
            _refuse(declaration, " and ".join(declaration.key), values, error)

    return key


def _is_of(kind: type[object], value: object) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _plain(kind: type[object], value: object) -> object:
    """The text or number behind an enum's member or a subclass; anything else as it is."""
    if not _is_of(kind, value):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    return int.__int__(value) if isinstance(value, int) else value


def _refuse(declaration: Declaration, name: str, value: object, error: Exception | None = None) -> NoReturn:
    raise EventRefused(
        f"a value of type {type(value).__name__} cannot be the key of {declaration.wire_name}"
        + (f": {error}" if isinstance(error, UnicodeError | OverflowError) else ""),
        where=f"{declaration.label}, field {name}",
        why="the field holds something else than its annotation says",
        remedy="correct the value where the event is made; a type checker finds the place",
    ) from error


def murmur2(data: bytes) -> int:
    """Murmur2 as Kafka's Java client computes it, as an unsigned number of 32 bits."""
    size = len(data)
    state = 0x9747B28C ^ size
    words = size >> 2
    for word in _unpacker(words)(data):
        mixed = (word * 0x5BD1E995) & 0xFFFFFFFF
        mixed = ((mixed ^ mixed >> 24) * 0x5BD1E995) & 0xFFFFFFFF
        state = ((state * 0x5BD1E995) & 0xFFFFFFFF) ^ mixed
    if size & 3:
        rest = int.from_bytes(data[words << 2 :], "little")
        state = ((state ^ rest) * 0x5BD1E995) & 0xFFFFFFFF
    state = ((state ^ state >> 13) * 0x5BD1E995) & 0xFFFFFFFF
    return state ^ state >> 15


@lru_cache(maxsize=256)
def _unpacker(words: int) -> Callable[[bytes], tuple[int, ...]]:
    return struct.Struct(f"<{words}I").unpack_from


def _partition_for(key: bytes, partitions: int, /) -> int:
    """The partition of a key, as Java's default partitioner chooses it; remembered for the keys seen last."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


partition_for: Callable[[bytes, int], int] = lru_cache(maxsize=PARTITIONS_REMEMBERED)(_partition_for)
