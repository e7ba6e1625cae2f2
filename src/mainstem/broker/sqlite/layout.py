"""How records lie in a row of the log: in columns, what they have in common once.

A row is a MessagePack array of keys, values, timestamps, common headers and the columns of the others. The common
headers and the columns stay bytes until somebody reads them. Six headers written with every record would cost more
than everything else in the loop, and more than half of the file.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from mainstem.broker import Headers, Record

ROW_RECORDS_MAX: Final = 1_000
ROW_BYTES_MAX: Final = 1_000_000

Values = Sequence[bytes | None]


class Piece(NamedTuple):
    """Records encoded for one row."""

    records: int
    oldest: int
    newest: int
    body: bytes


class Segment(NamedTuple):
    """The records of one row, or of the part of it that is wanted."""

    offsets: Sequence[int]
    keys: Values
    values: Values
    timestamps: Sequence[int]
    common: Headers
    columns: Mapping[str, Raw]
    skipped: int
    """How many records of the row stand before the first one; the columns still have them."""


class _Body(Struct, array_like=True, gc=False):
    keys: list[bytes | None]
    values: list[bytes | None]
    timestamps: int | list[int]
    common: Raw
    columns: dict[str, Raw]
    gaps: list[int] | None = None


class _Plain(Struct, array_like=True, tag=0, gc=False):
    values: list[bytes | None]


class _Hex(Struct, array_like=True, tag=1, gc=False):
    """Texts that differ in hexadecimal digits alone, as UUIDs and trace parents do: two digits a byte."""

    template: bytes
    digits: bytes


class _Coded(Struct, array_like=True, tag=2, gc=False):
    """Few different values: a table of them, and a byte for each record."""

    table: list[bytes | None]
    which: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode_body = msgspec.msgpack.Decoder(_Body).decode
_decode_common = msgspec.msgpack.Decoder(dict[str, bytes]).decode
_decode_column = msgspec.msgpack.Decoder(_Plain | _Hex | _Coded).decode
_encode_no_headers: Final = _encode({})
_commons: dict[bytes, dict[str, bytes]] = {}
_COMMONS_KEPT: Final = 4_096


def pieces(records: Sequence[Record]) -> list[Piece]:
    """Encode records, in rows of at most about a thousand records and a megabyte."""
    sizes = [len(record.value or b"") + len(record.key or b"") for record in records]
    if len(records) <= ROW_RECORDS_MAX and sum(sizes) <= ROW_BYTES_MAX:
        return [encode(records)]
    encoded: list[Piece] = []
    start = size = 0
    for index, more in enumerate(sizes):
        if index - start == ROW_RECORDS_MAX or (size + more > ROW_BYTES_MAX and index > start):
            encoded.append(encode(records[start:index]))
            start, size = index, 0
        size += more
    encoded.append(encode(records[start:]))
    return encoded


def encode(records: Sequence[Record], gaps: list[int] | None = None) -> Piece:
    """Encode records for one row. ``gaps`` are their offsets within the row, unless these are 0, 1, 2 and so on."""
    timestamps = [record.timestamp_ms for record in records]
    oldest, newest = min(timestamps), max(timestamps)
    common, columns = _shared([record.common for record in records])
    for name, values in _own_columns([record.own for record in records]).items():
        # What is common to some records may be another one's own.
        shared = columns.get(name)
        columns[name] = values if shared is None else list(map(_either, values, shared))
    first = timestamps[0]
    body = _Body(
        [record.key for record in records],
        [record.value for record in records],
        first if oldest == newest else [first, *(timestamp - first for timestamp in timestamps[1:])],
        Raw(_encode(common) if common else _encode_no_headers),
        {name: Raw(_encode(_column(values))) for name, values in columns.items()},
        gaps,
    )
    return Piece(len(records), oldest, newest, _encode(body))


def decode(base: int, body: bytes, start: int) -> Segment:
    """The records of a row whose first offset is ``base``, from the offset ``start`` on; there may be none."""
    row = _decode_body(body)
    keys, values, stamps, gaps = row.keys, row.values, row.timestamps, row.gaps
    count = len(keys)
    timestamps = [stamps] * count if isinstance(stamps, int) else [stamps[0], *map(stamps[0].__add__, stamps[1:])]
    offsets: Sequence[int] = range(base, base + count) if gaps is None else [base + gap for gap in gaps]
    skipped = 0
    if start > offsets[0]:
        skipped = start - base if gaps is None else sum(offset < start for offset in offsets)
        offsets, timestamps = offsets[skipped:], timestamps[skipped:]
        keys, values = keys[skipped:], values[skipped:]
    return Segment(offsets, keys, values, timestamps, _common(row.common), row.columns, skipped)


def _common(raw: Raw) -> dict[str, bytes]:
    """Equal headers give the same dictionary, which makes them cheap to compare."""
    key = bytes(raw)
    common = _commons.get(key)
    if common is None:
        if len(_commons) >= _COMMONS_KEPT:
            _commons.clear()
        common = _commons[key] = _decode_common(key)
    return common


def _shared(commons: list[Headers]) -> tuple[Headers, dict[str, Values]]:
    """What all records have in common, and the columns of what only some of them share."""
    distinct = {id(common): common for common in commons}
    if len(distinct) == 1:
        return commons[0], {}
    mappings = list(distinct.values())
    first = mappings[0]
    if all(mapping == first for mapping in mappings):
        return first, {}
    common = {name: value for name, value in first.items() if all(mapping.get(name) == value for mapping in mappings)}
    names = dict.fromkeys(chain.from_iterable(mappings))
    return common, {name: [each.get(name) for each in commons] for name in names if name not in common}


def _either(own: bytes | None, shared: bytes | None) -> bytes | None:
    return shared if own is None else own


def _own_columns(owns: list[Headers]) -> dict[str, Values]:
    counts = set(map(len, owns))
    if counts == {0}:
        return {}
    if len(counts) == 1:
        try:
            return {name: [own[name] for own in owns] for name in owns[0]}
        except KeyError:
            pass
    names = dict.fromkeys(chain.from_iterable(owns))
    return {name: [own.get(name) for own in owns] for name in names}


_CODED_FROM: Final = 8
_CODED_VALUES_MAX: Final = 255
_HEX_DIGITS: Final = frozenset(b"0123456789abcdef")
_HEX_LENGTHS: Final = range(16, 65)


def _column(values: Values) -> _Plain | _Hex | _Coded:
    """The smallest form of a column that gives exactly the same values back."""
    count = len(values)
    if count < _CODED_FROM:
        return _Plain(list(values))
    distinct = set(values)
    if len(distinct) <= min(_CODED_VALUES_MAX, count // 2):
        table = list(distinct)
        codes = {value: code for code, value in enumerate(table)}
        return _Coded(table, bytes([codes[value] for value in values]))
    return _Plain(list(values)) if None in distinct else _packed(values) or _Plain(list(values))


def _packed(values: Values) -> _Hex | None:
    first = values[0] or b""
    length = len(first)
    texts = [value or b"" for value in values]
    if length not in _HEX_LENGTHS or set(map(len, texts)) != {length} or 0 in first:
        return None
    joined = b"".join(texts)
    template = bytes(0 if char in _HEX_DIGITS else char for char in first)
    fixed = [index for index, char in enumerate(template) if char]
    if (length - len(fixed)) % 2 or len(fixed) * 2 > length:
        return None
    digits = bytearray(joined)
    for taken, index in enumerate(reversed(fixed)):
        if joined[index::length].strip(template[index : index + 1]):
            return None
        del digits[index :: length - taken]
    try:
        packed = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return None
    return _Hex(template, packed) if packed.hex().encode() == digits else None


def column_values(raw: Raw) -> Values:
    """Decode a column."""
    column = _decode_column(raw)
    if isinstance(column, _Plain):
        return column.values
    if isinstance(column, _Coded):
        return list(map(column.table.__getitem__, column.which))
    template, digits = column.template, column.digits.hex().encode()
    length = len(template)
    places = [index for index, char in enumerate(template) if not char]
    text = bytearray(template * (len(digits) // len(places)))
    for place, index in enumerate(places):
        text[index::length] = digits[place :: len(places)]
    whole = bytes(text)
    return [whole[start : start + length] for start in range(0, len(whole), length)]


class SegmentColumns:
    """The headers that differ within segments that are read as one batch."""

    __slots__ = ("_columns", "_common", "_segments")

    def __init__(self, segments: Sequence[Segment], common: Headers) -> None:
        """``common`` are the headers that every segment has in common."""
        self._segments = segments
        self._common = common
        self._columns: dict[str, Values] = {}

    def names(self) -> Sequence[str]:
        """The names that at least one record has."""
        everywhere = chain.from_iterable(chain(segment.common, segment.columns) for segment in self._segments)
        return [name for name in dict.fromkeys(everywhere) if name not in self._common]

    def column(self, name: str) -> Values:
        """The header of each record."""
        values = self._columns.get(name)
        if values is None:
            parts = [_part(segment, name) for segment in self._segments]
            values = self._columns[name] = parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))
        return values


def _part(segment: Segment, name: str) -> Values:
    raw = segment.columns.get(name)
    if raw is not None:
        values = column_values(raw)
        return values[segment.skipped :] if segment.skipped else values
    return list(repeat(segment.common.get(name), len(segment.keys)))


def common_of(segments: Iterable[Segment]) -> Headers:
    """The headers that every record of the segments has with the same value."""
    distinct = list({id(segment.common): segment.common for segment in segments}.values())
    first, *others = distinct
    if not others:
        return first
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
