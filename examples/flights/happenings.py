"""The domain events of ``flights``: what happens to a flight. They are private; others are told in ``contracts``."""

from datetime import datetime

from mainstem import DomainEvent


class Happening(DomainEvent, service="flights", key="flight_id"):
    """What all of them have in common. ``at`` is event time, in UTC."""

    flight_id: str
    station: str
    at: datetime


class Scheduled(Happening, topic="flights.history"):
    """It stands in the timetable."""

    destination: str
    tail_number: str


class Departed(Happening, topic="flights.history"):
    """It has left the gate; early ones have negative minutes."""

    delay_minutes: int


class Arrived(Happening, topic="flights.history"):
    """It has reached the gate it was bound for."""

    delay_minutes: int


class Cancelled(Happening, topic="flights.history"):
    """It will not depart."""


class Diverted(Happening, topic="flights.history"):
    """It went somewhere else than it was bound for."""


AnyHappening = Scheduled | Departed | Arrived | Cancelled | Diverted


class ReplayOrdered(DomainEvent, service="flights", topic="flights.replay", key="name"):
    """Somebody wants to see the flights again. ``speed`` is event time over wall time; 0 is as fast as possible."""

    name: str
    speed: float
