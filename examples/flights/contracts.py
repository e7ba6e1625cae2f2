"""What the services of this example have agreed upon: the integration events that pass between them.

Nobody imports another service's own module. Whoever wants to know something subscribes to one of these.
"""

from datetime import datetime
from typing import Literal

from mainstem import IntegrationEvent

Status = Literal["scheduled", "departed", "arrived", "cancelled", "diverted"]


class FlightStatus(IntegrationEvent, topic="flights", key="station"):
    """Something has happened to a flight. Published by ``flights``.

    ``station`` is a carrier at an airport, "UA/EWR"; it is the key, so that whoever counts per station counts in one
    place. ``delay_minutes`` is known when a flight has departed or arrived; early ones are negative.
    """

    station: str
    flight_id: str
    status: Status
    at: datetime
    delay_minutes: int | None = None


class FlightDelayed(IntegrationEvent, topic="disruptions", key="flight_id"):
    """A flight has departed or arrived more than fifteen minutes late. Published by ``delays``."""

    flight_id: str
    station: str
    moment: Literal["departure", "arrival"]
    minutes: int


class FlightCancelled(IntegrationEvent, topic="disruptions", key="flight_id"):
    """A flight will not depart. Published by ``delays``."""

    flight_id: str
    station: str
