"""A worker that is delivered at least once: ``python -m tests.kafka.failures.loose BROKER GROUP``."""

import asyncio
import os
import signal
import sys

from mainstem import Context, IntegrationEvent, Service
from mainstem.settings import Settings

SESSION_SECONDS = 2.0


class Asked(IntegrationEvent, topic="loose-asked", key="key"):
    """What is published from outside; ``run`` tells one test from another."""

    run: str
    key: str
    number: int


class Answered(IntegrationEvent, topic="loose-answered", key="key"):
    """One for each at least."""

    run: str
    key: str
    number: int


def begun(pid: int) -> str:
    """What a process says when it would drain."""
    return f"process {pid} may be ended"


def answering(group: str) -> Service:
    """The service under test."""
    service = Service(group, delivery="at_least_once")
    service.topic("loose-asked", partitions=4)
    service.topic("loose-answered", partitions=4)

    @service.on(Asked)
    async def answer(asked: Asked, _context: Context) -> Answered:
        if asked.number % 7 == 0:
            await asyncio.sleep(0.01)
        return Answered(asked.run, asked.key, asked.number)

    return service


async def main(broker: str, group: str) -> None:
    """Run until SIGTERM."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    print(begun(os.getpid()), flush=True)
    settings = Settings(session_timeout_seconds=SESSION_SECONDS, grace_seconds=5.0)
    async with answering(group).running(broker=broker, dev=True, settings=settings):
        await over.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
