"""The layout of a row: it gives back what went in, and it is small."""

import os
import uuid
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstem.broker import Record
from mainstem.broker.sqlite.layout import (
    ROW_BYTES_MAX,
    ROW_RECORDS_MAX,
    Segment,
    SegmentColumns,
    column_values,
    common_of,
    decode,
    encode,
    pieces,
)

NAMES = st.sampled_from(["ce_id", "ce_type", "subject", "trace"])
IDS = st.uuids().map(lambda each: str(each).encode())
ODD_IDS = (
    IDS.map(bytes.upper) | IDS.map(lambda each: each.replace(b"-", b" ")) | st.just(b"\0" * 36) | st.just(b"-" * 36)
)
HEADERS = st.dictionaries(NAMES, st.binary(max_size=4) | IDS | ODD_IDS, max_size=4)
COMMON = {"ce_source": b"/shop", "ce_type": b"OrderPaid", "ce_specversion": b"1.0", "ce_kind": b"integration"}


def headers_of(segments: list[Segment]) -> list[dict[str, bytes]]:
    """All headers of each record."""
    common = common_of(segments)
    own = SegmentColumns(segments, common)
    columns = {name: own.column(name) for name in own.names()}
    assert not set(columns) & set(common)
    count = sum(len(segment.keys) for segment in segments)
    assert all(len(column) == count for column in columns.values())
    return [
        dict(common) | {name: value for name, column in columns.items() if (value := column[index]) is not None}
        for index in range(count)
    ]


def whole(record: Record) -> tuple[bytes | None, bytes | None, int, Mapping[str, bytes]]:
    """What a record says, wherever its headers stand."""
    return record.key, record.value, record.timestamp_ms, {**record.common, **record.own}


def decoded(segment: Segment) -> list[tuple[bytes | None, bytes | None, int, Mapping[str, bytes]]]:
    """The same of a segment."""
    return list(zip(segment.keys, segment.values, segment.timestamps, headers_of([segment]), strict=True))


@st.composite
def batches(draw: st.DrawFn) -> list[Record]:
    """Records that share their common headers in every possible way."""
    commons = draw(st.lists(HEADERS, min_size=1, max_size=3))
    commons.append(dict(commons[0]))
    found = []
    for _ in range(draw(st.integers(1, 24))):
        common = draw(st.sampled_from(commons))
        own = {name: value for name, value in draw(HEADERS).items() if name not in common}
        key, value = draw(st.none() | st.binary(max_size=3)), draw(st.none() | st.binary(max_size=3))
        found.append(Record(key, value, draw(st.integers(0, 1 << 42)), common, own))
    return found


@settings(max_examples=60)
@given(batches())
def test_a_row_gives_back_what_went_in(records: list[Record]) -> None:
    """Keys, values, timestamps and headers come back exactly, absent ones absent."""
    piece = encode(records)
    stamps = [record.timestamp_ms for record in records]
    assert piece[:3] == (len(records), min(stamps), max(stamps))
    segment = decode(70, piece.body, 0)
    assert list(segment.offsets) == list(range(70, 70 + len(records)))
    assert decoded(segment) == [whole(record) for record in records]


@settings(max_examples=60)
@given(batches(), st.data())
def test_a_row_can_be_entered_anywhere(records: list[Record], data: st.DataObject) -> None:
    """Reading from an offset on gives the records from there, whether or not the row has gaps."""
    gaps = data.draw(
        st.none() | st.lists(st.integers(0, 99), min_size=len(records), max_size=len(records), unique=True)
    )
    gaps = None if gaps is None else [gap - min(gaps) for gap in sorted(gaps)]
    offsets = [5 + gap for gap in gaps or range(len(records))]
    start = data.draw(st.integers(0, offsets[-1]))
    segment = decode(5, encode(records, gaps).body, start)
    assert list(segment.offsets) == [offset for offset in offsets if offset >= start]
    rest = records[len(records) - len(segment.keys) :]
    assert decoded(segment) == [whole(record) for record in rest]


@settings(max_examples=30)
@given(st.lists(batches(), min_size=1, max_size=4))
def test_rows_can_be_read_as_one(several: list[list[Record]]) -> None:
    """The headers of several rows read together are those of each record."""
    segments = [decode(0, encode(records).body, 0) for records in several]
    assert headers_of(segments) == [whole(record)[3] for records in several for record in records]


@pytest.mark.parametrize(
    "text", ["6f1c9f3e-5b0a-7c11-8a2b-0123456789ab", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]
)
def test_hexadecimal_texts_take_half_the_space(text: str) -> None:
    """Ids and trace parents are stored two digits a byte, and come back as they were."""
    values = [text.format(f"{number:08x}").encode() for number in range(100)]
    segment = decode(0, encode([Record(None, None, 0, own={"id": value}) for value in values]).body, 0)
    assert len(bytes(segment.columns["id"])) < 100 * len(values[0]) * 0.6
    assert column_values(segment.columns["id"]) == values


@pytest.mark.parametrize(
    "odd",
    [
        b"6F1C9F3E-5b0a-7c11-8a2b-0123456789ab",
        b"6f1c9f3e-5b0a-7c11-8a2b-0123456789 b",
        b"6f1c9f3e5-b0a-7c11-8a2b-0123456789ab",
    ],
)
def test_what_only_looks_like_them_is_left_alone(odd: bytes) -> None:
    """Capitals, blanks and other places of the hyphens survive."""
    values = [*(str(uuid.UUID(int=number)).encode() for number in range(20)), odd]
    segment = decode(0, encode([Record(None, None, 0, own={"id": value}) for value in values]).body, 0)
    assert column_values(segment.columns["id"]) == values


def test_common_headers_are_stored_once() -> None:
    """Records that share a mapping, or an equal one, cost nothing for it; with two types, a byte each."""

    def size(*commons: Mapping[str, bytes]) -> int:
        return len(encode([Record(None, b"v", 0, commons[number % len(commons)]) for number in range(1_000)]).body)

    bare = size({})
    assert size(COMMON) - bare < 150
    assert size(COMMON, dict(COMMON)) == size(COMMON)
    assert size(COMMON, {**COMMON, "ce_type": b"OrderLost"}) - size(COMMON) < 1_100


def test_equal_headers_are_one_dictionary() -> None:
    """Rows with equal common headers give the very same mapping, so that a reader can tell at a glance."""
    first, second = (decode(0, encode([Record(None, b"v", 0, dict(COMMON))]).body, 0) for _ in range(2))
    assert first.common is second.common


def test_a_typical_batch_is_small() -> None:
    """Events of 300 bytes with an id of 36 characters take at most 1.15 times their payload."""
    records = []
    for number in range(500):
        key, value, own = b"c-%d" % number, os.urandom(300), {"ce_id": str(uuid.uuid4()).encode()}
        records.append(Record(key, value, 1_700_000_000_000 + number // 10, COMMON, own))
    assert len(encode(records).body) < 1.15 * 300 * 500


def test_long_appends_are_cut_into_rows() -> None:
    """A row has at most a thousand records, and a megabyte unless a single record is larger."""
    many = [Record(None, b"v", 0)] * 2_500
    assert [piece.records for piece in pieces(many)] == [1_000, 1_000, 500]
    large = [Record(None, bytes(400_000), 0)] * 5 + [Record(None, bytes(3_000_000), 0)] + [Record(None, b"", 0)] * 2
    cut = pieces(large)
    assert [piece.records for piece in cut] == [2, 2, 1, 1, 2]
    assert all(len(piece.body) < ROW_BYTES_MAX * 1.01 for piece in cut if piece.records > 1)
    assert ROW_RECORDS_MAX == 1_000


def test_the_layout_is_this_one() -> None:
    """The bytes of a row are part of the file format: another layout needs another format version."""
    records = [Record(b"a", b"1", 5, {"t": b"x"}, {"i": b"7"}), Record(None, None, 6, {"t": b"x"})]
    assert msgspec.msgpack.decode(encode(records).body) == [
        [b"a", None],
        [b"1", None],
        [5, 1],
        {"t": b"x"},
        {"i": [0, [b"7", None]]},
        None,
    ]
