"""A domain event inside one service becomes an integration event for the others."""

from mainstem import Context, DomainEvent, IntegrationEvent, NotificationEvent, Service, running
from tests.journeys.conditions import until


class SeatTaken(DomainEvent, topic="seats", key="flight", service="booking"):
    flight: str
    passenger: str


class FlightFilled(IntegrationEvent, topic="flights", key="flight", namespace="Airport"):
    flight: str
    passengers: int


class Mail(NotificationEvent, topic="mails", key="recipient"):
    recipient: str
    text: str


async def test_a_domain_event_is_translated_for_others() -> None:
    """Two services meet through an integration event; what they learn leads back to the event that began it."""
    booking, gates = Service("booking", publishes=(SeatTaken,)), Service("gates")
    seats = booking.store("seats", int)
    told: list[tuple[object, str, str | None, dict[str, bytes]]] = []

    @booking.on(SeatTaken)
    async def count(seat: SeatTaken, context: Context) -> FlightFilled | None:
        context.put(seats, taken := context.get(seats, 0) + 1)
        return FlightFilled(seat.flight, taken) if taken == 3 else None

    @gates.on(FlightFilled)
    async def prepare(flight: FlightFilled, context: Context) -> tuple[Mail, Mail]:
        told.append((flight, context.correlation_id, context.causation_id, dict(context.headers)))
        return Mail("crew", f"{flight.flight} is full"), Mail("gate", f"{flight.passengers} passengers")

    @gates.on(Mail)
    async def deliver(mail: Mail, context: Context) -> None:
        told.append((mail, context.correlation_id, context.causation_id, dict(context.headers)))

    async with running(booking, gates, broker="sqlite:///:memory:", dev=True):
        for passenger in ("ann", "bob", "cid"):
            await booking.publish(SeatTaken("UA 1", passenger))
        await until(lambda: len(told) == 3)

    (filled, correlation, cause, headers), *mails = told
    assert filled == FlightFilled("UA 1", 3)
    assert correlation == cause
    assert (headers["ce_type"], headers["ce_kind"], headers["ce_source"]) == (
        b"Airport.FlightFilled",
        b"integration",
        b"/booking",
    )
    assert {mail.text for mail, *_ in mails if isinstance(mail, Mail)} == {"UA 1 is full", "3 passengers"}
    for _, again, mail_cause, mail_headers in mails:
        assert (again, mail_cause) == (correlation, headers["ce_id"].decode())
        assert (mail_headers["ce_kind"], mail_headers["ce_source"]) == (b"notification", b"/gates")


async def test_one_handler_takes_several_types_and_another_only_some() -> None:
    """A handler may be registered for several types, and a predicate on attributes leaves events out undecoded."""
    booking, watch = Service("booking", publishes=(SeatTaken, FlightFilled)), Service("booking-watch")
    booking_seen: list[object] = []
    big: list[FlightFilled] = []

    @booking.on(SeatTaken, FlightFilled)
    async def see(event: SeatTaken | FlightFilled) -> None:
        booking_seen.append(event)

    @watch.on(FlightFilled, where=lambda envelope: envelope.header("ce_correlationid") is not None)
    async def caused(flight: FlightFilled) -> None:
        big.append(flight)

    @watch.on(FlightFilled)
    async def every(flight: FlightFilled) -> None:
        booking_seen.append(flight)

    async with running(booking, watch, broker="sqlite:///:memory:", dev=True):
        await booking.publish(SeatTaken("UA 1", "ann"), FlightFilled("UA 1", 1))
        await until(lambda: len(booking_seen) == 3)
    assert big == []
