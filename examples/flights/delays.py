"""The service ``delays``: counts per station, and says so when a flight is late or does not depart.

A station is a carrier at an airport, "UA/EWR". Its totals are one value in a store, kept by whichever process has the
station's task, and committed together with what is published.
"""

from dataclasses import dataclass

from examples.flights.contracts import FlightCancelled, FlightDelayed, FlightStatus
from mainstem import Context, Service

LATE_MINUTES = 15


@dataclass
class Totals:
    """What a station has come to so far. Minutes are sums of all that are known, early ones negative."""

    flights: int = 0
    cancelled: int = 0
    diverted: int = 0
    departure_delays: int = 0
    arrival_delays: int = 0
    departure_delay_minutes: int = 0
    arrival_delay_minutes: int = 0

    def count(self, flight: FlightStatus) -> None:
        """Add something that has happened."""
        minutes = flight.delay_minutes or 0
        match flight.status:
            case "scheduled":
                self.flights += 1
            case "cancelled":
                self.cancelled += 1
            case "diverted":
                self.diverted += 1
            case "departed":
                self.departure_delays += minutes > LATE_MINUTES
                self.departure_delay_minutes += minutes
            case "arrived":
                self.arrival_delays += minutes > LATE_MINUTES
                self.arrival_delay_minutes += minutes


delays = Service("delays")
totals = delays.store("totals", Totals)


@delays.on(FlightStatus)
async def count(flight: FlightStatus, context: Context) -> FlightDelayed | FlightCancelled | None:
    """Count, and pass on what upsets a journey."""
    total = context.get(totals) or Totals()
    total.count(flight)
    context.put(totals, total)
    if flight.status == "cancelled":
        return FlightCancelled(flight.flight_id, flight.station)
    minutes = flight.delay_minutes or 0
    if minutes <= LATE_MINUTES:
        return None
    return FlightDelayed(
        flight.flight_id,
        flight.station,
        moment="departure" if flight.status == "departed" else "arrival",
        minutes=minutes,
    )
