"""What is to be published later survives ``kill -9`` of the process that waits for it, and is published once."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mainstem import Context, IntegrationEvent, Service, running

ORDERS = 30
PROCESSES = 4


class Ordered(IntegrationEvent, topic="orders", key="number"):
    number: int


class Reminded(IntegrationEvent, topic="reminders", key="number"):
    number: int


shop = Service("shop", publishes=(Ordered,))
for _topic in ("orders", "reminders"):
    shop.topic(_topic, partitions=2)
seen = Service("seen")
got = seen.store("got", int)


@shop.on(Ordered, publishes=(Reminded,))
async def remind(order: Ordered, context: Context) -> None:
    """At a time that lies within the lives of several processes."""
    context.publish_later(Reminded(order.number), after=0.05 + order.number * 0.1)


@seen.on(Reminded)
async def count(reminded: Reminded, context: Context) -> None:
    """So that it can be told how often."""
    context.put(got, context.get(got, 0) + 1)
    print(reminded.number, context.get(got, 0), context.event_id, flush=True)


async def serve(url: str, *, publish: bool) -> None:
    """Run until somebody ends it."""
    async with running(shop, seen, broker=url, dev=True):
        if publish:
            for number in range(ORDERS):
                await shop.publish(Ordered(number))
            print("published", flush=True)
        await asyncio.sleep(60)


@pytest.mark.timeout(120)
def test_each_reminder_is_published_once(tmp_path: Path) -> None:
    """However many processes die while it waits."""
    url = f"sqlite:///{tmp_path}/shop.db"
    lines: list[str] = []
    for life in range(PROCESSES):
        arguments = [sys.executable, "-m", "tests.crash.test_later_killed", url, str(life == 0)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            deadline = time.monotonic() + (60 if life == PROCESSES - 1 else 30)
            before = len(lines)
            while time.monotonic() < deadline and len(numbers(lines)) < ORDERS:
                lines.append(process.stdout.readline())
                if life < PROCESSES - 1 and len(lines) - before > 4 and "published\n" in lines:
                    break
            process.kill()
            lines += process.stdout.readlines()  # what was printed, and perhaps committed, before the end
    assert numbers(lines) == set(range(ORDERS))
    counts = [line.split()[1] for line in lines if line[:1].isdigit()]
    assert set(counts) == {"1"}
    ids = [line.split()[2] for line in lines if line[:1].isdigit()]
    assert len(set(ids)) == ORDERS


def numbers(lines: list[str]) -> set[int]:
    """The reminders that came."""
    return {int(line.split()[0]) for line in lines if line[:1].isdigit()}


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], publish=sys.argv[2] == "True"))
