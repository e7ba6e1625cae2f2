"""A worker that counts by key and says how its copies stand: ``python -m tests.kafka.failures.standing NAME ...``."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mainstem import Context, IntegrationEvent, Service
from mainstem.service import running
from mainstem.settings import Settings

SESSION_SECONDS = 2.0


def counter(name: str, tasks: int, noted: Path | None = None) -> tuple[Service, Callable[[str], IntegrationEvent]]:
    """A service that counts, and its event; ``noted`` hears of the first event of each partition."""

    class Sent(IntegrationEvent, topic=f"{name}-sent", key="key", name="Sent"):
        key: str

    class Counted(IntegrationEvent, topic=f"{name}-counted", key="key", name="Counted"):
        key: str
        count: int

    service = Service(name, publishes=(Sent,), standbys=1)
    service.topic(f"{name}-sent", partitions=tasks)
    counts = service.store("counts", int)
    known: set[int] = set()

    @service.on(Sent)
    async def count(sent: Sent, context: Context) -> Counted:
        if noted is not None and context.partition not in known:
            known.add(context.partition)
            with noted.open("a") as file:
                file.write(f"{context.partition} {time.monotonic()}\n")
        context.put(counts, after := context.get(counts, 0) + 1)
        return Counted(sent.key, after)

    return service, Sent


async def main(name: str, tasks: int, url: str, status: Path) -> None:
    """Work until the process is ended; the status says every tenth of a second how the copies stand."""
    service, _ = counter(name, tasks, status.with_suffix(".seen"))
    settings = Settings(session_timeout_seconds=SESSION_SECONDS, commit_interval_ms=20)
    async with running(service, broker=url, dev=True, settings=settings) as process:
        while True:
            copies = [[each.task, each.state, each.position, each.end] for each in process.broker.copies()]
            owned = sorted(process.runners[name].tasks)
            fresh = status.with_suffix(".new")
            fresh.write_text(json.dumps({"owned": owned, "copies": copies}))
            fresh.rename(status)
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    logging.basicConfig(level="INFO")
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])))
