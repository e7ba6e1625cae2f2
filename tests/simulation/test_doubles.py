"""Doubles, whatever goes wrong: of the events with one id each handler is given one, and gives effect to it once."""

import pytest

from mainstem import Context, Deduplicate, IntegrationEvent, Retry, Service
from mainstem.testing import crash, fail, lose_ownership, simulate, simulated


class Sent(IntegrationEvent, topic="sends", key="account"):
    """A producer sends each several times."""

    account: str
    payment: int


ledger = Service("ledger", lanes=4)
ledger.topic("sends", partitions=2)
booked = ledger.store("booked", list[int])


@ledger.on(
    Sent, deduplicate=Deduplicate("1d", by="payment"), retry=Retry.on(ConnectionError).inline(1).later("5s", "20s")
)
async def book(sent: Sent, context: Context) -> None:
    """Note the payment; what is noted twice was given twice."""
    context.put(booked, [*context.get(booked, []), sent.payment])


@pytest.mark.parametrize("seed", range(25))
def test_each_payment_is_booked_once(seed: int) -> None:
    """Crashes between commits, lost tasks and failing handlers make no double of an event, and let none through."""

    @simulated
    async def run() -> None:
        faults = [
            fail(book, ConnectionError, times=3 + seed % 5),
            crash(times=3, skip=seed * 2, probability=0.5),
            lose_ownership(skip=9),
        ]
        async with simulate(ledger, seed=seed, faults=faults) as world:
            for number in range(6):
                await world.publish(*[Sent(f"a{n % 3}", n) for n in range(12) for _ in range(1 + (n + number) % 2)])
                await world.advance("3s")
            await world.settle()
            assert {key: sorted(rows) for key, rows in world.values(booked).items()} == {
                b"a%d" % a: list(range(a, 12, 3)) for a in range(3)
            }

    run()
