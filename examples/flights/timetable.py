"""From the file of flights to what happened, in the order in which it happened.

A row of the file is a flight; a row that stands twice is two flights, so a flight's id holds its place in the file.
"""

import csv
import gzip
import io
import zipfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TextIO

from examples.flights.happenings import AnyHappening, Arrived, Cancelled, Departed, Diverted, Scheduled

PUBLISHED_AHEAD = timedelta(days=1)
# The file has arrivals in the local time of airports whose zones it does not tell; the order needs no more than this.
DIVERSION_TAKES = timedelta(hours=6)


class Row(NamedTuple):
    """A flight, as the file has it. Delays and air time are minutes, None where they are not known."""

    flight_id: str
    station: str
    destination: str
    tail_number: str
    scheduled: datetime
    departed: bool
    departure_delay: int | None
    arrival_delay: int | None
    air_time: int | None

    def times(self) -> dict[type[AnyHappening], datetime]:
        """What happened to the flight, and when."""
        times: dict[type[AnyHappening], datetime] = {Scheduled: self.scheduled - PUBLISHED_AHEAD}
        if not self.departed:
            times[Cancelled] = self.scheduled
            return times
        departure = times[Departed] = self.scheduled + timedelta(minutes=self.departure_delay or 0)
        if self.arrival_delay is None:
            times[Diverted] = departure + DIVERSION_TAKES
        else:
            times[Arrived] = departure + timedelta(minutes=self.air_time or 0)
        return times

    def happening(self, kind: type[AnyHappening], at: datetime) -> AnyHappening:
        """One of these, as an event."""
        flight = (self.flight_id, self.station, at)
        if kind is Scheduled:
            return Scheduled(*flight, self.destination, self.tail_number)
        if kind is Departed:
            return Departed(*flight, self.departure_delay or 0)
        if kind is Arrived:
            return Arrived(*flight, self.arrival_delay or 0)
        return Cancelled(*flight) if kind is Cancelled else Diverted(*flight)


class Timetable:
    """Everything that happened, by its place in event time; the same file gives the same order."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        kinds: list[type[AnyHappening]] = [Scheduled, Departed, Arrived, Cancelled, Diverted]
        ranks = {kind: rank for rank, kind in enumerate(kinds)}
        order = [(at, number, ranks[kind]) for number, row in enumerate(rows) for kind, at in row.times().items()]
        order.sort()
        self._order = order
        self._kinds = kinds

    def __len__(self) -> int:
        return len(self._order)

    def elapsed(self, place: int) -> timedelta:
        """How long after the first of them this happened."""
        return self._order[place][0] - self._order[0][0]

    def happenings(self, start: int, stop: int) -> list[AnyHappening]:
        """The events of these places, in order."""
        return [self.rows[number].happening(self._kinds[rank], at) for at, number, rank in self._order[start:stop]]


def read_timetable(folder: Path) -> Timetable:
    """The flights in ``folder``: flights.csv, else flights.csv.gz, else flights.csv.zip."""
    with _opened(folder) as text:
        return Timetable([_row(number, record) for number, record in enumerate(csv.DictReader(text), start=1)])


def read_airlines(folder: Path) -> dict[str, str]:
    """The names of the carriers in ``folder``, by code."""
    with (folder / "airlines.csv").open(encoding="utf-8-sig", newline="") as text:
        return {record["carrier"]: record["name"] for record in csv.DictReader(text)}


def _row(number: int, record: dict[str, str]) -> Row:
    carrier, origin = record["carrier"], record["origin"]
    hour = datetime.fromisoformat(record["time_hour"]).replace(tzinfo=UTC)
    return Row(
        flight_id=f"{carrier}{record['flight']}#{number}",
        station=f"{carrier}/{origin}",
        destination=record["dest"],
        tail_number=record["tailnum"],
        scheduled=hour + timedelta(minutes=int(record["minute"])),
        departed=_number(record["dep_time"]) is not None,
        departure_delay=_number(record["dep_delay"]),
        arrival_delay=_number(record["arr_delay"]),
        air_time=_number(record["air_time"]),
    )


def _number(text: str) -> int | None:
    """A whole number; None for NA or nothing. A file that has been through a table of floats says "11.0" for 11."""
    return None if text.strip().lower() in ("", "na", "nan") else int(float(text))


@contextmanager
def _opened(folder: Path) -> Generator[TextIO, None, None]:
    """The checker has a function like this one. It is not shared, so that no mistake can hide in both."""
    plain, gzipped, zipped = (folder / f"flights.csv{ending}" for ending in ("", ".gz", ".zip"))
    if plain.exists():
        with plain.open(encoding="utf-8-sig", newline="") as text:
            yield text
    elif gzipped.exists():
        with gzip.open(gzipped, "rt", encoding="utf-8-sig", newline="") as text:
            yield text
    else:
        with zipfile.ZipFile(zipped) as archive:
            name = next(name for name in archive.namelist() if Path(name).name == "flights.csv")
            with archive.open(name) as binary, io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:
                yield text
