"""What is to happen later, on a real Kafka: from handlers and from outside, taken back, and with a worker killed."""

import asyncio
import subprocess
import sys
from asyncio import create_subprocess_exec
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from click.testing import CliRunner, Result

from mainstem.clock import SystemClock
from mainstem.identifiers import Identifiers
from mainstem.ops.program import mainstem
from mainstem.service import Floor, running
from tests.journeys.conditions import until
from tests.kafka.waiter import SETTINGS, Waiter

HOUR_MS = 3_600_000
CUSTOMERS = [f"c-{number}" for number in range(6)]


class Ahead(SystemClock):
    """The clock of the machine, which a test may put forward."""

    ahead_ms = 0

    def now_ms(self) -> int:
        """So much later."""
        return super().now_ms() + self.ahead_ms


@asynccontextmanager
async def worker(name: str, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that runs the group, until it is killed."""
    arguments = [sys.executable, "-m", "tests.kafka.waiter", name, url]
    process = await create_subprocess_exec(*arguments, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def words(process: asyncio.subprocess.Process, found: list[list[str]], enough: Callable[[], bool]) -> None:
    """Read what a worker says, until that is enough."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while not enough():
            found.append((await process.stdout.readline()).decode().split())


async def test_what_waits_outlives_the_worker_that_keeps_it(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    """Events put off by handlers and from outside are published once, and so is written what a cache has kept."""
    name, url = unique("later"), f"kafka://{kafka}?state_folder={tmp_path}/state"
    waiter, heard = Waiter(name), list[list[str]]()
    async with worker(name, url) as first:
        await words(first, heard, lambda: ["ready"] in heard)
        async with waiter.service.running(broker=url, consume=False, settings=SETTINGS):
            later = waiter.service.later
            await waiter.service.publish(*[waiter.ordered(each, 3_000) for each in CUSTOMERS])
            for each in CUSTOMERS:
                await later.publish(waiter.reminded(each, "outside"), after="3s")
            never = await later.publish(waiter.reminded("c-0", "never"), after="1h")
            await later.publish(waiter.reminded("c-1", "never"), after="1h", name="never")
            assert await later.cancel(never)
            assert await later.cancel("never")
            assert not await later.cancel("never")
        first.kill()
        assert first.stdout is not None
        heard += [line.decode().split() for line in (await first.stdout.read()).splitlines()]
    async with worker(name, url) as second:
        every = {f"{each}-{text}" for each in CUSTOMERS for text in ("handler", "outside")}
        await words(
            second,
            heard,
            lambda: (
                {each[1] for each in heard if each[0] == "heard"} >= every
                and {each[1] for each in heard if each[0] == "written"} >= set(CUSTOMERS)
            ),
        )
    assert {each[1] for each in heard if each[0] == "heard"} == every
    assert {each[2] for each in heard if each[0] == "heard"} == {"1"}
    assert {each[2] for each in heard if each[0] == "written"} == {"1"}


async def test_schedules_run_and_are_paused(kafka: str, unique: Callable[[str], str], tmp_path: Path) -> None:
    """By the calendar and by hand; what waits is read from the changelog."""
    name, url = unique("schedule"), f"kafka://{kafka}?state_folder={tmp_path}/state"
    waiter, clock = Waiter(name), Ahead()
    floor = Floor(clock=clock, identifiers=Identifiers(clock), chance=Floor.of_this_machine().chance)

    def command(*arguments: str) -> Result:
        result = CliRunner().invoke(mainstem, ["schedules", *arguments, "--broker", url, "--json"])
        assert result.exit_code == 0, result.output
        return result

    def schedule() -> dict[str, object]:
        [found] = msgspec.json.decode(command("list", name).stdout)["schedules"]
        assert isinstance(found, dict)
        return found

    async with running(waiter.service, broker=url, dev=True, settings=SETTINGS, floor=floor):
        await waiter.service.later.publish(waiter.reminded("c-1", "outside"), after="1h", name="reminder")
        done = msgspec.json.decode((await asyncio.to_thread(command, "run-now", name, "hourly", "--yes")).stdout)
        assert done["answer"] == "run: it has begun"
        await until(lambda: len(waiter.ran) == 1)
    found = await asyncio.to_thread(schedule)
    assert (found["state"], found["runs"]) == ("active", 1)
    [waiting] = msgspec.json.decode((await asyncio.to_thread(command, "list", name)).stdout)["waiting"]
    assert (waiting["name"], waiting["key"], waiting["scheduled_by"]) == ("reminder", "c-1", "outside")
    clock.ahead_ms = HOUR_MS - clock.now_ms() % HOUR_MS
    async with running(waiter.service, broker=url, dev=True, settings=SETTINGS, floor=floor):
        await until(lambda: len(waiter.ran) == 2)
        assert waiter.ran[1] % HOUR_MS == 0
        await asyncio.to_thread(command, "pause", name, "hourly", "--yes", "--by", "eva")
    found = await asyncio.to_thread(schedule)
    assert (found["state"], found["paused_by"], found["next"]) == ("paused", "eva", None)
