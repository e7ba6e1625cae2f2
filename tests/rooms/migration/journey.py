"""A shop that is moved in the middle of its day: what it remembers, and what it still has to do."""

import asyncio
from collections import Counter
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner, Result

from mainstem.broker import read_all
from mainstem.clock import SystemClock
from mainstem.identifiers import Identifiers
from mainstem.ops.program import mainstem
from mainstem.service import Backend, connected, running
from mainstem.state import TaskState, Timer, timers
from tests.journeys.conditions import caught_up
from tests.rooms.ops.shop import OrderPaid, loyalty, spent

CLOCK = SystemClock()
HOPELESS = ("lost-1", "lost-2")


def command(*arguments: str) -> Result:
    """Give a command; what goes wrong unexpectedly is raised."""
    return CliRunner().invoke(mainstem, arguments, catch_exceptions=False)


@dataclass
class Memory:
    """What the shop remembers, out of all tasks, and what it has published."""

    spent: Counter[str] = field(default_factory=Counter[str])
    timers: set[Timer] = field(default_factory=set[Timer])
    gold: Counter[bytes] = field(default_factory=Counter[bytes])
    orders: dict[int, list[bytes | None]] = field(default_factory=dict[int, list[bytes | None]])
    """The ids of the orders, by partition."""

    @property
    def ids(self) -> list[bytes | None]:
        """The ids of all orders."""
        return [each for orders in self.orders.values() for each in orders]


def at(url: str) -> AbstractAsyncContextManager[Backend]:
    """The broker behind a URL, open."""
    return connected(url, CLOCK, Identifiers(CLOCK))


async def memory(url: str) -> Memory:
    """Look at it from outside."""
    found = Memory()
    async with at(url) as broker:
        tasks = (await broker.admin.groups(["loyalty"]))["loyalty"].tasks
        for task in range(tasks):
            rows = await broker.snapshot("loyalty", task)
            found.spent.update({key.decode(): value for key, value in spent.values(rows, now_ms=0)})
            found.timers.update(timers.named(TaskState(rows), "remind"))
        async for batch in read_all(broker, "gold"):
            found.gold.update(key or b"" for key in batch.keys)
        async for batch in read_all(broker, "orders"):
            found.orders.setdefault(batch.partition, []).extend(batch.column("ce_id"))
    return found


@dataclass
class Shop:
    """Orders as they were published, and what must come of them in the end."""

    paid: Counter[str] = field(default_factory=Counter[str])
    orders: int = 0

    async def trade(self, url: str, *orders: OrderPaid, handled: bool = True) -> None:
        """Publish orders, and let them be handled or wait."""
        async with running(loyalty, broker=url, dev=True, consume=handled) as process:
            await loyalty.publish(*orders)
            for order in orders:
                self.paid[order.customer_id] += order.amount_cents
            self.orders += len(orders)
            if handled:
                await caught_up(process)

    async def open(self, url: str, count: int) -> None:
        """A day with dead letters, and orders that nobody has handled yet."""
        lost = [OrderPaid(each, -5) for each in HOPELESS]
        behind = [OrderPaid(each, 20) for each in HOPELESS for _ in range(3)]
        await self.trade(url, *lost, *behind, *day(count))
        await self.trade(url, *day(count), handled=False)

    async def close(self, url: str, count: int) -> None:
        """Go on to the end of the day, with what could not be handled put right; then everything must add up."""
        await self.trade(url, *day(count))
        await asyncio.to_thread(Path("mended").touch)
        async with running(loyalty, broker=url, dev=True) as process:
            redriven = await asyncio.to_thread(
                command, "dead-letters", "redrive", "loyalty", "--all", "--yes", "--broker", url
            )
            assert redriven.exit_code == 0, redriven.output
            await caught_up(process)
        found = await memory(url)
        assert found.spent == self.paid
        assert len(found.ids) == len(set(found.ids)) == self.orders
        assert {timer.key for timer in found.timers} == {each.encode() for each in self.paid}
        assert found.gold == {each.encode(): 1 for each, amount in self.paid.items() if amount >= 10_000}


def day(count: int) -> list[OrderPaid]:
    """So many orders of seven customers, some of which spend a lot."""
    return [OrderPaid(f"customer-{number % 7}", 100 * (number % 7)) for number in range(count)]
