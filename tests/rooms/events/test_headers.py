"""Which headers are written, and which are left out because they would say nothing."""

from datetime import UTC, datetime, timedelta, timezone
from typing import cast

import pytest

from mainstem.errors import EventRefused
from mainstem.events import (
    Attributes,
    DomainEvent,
    IntegrationEvent,
    Origin,
    Topic,
    common_headers,
    declaration_of,
    lineage,
    own_headers,
)

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
    assert own_headers(b"e-1", {}) == {"ce_id": b"e-1"}


def test_an_event_has_its_lineage_beside_its_id() -> None:
    """What is known of where it comes from, and no header for what is not known."""
    assert own_headers(b"e-2", lineage(b"e-0", b"e-1")) == {
        "ce_id": b"e-2",
        "ce_correlationid": b"e-0",
        "ce_causationid": b"e-1",
    }
    assert lineage(None, None, b"00-t", b"a=1") == {"traceparent": b"00-t", "tracestate": b"a=1"}


def test_a_time_that_is_the_records_is_left_out() -> None:
    """Only a time that differs from the record's timestamp is written; a microsecond is a difference."""
    stamp = ORIGIN.timestamp_ms
    assert Attributes(time=HAPPENED).headers(stamp) == {}
    assert Attributes(time=HAPPENED).headers(0) == {"ce_time": b"2013-01-01T05:17:00Z"}
    later = HAPPENED + timedelta(microseconds=1)
    assert Attributes(time=later).headers(stamp) == {"ce_time": b"2013-01-01T05:17:00.000001Z"}


def test_a_time_is_written_in_utc() -> None:
    """Whatever the zone it was given in."""
    local = datetime(2013, 1, 1, 0, 17, tzinfo=timezone(timedelta(hours=-5)))
    assert Attributes(time=local).headers(0)["ce_time"] == b"2013-01-01T05:17:00Z"


def test_what_is_stated_is_written() -> None:
    """With the prefix of the Kafka binding, as UTF-8."""
    stated = Attributes(subject="Zürich", correlation_id="o-1", extensions={"tenantid": "t-1", "empty": ""})
    assert stated.headers(0) == {
        "ce_subject": "Zürich".encode(),
        "ce_correlationid": b"o-1",
        "ce_tenantid": b"t-1",
        "ce_empty": b"",
    }
    assert Attributes().headers(0) == {}


@pytest.mark.parametrize("name", ["tenant_id", "Tenant", "", "a" * 21, "data", "id", "correlationid", "ünicode"])
def test_an_extension_needs_a_legal_name(name: str) -> None:
    """Lowercase letters and digits, at most twenty, and none that means something already."""
    with pytest.raises(EventRefused, match="extension attribute"):
        Attributes(extensions={name: "x"}).headers(0)


@pytest.mark.parametrize(
    ("stated", "what"),
    [
        (Attributes(subject=""), "the attribute subject is empty"),
        (Attributes(subject=cast("str", 7)), "the attribute subject is a int"),
        (Attributes(correlation_id=""), "the attribute correlation_id is empty"),
        (Attributes(extensions={"tenantid": cast("str", b"t")}), "the attribute tenantid is a bytes"),
        (Attributes(extensions={"tenantid": "\ud800"}), "the attribute tenantid is not Unicode"),
        (Attributes(time=HAPPENED.replace(tzinfo=None)), "no time zone"),
        (Attributes(time=cast("datetime", "2013-01-01")), "is no datetime"),
    ],
)
def test_what_no_reader_would_take_is_refused(stated: Attributes, what: str) -> None:
    """Texts are texts, a subject says something, and a time means one moment everywhere."""
    with pytest.raises(EventRefused, match=what):
        stated.headers(0)
