"""At least once under SIGKILL: nothing acknowledged is lost, few events are done twice, positions never go back."""

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from mainstem import Service
from mainstem.broker import TopicPartition, read
from mainstem.broker.kafka import KafkaBroker
from tests.crash.crew import wait_until
from tests.journeys.conditions import until
from tests.kafka.failures.loose import SESSION_SECONDS, Answered, Asked, answering, begun

KILLS = 8
BATCH = 20
PAUSE_SECONDS = 0.05


class Crew:
    """Two workers, of which one is killed or stopped at a time."""

    def __init__(self, url: str, group: str, log: Path) -> None:
        self._command = [sys.executable, "-m", "tests.kafka.failures.loose", url, group]
        self._path = log
        self._log = log.open("ab")
        self.workers = [self.start(), self.start()]

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdout=self._log, stderr=self._log)

    def kill(self, which: int) -> None:
        self.workers[which].kill()
        self.workers[which].wait()
        self.workers[which] = self.start()

    def _wait_for(self, said: str) -> None:
        wait_until(lambda: said in self._path.read_text(), said)

    def end(self) -> list[int]:
        for each in self.workers:
            # On a busy machine one that was started last would be told to end before it has begun, and not drain.
            self._wait_for(begun(each.pid))
        for each in self.workers:
            each.send_signal(signal.SIGCONT)
            each.terminate()
        codes = [each.wait(30) for each in self.workers]
        self._log.close()
        return codes


@contextlib.contextmanager
def crew(url: str, group: str, log: Path) -> Iterator[Crew]:
    """Two workers; whatever is left of them at the end is killed."""
    made = Crew(url, group, log)
    try:
        yield made
    finally:
        for each in made.workers:
            each.kill()
            each.wait()


async def answers(broker: KafkaBroker, run: str) -> list[tuple[int, bytes]]:
    """The number and the id of every answer of this run that a committed reader is given."""
    ends = {
        TopicPartition("loose-answered", n): await broker.log.bounds(TopicPartition("loose-answered", n))
        for n in range(4)
    }
    found = []
    starts = {at: start for at, (start, _) in ends.items()}
    async for batch in read(broker.log, starts, {at: end for at, (_, end) in ends.items()}):
        for index, value in enumerate(batch.values):
            answer = msgspec.json.decode(value or b"", type=Answered)
            if answer.run == run:
                found.append((answer.number, batch.headers(index)["ce_id"]))
    return found


async def positions(broker: KafkaBroker, group: str) -> dict[TopicPartition, int]:
    """Those of the group in its input."""
    found = (await broker.admin.groups([group]))[group].positions
    return {at: offset for at, offset in found.items() if at.topic == "loose-asked"}


class Watch:
    """Looks at the positions again and again."""

    def __init__(self, broker: KafkaBroker, group: str) -> None:
        self.went_back: list[str] = []
        self._broker = broker
        self._group = group

    async def follow(self) -> None:
        last: dict[TopicPartition, int] = {}
        while True:
            now = await positions(self._broker, self._group)
            self.went_back += [f"{at}: {last[at]} to {now[at]}" for at in now if now[at] < last.get(at, 0)]
            last.update(now)
            await asyncio.sleep(PAUSE_SECONDS)


class Asking:
    """Publishes, and counts what was acknowledged."""

    def __init__(self, run: str, service: Service) -> None:
        self.acknowledged = 0
        self._run = run
        self._service = service

    async def ask(self) -> None:
        numbers = range(self.acknowledged, self.acknowledged + BATCH)
        await self._service.publish(*(Asked(self._run, str(n % 50), n) for n in numbers))
        self.acknowledged += BATCH
        await asyncio.sleep(PAUSE_SECONDS)


async def storm(workers: Crew, asking: Asking) -> None:
    """Workers are killed under load, and one is stopped until it has been expelled."""
    chance = random.Random(4)
    for number in range(KILLS):
        for _ in range(chance.randrange(20, 60)):
            await asking.ask()
        if number != KILLS // 2:
            workers.kill(chance.randrange(2))
            continue
        stopped = workers.workers[0]
        stopped.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        while time.monotonic() - began < 3 * SESSION_SECONDS:
            await asking.ask()
        stopped.send_signal(signal.SIGCONT)


@pytest.mark.timeout(240)
async def test_nothing_acknowledged_is_lost(kafka: str, unique: Callable[[str], str], tmp_path: Path) -> None:
    """Every event has its answer all the same, and a group that was stopped in order repeats nothing."""
    run = group = unique("loose")
    url, publishing = f"kafka://{kafka}?state_folder={tmp_path}", Service(unique("asking"), publishes=(Asked,))
    asking = Asking(run, publishing)
    async with answering(group).running(broker=url, dev=True):
        pass  # what is missing is created
    broker = KafkaBroker(kafka)
    await broker.open()
    watch = Watch(broker, group)
    with crew(url, group, tmp_path / "workers.log") as workers:
        async with publishing.running(broker=url, dev=True, consume=False):
            following = asyncio.create_task(watch.follow())
            await storm(workers, asking)

            async def all_answered() -> bool:
                return len({number for number, _ in await answers(broker, run)}) == asking.acknowledged

            await until(all_answered, within_seconds=60)
            assert workers.end() == [0, 0], (tmp_path / "workers.log").read_text()[-3_000:]
            following.cancel()
    found = await answers(broker, run)
    doubles = len(found) - asking.acknowledged
    print(f"{asking.acknowledged} acknowledged, {doubles} done twice, {KILLS} kills")
    assert len(set(found)) == asking.acknowledged, "a double has the id of the first"
    # What is under way when one is killed, and what comes until the one that was stopped has been expelled.
    assert doubles <= KILLS * BATCH / PAUSE_SECONDS * (SESSION_SECONDS + 1)
    assert watch.went_back == []
    for service in (answering(group), exactly_once(group)):
        async with service.running(broker=url, dev=True):
            ends = {at: (await broker.log.bounds(at))[1] for at in await positions(broker, group)}
            await until(partial(at_the_end, broker, group, ends))
    assert len(await answers(broker, run)) == len(found)
    await broker.close()


async def at_the_end(broker: KafkaBroker, group: str, ends: dict[TopicPartition, int]) -> bool:
    """Whether the group stands at the ends of its input."""
    return await positions(broker, group) == ends


def exactly_once(group: str) -> Service:
    """The same handlers in a group that is delivered exactly once."""
    service = answering(group)
    service.delivery = "exactly_once"
    return service
