"""The service ``notices``: tells passengers. For now a letterbox takes what would go out by mail: a file, a line each.

A file is outside the log, so a line is written at least once: a process that dies between writing and committing writes
it again. Both lines have the same idempotency key, by which they can be recognised; so would a mail server's.
"""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from examples.flights.contracts import FlightCancelled, FlightDelayed
from examples.flights.surroundings import DATA, LETTERBOX
from examples.flights.timetable import read_airlines
from mainstem import Context, NotificationEvent, Service


class Notice(NotificationEvent, topic="notices", key="flight_id"):
    """Something that the passengers of a flight should know."""

    flight_id: str
    text: str


class Airlines(dict[str, str]):
    """The names of the carriers, by code."""


class Letterbox:
    """A file to which several processes may add lines."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def drop(self, letter: dict[str, object]) -> None:
        """Add a line, in one piece."""
        os.write(self._file, json.dumps(letter).encode() + b"\n")

    def close(self) -> None:
        """Done."""
        os.close(self._file)


@contextmanager
def open_letterbox() -> Generator[Letterbox, None, None]:
    """Opened once in each process."""
    letterbox = Letterbox(LETTERBOX)
    try:
        yield letterbox
    finally:
        letterbox.close()


notices = Service("notices")
notices.provide(Airlines, lambda: Airlines(read_airlines(DATA)))
notices.provide(Letterbox, open_letterbox)


@notices.on(FlightDelayed)
async def tell_of_a_delay(delay: FlightDelayed, airlines: Airlines) -> Notice:
    """An integration event in, a notification out."""
    verb = "departs" if delay.moment == "departure" else "arrives"
    return Notice(delay.flight_id, f"{named(delay.flight_id, airlines)} {verb} {delay.minutes} minutes late.")


@notices.on(FlightCancelled)
async def tell_of_a_cancellation(cancelled: FlightCancelled, airlines: Airlines) -> Notice:
    """The same for flights that will not depart."""
    return Notice(cancelled.flight_id, f"{named(cancelled.flight_id, airlines)} is cancelled. We are sorry.")


@notices.on(Notice)
def deliver(notice: Notice, context: Context, letterbox: Letterbox) -> None:
    """A plain function: it waits for the disk, so it runs in a thread."""
    letterbox.drop(
        {
            "idempotency_key": context.idempotency_key("letter"),
            "flight": notice.flight_id,
            "text": notice.text,
            "replayed_ms": context.timestamp_ms,
            "delivered_ms": context.now_ms,
        }
    )


def named(flight_id: str, airlines: Airlines) -> str:
    """ "United Air Lines Inc. flight 1545" for "UA1545#1"."""
    flight, _, _ = flight_id.partition("#")
    return f"{airlines.get(flight[:2], flight[:2])} flight {flight[2:]}"
