"""Whether everything held: no event lost, none applied twice, each flight in order, every total equal to the file's.

Every event names the event that caused it. So a hop lost nothing and repeated nothing exactly when the causes of what
came out are the events that went in, each once.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime

import msgspec

from examples.flights import check
from examples.flights.contracts import FlightStatus
from examples.flights.delays import totals
from examples.flights.hotels import booked, is_closed_for
from examples.flights.reading import letters, remembered
from examples.flights.surroundings import DATA
from examples.flights.watch import Sight
from mainstem.broker import read_all
from mainstem.service import Backend


@dataclass(frozen=True)
class Check:
    """One thing that must hold, and what was found."""

    name: str
    held: bool
    found: str


@dataclass
class Trail:
    """The events of a topic: their ids, the ids of what caused them, and how many each key has."""

    count: int = 0
    ids: set[bytes | None] = field(default_factory=set[bytes | None])
    causes: set[bytes | None] = field(default_factory=set[bytes | None])
    keys: Counter[str] = field(default_factory=Counter[str])

    @property
    def once(self) -> bool:
        """Whether every event stands there once."""
        return len(self.ids) == self.count

    def follows(self, earlier: "Trail") -> bool:
        """Whether each of the earlier events has caused exactly one of these, and nothing else has."""
        return self.once and len(self.causes) == self.count and self.causes == earlier.ids


async def trail(broker: Backend, topic: str) -> Trail:
    """Read a topic."""
    found = Trail()
    async for batch in read_all(broker, topic):
        found.count += len(batch)
        found.ids.update(batch.column("ce_id"))
        found.causes.update(batch.column("ce_causationid"))
        found.keys.update((key or b"").decode() for key in batch.keys)
    return found


async def groups(broker: Backend) -> dict[str, dict[str, int]]:
    """The totals of every station, out of the stores of ``delays``."""
    return {station: asdict(total) for station, total in sorted((await remembered(broker, "delays", totals)).items())}


async def verify(broker: Backend, sights: dict[str, Sight]) -> list[Check]:
    """Check everything, on a log at rest."""
    file = check.totals(DATA)
    unequal = check.differences(file, dict(await groups(broker)))
    late = await told_late(broker)
    lag = sum(sight.lag for sight in sights.values())
    trails = {topic: await trail(broker, topic) for topic in ("flights.history", "flights", "disruptions", "notices")}
    bookings = await remembered(broker, "hotels", booked)
    return [
        Check("totals in the stores equal the file's", not unequal, f"{len(unequal)} differences"),
        *hops(trails, {name: sum(group[name] for group in file.values()) for name in check.FIELDS}),
        Check("each flight was told in order", not late, f"{late:,} out of order"),
        delivery(trails["notices"]),
        *rooms(trails["disruptions"], bookings, sights["hotels"]),
        Check("nothing is left to do", not lag, f"{lag:,} events wait"),
    ]


def hops(trails: dict[str, Trail], sums: dict[str, int]) -> list[Check]:
    """From one topic to the next. ``sums`` are those of the file."""
    history, flights, disruptions, notices = trails.values()
    departed = sums["flights"] - sums["cancelled"]
    happenings = sums["flights"] + sums["cancelled"] + departed + departed  # each of these arrived or was diverted
    upset = sums["departure_delays"] + sums["arrival_delays"] + sums["cancelled"]
    return [
        Check(
            "everything in the file was replayed, once",
            history.once and history.count == happenings,
            f"{history.count:,} of {happenings:,}",
        ),
        Check(
            "each domain event became one integration event",
            flights.follows(history),
            f"{flights.count:,} of {history.count:,}",
        ),
        Check(
            "each delay and cancellation was published, once",
            disruptions.once and disruptions.causes <= flights.ids and disruptions.count == upset,
            f"{disruptions.count:,} of {upset:,}",
        ),
        Check(
            "each disruption became one notification",
            notices.follows(disruptions),
            f"{notices.count:,} of {disruptions.count:,}",
        ),
    ]


def delivery(notices: Trail) -> Check:
    """What left the log."""
    keys = letters().keys
    return Check(
        "each notification was delivered, and repeats can be told",
        len(keys) == notices.count,
        f"{len(keys):,} of {notices.count:,}; {keys.total() - len(keys)} lines repeat an earlier one",
    )


def rooms(disruptions: Trail, bookings: dict[str, int], hotels: Sight) -> list[Check]:
    """What the flaky service has done in the end."""
    hopeless = sum(map(is_closed_for, disruptions.keys))
    return [
        Check(
            "each booking was made, once",
            bookings == disruptions.keys,
            f"{sum(bookings.values()):,} of {disruptions.count:,}",
        ),
        Check(
            "what could not succeed became a dead letter, once, and none is left",
            hotels.dead_letters == hopeless and not hotels.parked,
            f"{hotels.dead_letters} of {hopeless}; {len(hotels.parked)} left",
        ),
    ]


async def told_late(broker: Backend) -> int:
    """How many events stand behind a later one of the same flight."""
    decode = msgspec.json.Decoder(FlightStatus).decode
    last: dict[str, datetime] = {}
    late = 0
    async for batch in read_all(broker, "flights"):
        for value in batch.values:
            flight = decode(value or b"")
            late += flight.at < last.get(flight.flight_id, flight.at)
            last[flight.flight_id] = flight.at
    return late
