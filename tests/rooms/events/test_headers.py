"""Which headers are written, and which are left out because they would say nothing."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mainstem.errors import EventRefused
from mainstem.events import (
    DomainEvent,
    Envelope,
    IntegrationEvent,
    Origin,
    Topic,
    common_headers,
    declaration_of,
    lineage,
    lineage_of,
    own_headers,
)

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HAPPENED = datetime(2013, 1, 1, 5, 17, tzinfo=UTC)
ORIGIN = Origin("orders", 3, 41, 1_357_017_420_000, b"c-9")


class OrderPaid(IntegrationEvent, topic="orders"):
    """A contract in its first version."""


class RoomBooked(DomainEvent, topic="rooms", service="booking", namespace="Booking", version=2):
    """A private event in its second version."""


def test_what_a_type_has_in_common() -> None:
    """Specification, type, source, kind and content type stand in the common headers; version 1 goes without saying."""
    assert common_headers(declaration_of(OrderPaid), "/shop") == {
        "ce_specversion": b"1.0",
        "ce_type": b"OrderPaid",
        "ce_source": b"/shop",
        "ce_kind": b"integration",
        "content-type": b"application/json",
    }


def test_a_later_version_is_stated() -> None:
    """From the second major version on, it stands beside the name with its namespace."""
    headers = common_headers(declaration_of(RoomBooked), "/booking")
    assert (headers["ce_type"], headers["ce_eventversion"], headers["ce_kind"]) == (
        b"Booking.RoomBooked",
        b"2",
        b"domain",
    )


def test_a_foreign_topic_gets_what_it_declares() -> None:
    """Without envelope there are no headers; with one, there is no kind to state."""
    assert common_headers(declaration_of(Topic("t", dict, envelope=None)), "/shop") == {}
    assert "ce_kind" not in common_headers(declaration_of(Topic("t", dict)), "/shop")


def test_an_event_alone_has_its_id_only() -> None:
    """Nothing else differs from what a reader takes for granted."""
    assert own_headers("e-1") == {"ce_id": b"e-1"}


def test_a_correlation_id_that_is_the_id_is_left_out() -> None:
    """A reader takes the id for it; another one is written."""
    assert own_headers("e-1", lineage(correlation_id="e-1")) == {"ce_id": b"e-1"}
    assert own_headers("e-1", lineage(correlation_id="e-0"))["ce_correlationid"] == b"e-0"


def test_a_time_that_is_the_records_is_left_out() -> None:
    """Only a time that differs from the record's timestamp is written; a microsecond is a difference."""
    stamp = ORIGIN.timestamp_ms
    assert own_headers("e", time=HAPPENED, timestamp_ms=stamp) == {"ce_id": b"e"}
    assert own_headers("e", time=HAPPENED)["ce_time"] == b"2013-01-01T05:17:00Z"
    later = HAPPENED + timedelta(microseconds=1)
    assert own_headers("e", time=later, timestamp_ms=stamp)["ce_time"] == b"2013-01-01T05:17:00.000001Z"


def test_a_time_is_written_in_utc() -> None:
    """Whatever the zone it was given in."""
    local = datetime(2013, 1, 1, 0, 17, tzinfo=timezone(timedelta(hours=-5)))
    assert own_headers("e", time=local)["ce_time"] == b"2013-01-01T05:17:00Z"


def test_a_time_without_zone_is_refused() -> None:
    """It would mean another moment elsewhere."""
    with pytest.raises(EventRefused, match="no time zone"):
        own_headers("e", time=HAPPENED.replace(tzinfo=None), timestamp_ms=0)


def test_subject_and_extensions_are_written() -> None:
    """With the prefix of the Kafka binding, as UTF-8."""
    own = own_headers("e", subject="Zürich", extensions={"tenantid": "t-1"})
    assert own == {"ce_id": b"e", "ce_subject": "Zürich".encode(), "ce_tenantid": b"t-1"}


@pytest.mark.parametrize("name", ["tenant_id", "Tenant", "", "a" * 21, "data", "id", "correlationid", "ünicode"])
def test_an_extension_needs_a_legal_name(name: str) -> None:
    """Lowercase letters and digits, at most twenty, and none that means something already."""
    with pytest.raises(EventRefused, match="extension attribute"):
        own_headers("e", extensions={name: "x"})


def test_outputs_inherit_from_their_cause() -> None:
    """The correlation id of the cause (its id, when it began it all), its id as causation, its trace context."""
    first = Envelope({"traceparent": TRACE.encode(), "tracestate": b"a=1"}, {"ce_id": b"e-1"}, ORIGIN)
    second = Envelope({}, own_headers("e-2", lineage_of(first)), ORIGIN)
    assert (second.correlation_id, second.causation_id) == ("e-1", "e-1")
    assert (second.traceparent, second.tracestate) == (TRACE, "a=1")
    third = Envelope({}, own_headers("e-3", lineage_of(second, TRACE.replace("b7", "c8"))), ORIGIN)
    assert (third.correlation_id, third.causation_id) == ("e-1", "e-2")
    assert (third.traceparent, third.tracestate) == (TRACE.replace("b7", "c8"), None)


def test_without_a_trace_nothing_is_written_about_one() -> None:
    """An event that nobody traces carries no empty trace context."""
    assert lineage_of(Envelope({}, {"ce_id": b"e-1"}, ORIGIN)) == {
        "ce_correlationid": b"e-1",
        "ce_causationid": b"e-1",
    }
