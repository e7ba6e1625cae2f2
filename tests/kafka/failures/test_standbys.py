"""Standbys: another folder follows the changelog of a task, and whoever takes the task over there need not restore."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from mainstem.clock import SystemClock
from mainstem.identifiers import Identifiers
from mainstem.service import connected, running
from tests.crash.crew import ROOT, wait_until
from tests.kafka.failures.cluster_log import ClusterLog
from tests.kafka.failures.standing import SESSION_SECONDS, counter

TASKS = 4
COPY_STANDS = r"task (\d+) of '[^']+': its copy stands at (\d+) of (\d+)"
KEYS = [f"key-{number}" for number in range(400)]


class Worker:
    """A process with a folder of copies, and what it says of itself."""

    def __init__(self, folder: Path, name: str, command: list[str], url: str) -> None:
        self.status_path = folder / f"{name}.json"
        self.log_path = folder / f"{name}.log"
        self.seen_path = self.status_path.with_suffix(".seen")
        for path in (self.status_path, self.seen_path):
            path.unlink(missing_ok=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen([*command, url, str(self.status_path)], cwd=ROOT, stdout=log, stderr=log)

    def status(self) -> dict[str, list[object]]:
        """What it has and follows."""
        assert self.process.poll() is None, self.log_path.read_text()[-3_000:]
        with suppress(OSError):
            found: dict[str, list[object]] = json.loads(self.status_path.read_text())
            return found
        return {"owned": [], "copies": []}

    @property
    def owned(self) -> int:
        """How many tasks it runs."""
        return len(self.status()["owned"])

    def warm(self, tasks: int) -> bool:
        """Whether it stands by for so many tasks, close behind the end of each."""
        return len([task for task, state, at, end in self.copies() if state == "standby" and at == end > 0]) == tasks

    def seen(self) -> dict[int, float]:
        """When it has handled its first event of each partition."""
        lines = self.seen_path.read_text().splitlines() if self.seen_path.exists() else []
        return {int(partition): float(at) for partition, at in map(str.split, lines)}

    def stood(self) -> list[tuple[int, int, int]]:
        """Each task that was taken over, how far its copy had come by then, and the end of the changelog."""
        found = re.findall(COPY_STANDS, self.log_path.read_text())
        return [(int(task), int(at), int(end)) for task, at, end in found]

    def positions(self) -> dict[int, int]:
        """How far each standby has come."""
        return {task: at for task, state, at, _ in self.copies() if state == "standby"}

    def copies(self) -> list[tuple[int, str, int, int]]:
        """What it restores and follows: task, state, position, end."""
        return [tuple(each) for each in self.status()["copies"]]  # type: ignore[misc, arg-type]

    def said(self, text: str) -> int:
        """How often it has said this."""
        return self.log_path.read_text().count(text)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()


class Standing:
    """A service on a cluster, its workers, and what has been sent to it."""

    def __init__(self, kafka: str, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.log = ClusterLog(kafka, {name}, name)
        self.sent = 0
        self._kafka = kafka
        self._workers: list[Worker] = []

    def start(self, name: str, copies: str) -> Worker:
        """Start a worker whose copies are in the folder of that name."""
        command = [sys.executable, "-m", "tests.kafka.failures.standing", self.name, str(TASKS)]
        url = f"kafka://{self._kafka}?state_folder={self.folder / copies}"
        worker = Worker(self.folder, name, command, url)
        self._workers.append(worker)
        return worker

    async def send(self) -> None:
        """Publish an event of each key."""
        service, sent = counter(self.name, TASKS)
        async with running(service, broker=f"kafka://{self._kafka}", dev=True, consume=False):
            await service.publish(*map(sent, KEYS))
        self.sent += 1

    async def places(self) -> int:
        """In how many places its workers keep copies, as anybody is told who asks."""
        async with connected(f"kafka://{self._kafka}", SystemClock(), Identifiers(SystemClock())) as broker:
            return (await broker.admin.groups([self.name]))[self.name].places

    def handled(self) -> bool:
        """Whether everything has been handled."""
        return sum(1 for _ in self.log.records(f"{self.name}-counted")) >= self.sent * len(KEYS)

    def require_right(self) -> None:
        """Every key was counted from 1, without a gap and without a double."""
        wait_until(self.handled, "everything to be handled")
        found: dict[str, list[int]] = {}
        for record in self.log.records(f"{self.name}-counted"):
            found.setdefault(record.key, []).append(record.value["count"])
        assert {key: counts for key, counts in found.items() if counts != list(range(1, self.sent + 1))} == {}
        assert len(found) == len(KEYS)

    def close(self) -> None:
        """End everything."""
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.kill()
        self.log.__exit__()


@pytest.fixture
def standing(kafka: str, unique: Callable[[str], str], tmp_path: Path) -> Iterator[Standing]:
    """A service of its own."""
    standing = Standing(kafka, unique("standing"), tmp_path)
    try:
        yield standing
    finally:
        standing.close()


async def test_a_standby_takes_over_warm(standing: Standing) -> None:
    """Whoever takes over from a killed owner reads only what its copy has not seen, and in time."""
    first = standing.start("first", "here")
    wait_until(lambda: first.owned == TASKS, "the first worker to have everything")
    assert await standing.places() == 1
    for _ in range(3):
        await standing.send()
    wait_until(standing.handled, "everything to be handled")
    second = standing.start("second", "there")
    wait_until(lambda: second.owned == first.owned == TASKS // 2, "the tasks to be shared")
    wait_until(lambda: first.warm(2) and second.warm(2), "both to stand by for the other")
    assert await standing.places() == 2
    warm = second.positions()
    await standing.send()
    first.kill()
    killed = time.monotonic()
    wait_until(lambda: second.owned == TASKS, "the second worker to have everything")
    taken = time.monotonic() - killed
    await standing.send()
    standing.require_right()
    assert len(second.seen()) == TASKS
    assert taken < SESSION_SECONDS + 2
    stood = {task: at for task, at, _ in second.stood()[-TASKS // 2 :]}
    assert stood.keys() == warm.keys()
    assert all(stood[task] >= warm[task] > 50 for task in warm), (stood, warm)


@pytest.mark.long
async def test_a_folder_with_the_owner_needs_no_standby(standing: Standing) -> None:
    """Processes of one folder share its copies: nobody stands by there, and whoever takes over finds the copy."""
    first = standing.start("first", "here")
    wait_until(lambda: first.owned == TASKS, "the first worker to have everything")
    await standing.send()
    wait_until(standing.handled, "everything to be handled")
    second = standing.start("second", "here")
    wait_until(lambda: second.owned == TASKS // 2, "the tasks to be shared")
    assert second.said("standby of task") == 0
    first.kill()
    wait_until(lambda: second.owned == TASKS, "the second worker to have everything")
    await standing.send()
    standing.require_right()
    assert all(at > 50 for _, at, _ in second.stood()), second.stood()


@pytest.mark.long
async def test_a_standby_gives_way_to_its_neighbour(standing: Standing) -> None:
    """A process that takes a task over for which another one of its folder stands by gets that copy, and soon."""
    first = standing.start("first", "here")
    wait_until(lambda: first.owned == TASKS, "the first worker to have everything")
    await standing.send()
    wait_until(standing.handled, "everything to be handled")
    others = [standing.start(name, "there") for name in ("second", "third", "fourth")]
    wait_until(lambda: first.owned == 1 and all(each.owned == 1 for each in others), "the tasks to be shared")
    wait_until(lambda: sum(each.warm(1) for each in others) == 1, "one of them to stand by for the first")
    first.kill()
    wait_until(lambda: sum(each.owned for each in others) == TASKS, "the others to have everything")
    await standing.send()
    standing.require_right()
    assert all(at > 50 for each in others for _, at, _ in each.stood()[1:])
    assert sum(each.said("this process keeps a copy of its own") for each in others) == 0


@pytest.mark.long
async def test_a_standby_that_is_killed_while_it_writes(standing: Standing) -> None:
    """Its copy is as it was a little earlier, rows and offset together: the next process goes on from there."""
    first = standing.start("first", "here")
    wait_until(lambda: first.owned == TASKS, "the first worker to have everything")
    for kill in range(3):
        second = standing.start(f"second-{kill}", "there")
        wait_until(lambda each=second: each.owned == TASKS // 2, "the tasks to be shared")  # type: ignore[misc]
        await standing.send()
        wait_until(lambda each=second: each.warm(2), "it to stand by")  # type: ignore[misc]
        await standing.send()
        second.kill()
        wait_until(lambda: first.owned == TASKS, "the first worker to have everything")
    last = standing.start("last", "there")
    wait_until(lambda: last.owned == TASKS // 2 and last.warm(2), "the last one to stand by")
    first.kill()
    wait_until(lambda: last.owned == TASKS, "the last worker to have everything")
    await standing.send()
    standing.require_right()
    assert standing.log.copies_that_lie(standing.folder / "there") == []


async def test_a_changelog_that_is_made_anew_under_a_standby(standing: Standing, kafka_admin: AdminClient) -> None:
    """What a standby has read of a changelog that was deleted counts for nothing in one that has its name."""
    first = standing.start("first", "here")
    wait_until(lambda: first.owned == TASKS, "the first worker to have everything")
    second = standing.start("second", "there")
    wait_until(lambda: second.owned == TASKS // 2, "the tasks to be shared")
    await standing.send()
    wait_until(lambda: second.warm(2), "it to stand by")
    wait_until(standing.handled, "everything to be handled")
    mine = second.status()["owned"]
    first.kill()
    remake(kafka_admin, f"{standing.name}.changelog")
    wait_until(lambda: second.owned == TASKS, "the second worker to have everything")
    taken = [task for task in range(TASKS) if task not in mine]
    second.kill()
    standing.log.forget(f"{standing.name}.changelog")
    lies = standing.log.copies_that_lie(standing.folder / "there")
    assert [each for each in lies if int(each.split(".")[1]) in taken] == []
    assert all(end < 100 for _, _, end in second.stood()[-len(taken) :]), "the changelog was not another one"


def remake(admin: AdminClient, topic: str) -> None:
    """Delete a topic, and create it again."""
    admin.delete_topics([topic])[topic].result()
    wait_until(lambda: topic not in admin.list_topics(timeout=20).topics, "the topic to be gone")
    made = NewTopic(topic, TASKS, config={"cleanup.policy": "compact"})
    admin.create_topics([made])[topic].result()
