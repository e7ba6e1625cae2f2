"""How a record says which schema its payload has: the framings of schema registries, written and read.

Before the payload: 0, and the id in four bytes, the greatest first. In the header ``__value_schema_id`` (of a key:
``__key_schema_id``): 1, and the GUID in sixteen bytes; the payload is left alone. Protobuf adds the place of the
message in its file, behind either.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

from msgspec import Struct

from mainstem.errors import DecodingFailed, EventRefused
from mainstem.events import Declaration

Part: TypeAlias = Literal["key", "value"]
"""The part of a record that a schema describes."""

ID_HEADERS: Final[Mapping[Part, str]] = {"key": "__key_schema_id", "value": "__value_schema_id"}

_ID, _GUID = 0, 1
_ID_END, _GUID_END = 5, 17
_MOST_IDS: Final = 2**32
_VARINT_BYTES: Final = 5
_DEEPEST: Final = 100
"""How deep a message may be nested in others: protoc itself goes to 32."""


class Frame(NamedTuple):
    """A payload, and the ``id`` or the ``guid`` of its schema. ``indexes``: of a Protobuf message, the way to it."""

    payload: bytes
    id: int | None = None
    guid: str | None = None
    indexes: tuple[int, ...] = ()


def id_prefix(schema_id: int, indexes: tuple[int, ...] = ()) -> bytes:
    """What stands before a payload whose schema has this id; ``indexes`` for Protobuf only: ``(0,)`` is the first.

    Raises ``EventRefused`` for an id that has no place in four bytes.
    """
    if not 0 <= schema_id < _MOST_IDS:
        raise EventRefused(f"{schema_id} is no id of a schema", why="it is written as four bytes")
    return bytes([_ID]) + schema_id.to_bytes(4) + _written(indexes)


def guid_header(guid: str, indexes: tuple[int, ...] = ()) -> bytes:
    """The value of the header for a payload whose schema has this GUID. Raises ``EventRefused`` for what is none."""
    try:
        raw = UUID(guid).bytes
    except ValueError as error:
        raise EventRefused(f"{guid!r} is no GUID of a schema", why="it is written as sixteen bytes") from error
    return bytes([_GUID]) + raw + _written(indexes)


class SchemaMark(Struct, frozen=True):
    """What each record of a type says of the schema of its payload: before it, or in a header; mostly neither."""

    prefix: bytes = b""
    headers: Mapping[str, bytes] = {}


def mark_with(declaration: Declaration, schema_id: int, guid: str | None) -> SchemaMark:
    """The mark of a type, where its declaration wants one. The message of a Protobuf schema is the first of its file.

    Raises ``EventRefused`` for an id or a GUID that cannot be written.
    """
    if declaration.schema_id is None:
        return SchemaMark()
    indexes = (0,) if declaration.format == "protobuf" else ()
    if declaration.schema_id == "header":
        return SchemaMark(headers={ID_HEADERS["value"]: guid_header(guid or "", indexes)})
    return SchemaMark(id_prefix(schema_id, indexes))


def mark_in_play(declaration: Declaration) -> SchemaMark:
    """The mark in play, where nothing is registered: an id, or a GUID, that is never given, 0."""
    return mark_with(declaration, 0, str(UUID(int=0)))


def unframed(value: bytes, headers: Mapping[str, bytes], *, part: Part = "value", indexed: bool = False) -> Frame:
    """Find the schema of a key or a value, first in its header, then before the payload. ``indexed`` is Protobuf.

    Raises ``DecodingFailed`` for a first byte that is neither 0 nor 1, and for a framing that ends too early.
    """
    name = ID_HEADERS[part]
    header = headers.get(name)
    if header is not None:
        where = f"the header {name}"
        found, end = _identified(header, where)
        indexes, end = _indexes(header, end, where) if indexed else ((), end)
        return found._replace(payload=value, indexes=indexes)
    if value[:1] == b"\0" and len(value) >= _ID_END and not indexed:
        # Nearly every record, and nothing is asked twice.
        return Frame(value[_ID_END:], int.from_bytes(value[1:_ID_END]))
    where = f"the framing of the {part}"
    found, end = _identified(value, where)
    indexes, end = _indexes(value, end, where) if indexed else ((), end)
    return found._replace(payload=value[end:], indexes=indexes)


def _identified(raw: bytes, where: str) -> tuple[Frame, int]:
    """The id or GUID at the beginning, and where it ends."""
    kind = raw[0] if raw else None
    if kind == _ID and len(raw) >= _ID_END:
        return Frame(b"", int.from_bytes(raw[1:_ID_END])), _ID_END
    if kind == _GUID and len(raw) >= _GUID_END:
        return Frame(b"", None, str(UUID(bytes=raw[1:_GUID_END]))), _GUID_END
    if kind in (_ID, _GUID) or kind is None:
        raise _cut_off(raw, where)
    raise DecodingFailed(
        f"the bytes begin with {kind}, and a framed payload with 0 (an id) or 1 (a GUID)",
        where=where,
        why="its producer does not use a schema registry, or writes another format",
        remedy="correct the producer, or say in format= what it writes; then redrive the record",
    )


def _cut_off(raw: bytes, where: str) -> DecodingFailed:
    return DecodingFailed(
        f"the framing ends after {len(raw)} bytes",
        where=where,
        why="the record was cut off, or its producer does not use a schema registry",
        remedy="correct the producer, then redrive the record",
    )


def _written(indexes: tuple[int, ...]) -> bytes:
    """Their number, then each, as zig-zag varints; the first message of a file, by far the most common, is one 0."""
    if not indexes:
        return b""
    return b"\0" if indexes == (0,) else b"".join(_varint(each) for each in (len(indexes), *indexes))


def _varint(value: int) -> bytes:
    value <<= 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _indexes(raw: bytes, start: int, where: str) -> tuple[tuple[int, ...], int]:
    """The message indexes from ``start`` on, and where they end."""
    if raw[start : start + 1] == b"\0":
        return (0,), start + 1
    count, end = _read_varint(raw, start, where)
    if not 0 < count <= _DEEPEST:
        raise _no_index(count, where)
    found = []
    for _ in range(count):
        index, end = _read_varint(raw, end, where)
        if index < 0:
            raise _no_index(index, where)
        found.append(index)
    return tuple(found), end


def _no_index(value: int, where: str) -> DecodingFailed:
    return DecodingFailed(
        f"{value} is no index of a Protobuf message",
        where=where,
        why="the payload is not Protobuf, or was framed by hand",
        remedy="correct the producer, or say in format= what it writes; then redrive the record",
    )


def _read_varint(raw: bytes, start: int, where: str) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(raw[start : start + _VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value >> 1 ^ -(value & 1), start + place + 1
    if len(raw) >= start + _VARINT_BYTES:
        raise _no_index(value, where)
    raise _cut_off(raw, where)
