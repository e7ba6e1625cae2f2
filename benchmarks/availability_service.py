"""What is measured: a service that remembers, asks a dependency, and answers each event with another one."""

import asyncio
import os
import time
from pathlib import Path

from mainstem import Context, IntegrationEvent, Service

PARTITIONS = 4
SLOW_SECONDS = 3.0
ONE_KEY_IN = 10
"""The dependency that becomes slow is that of one key in ten."""
FOLDER = Path(os.environ.get("AVAILABILITY_FOLDER", "."))
WORK_SECONDS = float(os.environ.get("AVAILABILITY_WORK_SECONDS", "0"))


class Asked(IntegrationEvent, topic="asked", key="key"):
    """A piece of work."""

    key: str
    number: int
    note: str = ""


class Answered(IntegrationEvent, topic="answered", key="key"):
    """It is done."""

    key: str
    number: int
    count: int


def is_slow() -> bool:
    """Whether somebody has made the dependency slow."""
    return (FOLDER / "slow").exists()


service = Service("answering", standbys=1)
service.topic("asked", partitions=PARTITIONS)
service.topic("answered", partitions=PARTITIONS)
counts = service.store("counts", int)


@service.on(Asked)
async def answer(asked: Asked, context: Context) -> Answered:
    """Count, ask, answer."""
    if asked.number % ONE_KEY_IN == 0 and is_slow():
        await asyncio.sleep(SLOW_SECONDS)
    until = time.perf_counter() + WORK_SECONDS
    while time.perf_counter() < until:
        pass  # the work that a burst is to be too much for
    context.put(counts, count := context.get(counts, 0) + 1)
    return Answered(asked.key, asked.number, count)
