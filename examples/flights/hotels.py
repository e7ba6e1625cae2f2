"""The service ``hotels``: finds rooms for stranded passengers. The hotel it asks is flaky, on purpose.

Some calls fail twice and then succeed: the flight is parked, tried again later, and the other flights go on meanwhile.
Some fail until somebody has mended something: these flights become dead letters, what happens to them later waits
behind in order, and it goes on where it stopped when they are redriven.
"""

from hashlib import blake2b

from examples.flights.contracts import FlightCancelled, FlightDelayed
from examples.flights.surroundings import HOTEL_IS_OPEN
from mainstem import Context, Retry, Service


class HotelBusy(Exception):
    """Try again in a moment."""


class HotelClosed(Exception):
    """Trying again does not help."""


class Hotel:
    """Answers the same way for the same flight, so that every run of the demo sees the same failures."""

    async def book(self, flight_id: str, *, attempt: int) -> None:
        """Book rooms. Raises HotelBusy for one flight in forty, HotelClosed for one in a hundred."""
        if is_closed_for(flight_id) and not HOTEL_IS_OPEN.exists():
            raise HotelClosed(flight_id)
        if dice(flight_id) % 40 == 1 and attempt <= 2:
            raise HotelBusy(flight_id)


def dice(flight_id: str) -> int:
    """A number that looks like chance, and is the same for a flight every time."""
    return int.from_bytes(blake2b(flight_id.encode(), digest_size=4).digest(), "big")


def is_closed_for(flight_id: str) -> bool:
    """Whether a booking for this flight fails until the hotel opens."""
    return dice(flight_id) % 100 == 0


hotels = Service("hotels")
hotels.provide(Hotel, Hotel)
booked = hotels.store("booked", int)

PATIENCE = Retry.on(HotelBusy).later("200ms", "500ms", "1s").also_on(HotelClosed).dead_letter()


@hotels.on(FlightDelayed, FlightCancelled, retry=PATIENCE)
async def book_rooms(disruption: FlightDelayed | FlightCancelled, context: Context, hotel: Hotel) -> None:
    """One booking for each disruption; what is remembered counts a booking that has succeeded, once."""
    await hotel.book(disruption.flight_id, attempt=context.attempt)
    context.put(booked, context.get(booked, 0) + 1)
