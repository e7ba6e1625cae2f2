"""Fifty small services in five processes on one file: all get every event, also when one of the processes is killed."""

import subprocess
import sys
from pathlib import Path

from mainstem import Context, IntegrationEvent, Service
from mainstem.service import Running
from tests.journeys.conditions import until

SERVICES, PROCESSES, EVENTS = 50, 5, 30


class Rung(IntegrationEvent, topic="bells", key="bell"):
    bell: str
    number: int


def listener(number: int) -> Service:
    """A service that remembers what it has heard of a bell."""
    service = Service(f"listener-{number}")
    service.topic("bells", partitions=1)
    heard = service.store("heard", list[int])

    @service.on(Rung)
    async def hear(event: Rung, context: Context) -> None:
        context.put(heard, [*context.get(heard, []), event.number])

    return service


WORKER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from mainstem.service import serve
from tests.journeys.test_fifty_services import listener
asyncio.run(serve(*map(listener, map(int, sys.argv[3:])), broker=sys.argv[2], dev=True))
"""


def started(url: str, process: int) -> "subprocess.Popen[bytes]":
    """One of the processes; every fifth service runs in it."""
    root = str(Path(__file__).parents[2])
    numbers = map(str, range(process, SERVICES, PROCESSES))
    return subprocess.Popen([sys.executable, "-c", WORKER, root, url, *numbers])


def all_have_heard(here: Running, count: int) -> bool:
    """Whether each service has heard so many events, each once and in order."""
    [heard] = listener(0).stores
    for number in range(SERVICES):
        row = here.broker.rows(f"listener-{number}", 0).get_many("heard", [b"big"])
        found = heard.unpack(row[b"big"], here.clock.now_ms()) if row else []
        assert isinstance(found, list)
        assert found == list(range(len(found))), f"listener-{number} has heard {found}"
        if len(found) < count:
            return False
    return True


async def test_fifty_services_share_one_file(tmp_path: Path) -> None:
    """Each keeps its own memory of every event; the ten of a killed process go on where they were in the next one."""
    url = f"sqlite:///{tmp_path}/fifty.db"
    ringer = Service("ringer", publishes=(Rung,))
    ringer.topic("bells", partitions=1)
    async with ringer.running(broker=url, dev=True) as here:
        processes = [started(url, process) for process in range(PROCESSES)]
        try:
            for number in range(EVENTS):
                await ringer.publish(Rung("big", number))
            await until(lambda: all_have_heard(here, 1), within_seconds=120)
            processes[0].kill()
            processes.append(started(url, 0))
            for number in range(EVENTS, 2 * EVENTS):
                await ringer.publish(Rung("big", number))
            await until(lambda: all_have_heard(here, 2 * EVENTS), within_seconds=120)
        finally:
            for process in processes:
                process.kill()
                process.wait()
