"""What a cache has still to write survives ``kill -9`` of the process that was about to write it."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mainstem import Context, IntegrationEvent, Service, StoreCache, running

CUSTOMERS, ORDERS = 20, 15
PROCESSES = 4


class Ordered(IntegrationEvent, topic="orders", key="customer"):
    customer: str


shop = Service("shop", lanes=2, publishes=(Ordered,))
shop.topic("orders", partitions=2)
totals: StoreCache[int] = StoreCache("totals", int, behind="200ms")
shop.include(totals)


@totals.writer()
async def write(customer: str, total: int | None) -> None:
    """To a pipe, behind which is the other system."""
    await asyncio.sleep(0.05)
    print(customer, total, flush=True)


@shop.on(Ordered)
async def add(_order: Ordered, context: Context) -> None:
    """Count the orders of a customer."""
    await totals.put(context, (await totals.get(context) or 0) + 1)


async def serve(url: str, *, publish: bool) -> None:
    """Run until somebody ends it."""
    async with running(shop, broker=url, dev=True):
        if publish:
            for _ in range(ORDERS):
                await shop.publish(*[Ordered(f"c-{number}") for number in range(CUSTOMERS)])
            print("published", flush=True)
        await asyncio.sleep(60)


@pytest.mark.timeout(120)
def test_each_total_is_written(tmp_path: Path) -> None:
    """However many processes die before they have; and no total is older than the one before."""
    url = f"sqlite:///{tmp_path}/shop.db"
    told: dict[str, int] = {}
    lives = 0
    published, done = False, dict.fromkeys([f"c-{number}" for number in range(CUSTOMERS)], ORDERS)
    for life in range(PROCESSES):
        arguments = [sys.executable, "-m", "tests.crash.test_behind_killed", url, str(life == 0)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            deadline, heard = time.monotonic() + 30, 0
            while time.monotonic() < deadline and told != done:
                line = process.stdout.readline()
                published |= line == "published\n"
                heard += take(line, told)
                if life < PROCESSES - 1 and heard > 3 and published:
                    break
            process.kill()
            for line in process.stdout.readlines():  # what was written before the end
                take(line, told)
        lives += told != done
    assert told == done
    assert lives, "nothing was left to be written by the next one"


def take(line: str, told: dict[str, int]) -> bool:
    """Take a line in, if it is one and whole."""
    customer, _, total = line.strip().partition(" ")
    if not total or not line.endswith("\n"):
        return False
    assert int(total) >= told.get(customer, 0)
    told[customer] = int(total)
    return True


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], publish=sys.argv[2] == "True"))
