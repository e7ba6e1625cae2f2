"""Two services: domain events stay at home, integration events are the contract.

``booking`` keeps its own history as domain events, and may change them at any time without asking. What others need it
translates. A service that subscribes to somebody else's domain event does not start, and is told what to do instead.
"""

import asyncio

from mainstem import DomainEvent, IntegrationEvent, Service, running
from mainstem.errors import StartRefused


class SeatTaken(DomainEvent, service="booking", topic="booking.history", key="trip"):
    trip: str
    seat: str
    passport_number: str


class SeatsChanged(IntegrationEvent, topic="seats", key="trip"):
    trip: str
    seat: str


booking = Service("booking")


@booking.on(SeatTaken)
async def translate(taken: SeatTaken) -> SeatsChanged:
    """A domain event in, an integration event out; the passport stays here."""
    return SeatsChanged(taken.trip, taken.seat)


display = Service("display")
shown = asyncio.Event()


@display.on(SeatsChanged)
async def show(changed: SeatsChanged) -> None:
    print(f"seat {changed.seat} of {changed.trip} is taken")
    shown.set()


nosy = Service("nosy")


@nosy.on(SeatTaken)
async def pry(taken: SeatTaken) -> None:
    print(taken.passport_number)


async def main() -> None:
    async with running(booking, display, broker="sqlite:///trips.db", dev=True):
        await booking.publish(SeatTaken("trip-1", "12A", "C01X00T47"))
        await shown.wait()
    try:
        async with running(nosy, broker="sqlite:///trips.db", dev=True):
            print("it runs")
    except StartRefused as refused:
        print(refused.faults[0])


asyncio.run(main())
