"""Not everything is async, and not everything comes one by one.

A plain ``def`` runs in worker threads, so it may wait for a disk or a library without holding the others up: as many
keys at a time as there are lanes. A handler of ``list[Event]`` gets what is there at once, in order, for instance to
write it to a database in one go; it needs a group with ``lanes=1``, because a batch holds many keys.
"""

import asyncio
import threading
import time

from mainstem import IntegrationEvent, Service


class Measured(IntegrationEvent, topic="measurements", key="sensor"):
    sensor: str
    celsius: float


station = Service("station", publishes=(Measured,), lanes=20)
station.topic("measurements", partitions=1)
checked: list[str] = []
all_checked = threading.Event()


@station.on(Measured)
def check(measured: Measured) -> None:
    time.sleep(0.01)  # a library that knows nothing of asyncio
    checked.append(measured.sensor)
    if len(checked) == 400:
        all_checked.set()


archive = station.group("archive", lanes=1)
batches: list[int] = []
archived = asyncio.Event()


@archive.on(Measured)
async def store(measured: list[Measured]) -> None:
    batches.append(len(measured))
    if sum(batches) == 400:
        archived.set()


async def main() -> None:
    async with station.running(broker="sqlite:///station.db", dev=True):
        began = time.monotonic()
        await station.publish(*(Measured(f"sensor-{number}", 20.5) for number in range(400)))
        await archived.wait()
        await asyncio.to_thread(all_checked.wait)
        took = time.monotonic() - began
    print(f"{sum(batches)} measurements archived in fewer than 20 calls: {len(batches) < 20}")
    print(f"{len(checked)} checked, 10 ms each, in less than half of 4 s: {took < 2}")


asyncio.run(main())
