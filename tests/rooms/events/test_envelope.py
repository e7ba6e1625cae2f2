"""Reading the envelope, and what is refused in it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.errors import DecodingFailed
from mainstem.events import (
    Attributes,
    Envelope,
    IntegrationEvent,
    Origin,
    Topic,
    common_headers,
    declaration_of,
    foreign_envelope,
    lineage,
    own_headers,
)
from mainstem.identifiers import derive

ORIGIN = Origin("orders", 3, 41, 1_357_017_420_123, b"c-9")
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


class OrderPaid(IntegrationEvent, topic="orders", version=2):
    """A contract in its second version."""


COMMON = common_headers(declaration_of(OrderPaid), "/shop")


def envelope(**own: bytes) -> Envelope:
    """The envelope of an OrderPaid with further headers."""
    return Envelope(COMMON, {"ce_id": b"e-1"} | {f"ce_{name}": value for name, value in own.items()}, ORIGIN)


def test_everything_stated_is_read() -> None:
    """What the two halves of the headers say, as text, number and time."""
    stated = Attributes(subject="o-1", time=datetime(2013, 1, 1, tzinfo=UTC), extensions={"tenantid": "t"})
    inherited = lineage(b"e-0", b"e-0", b"00-t", b"v=1")
    read = Envelope(COMMON, own_headers(b"e-1", inherited | stated.headers(ORIGIN.timestamp_ms)), ORIGIN)
    read.check()
    assert (read.id, read.source, read.type, read.version, read.kind) == ("e-1", "/shop", "OrderPaid", 2, "integration")
    assert (read.subject, read.time) == ("o-1", datetime(2013, 1, 1, tzinfo=UTC))
    assert (read.correlation_id, read.causation_id, read.traceparent, read.tracestate) == ("e-0", "e-0", "00-t", "v=1")
    assert (read.content_type, read.extensions) == ("application/json", {"tenantid": "t"})


def test_what_is_left_out_has_its_meaning() -> None:
    """No correlation id means the id, no time the record's, no version the first; the rest is absent."""
    read = Envelope({"ce_specversion": b"1.0", "ce_source": b"/x", "ce_type": b"T"}, {"ce_id": b"e-1"}, ORIGIN)
    read.check()
    assert (read.correlation_id, read.version, read.kind) == ("e-1", 1, None)
    assert read.time == datetime(2013, 1, 1, 5, 17, 0, 123_000, tzinfo=UTC)
    assert (read.subject, read.causation_id, read.traceparent, read.content_type) == (None, None, None, None)


@given(TIMES, st.integers(-(10**10), 10**13))
def test_a_time_survives_whatever_the_records_timestamp(time: datetime, timestamp_ms: int) -> None:
    """Left out or written, a reader finds the moment that was given."""
    own = Attributes(time=time).headers(timestamp_ms)
    assert Envelope(COMMON, own, Origin("t", 0, 0, timestamp_ms)).time == time


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-01-01T05:17:00Z", datetime(2013, 1, 1, 5, 17, tzinfo=UTC)),
        ("2013-01-01t05:17:00.5z", datetime(2013, 1, 1, 5, 17, 0, 500_000, tzinfo=UTC)),
        ("2013-01-01T05:17:00.123456789Z", datetime(2013, 1, 1, 5, 17, 0, 123_456, tzinfo=UTC)),
        ("2013-01-01T00:17:00-05:00", datetime(2013, 1, 1, 5, 17, tzinfo=UTC)),
        ("2013-01-01T05:17:00-00:00", datetime(2013, 1, 1, 5, 17, tzinfo=UTC)),
        ("2013-01-01T05:17:00+14:30", datetime(2013, 1, 1, 5, 17, tzinfo=timezone(timedelta(hours=14, minutes=30)))),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_times_of_rfc_3339(text: str, moment: datetime) -> None:
    """Fractions of any length, offsets, small letters and leap seconds."""
    assert envelope(time=text.encode()).time == moment


@pytest.mark.parametrize(
    "text",
    [
        "2013-01-01",
        "2013-01-01T05:17Z",
        "2013-01-01 05:17:00Z",
        "2013-01-01T05:17:00",
        "2013-01-01T24:00:00Z",
        "2013-02-30T05:17:00Z",
        "2013-01-01T05:60:00Z",
        "2013-01-01T05:17:00.Z",
        "2013-01-01T05:17:00+0500",
        "2013-01-01T05:17:00+24:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+05:00",
        "20130101T051700Z",
        "1357017420",
        "٢٠١٣-01-01T05:17:00Z",
        "",
    ],
)
def test_other_times_are_refused(text: str) -> None:
    """What RFC 3339 does not allow, and days that are not, raise an error that shows the text."""
    with pytest.raises(DecodingFailed, match="ce_time"):
        _ = envelope(time=text.encode()).time


@pytest.mark.parametrize("missing", ["ce_specversion", "ce_id", "ce_source", "ce_type"])
def test_a_missing_required_attribute_is_named(missing: str) -> None:
    """So is the record, and the way to read topics without envelope."""
    headers = {**COMMON, "ce_id": b"e-1"}
    for value in (None, b""):
        broken = {name: data for name, data in headers.items() if name != missing}
        if value is not None:
            broken[missing] = value
        with pytest.raises(DecodingFailed, match=missing) as caught:
            Envelope(broken, {}, ORIGIN).check()
        assert caught.value.where == "orders[3] offset 41"
        assert "envelope=None" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("specversion", b"0.3"),
        ("specversion", b"2.0"),
        ("eventversion", b"0"),
        ("eventversion", b"1.5"),
        ("eventversion", b"-1"),
        ("time", b"yesterday"),
        ("subject", b"\xff"),
        ("tenant_id", b"x"),
        ("Tenant", b"x"),
        ("data", b"x"),
        ("a" * 21, b"x"),
        ("extension", b"\xff"),
    ],
)
def test_a_check_finds_every_broken_rule(name: str, value: bytes) -> None:
    """Versions, times, names and encodings that CloudEvents does not allow are refused."""
    with pytest.raises(DecodingFailed) as caught:
        envelope(**{name: value}).check()
    assert f"ce_{name}" in caught.value.what


@given(
    st.dictionaries(
        st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20).map("x{:.19}".format),
        st.text(st.characters(exclude_categories=["Cs"])),
        max_size=4,
    )
)
def test_unknown_attributes_survive_a_round_trip(extensions: dict[str, str]) -> None:
    """What is not known here is read, and written again, word for word."""
    first = Envelope(COMMON, own_headers(b"e-1", Attributes(extensions=extensions).headers(0)), ORIGIN)
    second = Envelope(COMMON, own_headers(b"e-1", Attributes(extensions=first.extensions).headers(0)), ORIGIN)
    assert second.extensions == extensions
    assert second.headers == first.headers


def test_a_record_without_envelope_gets_one_from_its_place() -> None:
    """The id derives from topic, partition and offset, the source is the topic; its own headers stay.

    An id that stands in a header holds all the same: a record that was moved keeps its id there.
    """
    declaration = declaration_of(Topic("erp.orders", dict, type_name="ErpOrder", envelope=None))
    origin = Origin("erp.orders", 3, 41, 1_357_017_420_123)
    read = foreign_envelope(declaration, {"x-tenant": b"t", "traceparent": b"00-t"}, origin)
    read.check()
    assert read.id == derive("erp.orders", "3", "41")
    assert (read.source, read.type, read.version, read.kind) == ("erp.orders", "ErpOrder", 1, None)
    assert (read.traceparent, read.header("x-tenant")) == ("00-t", b"t")
    assert foreign_envelope(declaration, {}, origin._replace(offset=42)).id != read.id
    assert foreign_envelope(declaration, {"ce_id": b"moved"}, origin).id == "moved"


def test_nothing_is_decoded_until_it_is_asked_for() -> None:
    """A broken attribute that nobody reads harms nobody."""
    read = envelope(subject=b"\xff")
    assert read.id == "e-1"
    with pytest.raises(DecodingFailed, match="not UTF-8"):
        _ = read.subject
