"""The local copies are a cache of the changelog: one that might not be what it says is never trusted."""

import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from confluent_kafka.cimpl import NewTopic

from mainstem import Context, IntegrationEvent, Service
from mainstem.service import running
from mainstem.settings import Settings
from tests.crash.crew import wait_until
from tests.journeys.conditions import until
from tests.kafka.failures.cluster_log import ClusterLog, read_copy

KEYS = tuple(f"key-{number}" for number in range(40))
TWO_DAYS_MS = 2 * 86_400_000


class Counting:
    """A service that counts events by key, one run after the other, and what a plain reader sees of it."""

    def __init__(self, kafka: str, name: str, folder: Path, tasks: int = 1) -> None:
        self.name = name
        self.tasks = tasks
        self.folder = folder
        self.changelog = f"{name}.changelog"
        self.log = ClusterLog(kafka, {name}, name)
        self._kafka = kafka
        self._expected: dict[str, list[int]] = defaultdict(list)
        self._remembered: dict[str, int] = {}

    def copy(self, task: int = 0) -> Path:
        """The local copy of a task."""
        return self.folder / f"{self.name}.{task}.db"

    async def run(self, *keys: str, folder: Path | None = None) -> None:
        """Start, count one event of each of these keys, and stop. A key with a minus before it is forgotten."""
        service, sent = _counter(self.name, self.tasks)
        settings = Settings(pinned_tasks=",".join(map(str, range(self.tasks))), commit_interval_ms=5)
        url = f"kafka://{self._kafka}?state_folder={folder or self.folder}"
        done = self.outputs() + len(keys)
        async with running(service, broker=url, dev=True, settings=settings):
            await service.publish(*(sent(key.removeprefix("-"), key.startswith("-")) for key in keys))
            await until(lambda: self.outputs() == done)
        for key in keys:
            if key.startswith("-"):
                del self._remembered[key[1:]]
                self._expected[key[1:]].append(0)
            else:
                after = self._remembered[key] = self._remembered.get(key, 0) + 1
                self._expected[key].append(after)

    def outputs(self) -> int:
        """How many events have been handled and committed."""
        return sum(1 for _ in self.log.records(f"{self.name}-counted"))

    def require_right(self) -> None:
        """Every key was counted through, and the copy is what the changelog says."""
        found = defaultdict(list)
        for record in self.log.records(f"{self.name}-counted"):
            found[record.key].append(record.value["count"])
        expected = self._expected.items()
        assert [f"{key}: {found[key]}, and not {counts}" for key, counts in expected if found[key] != counts] == []
        assert dict(self.log.entries(self.name, "counts")) == self._remembered
        assert self.log.copies_that_lie(self.folder) == []
        assert self.log.behind(self.folder) == []

    def begin_anew(self) -> None:
        """Nothing is remembered any more; expect counting to begin at 1 again."""
        self._remembered.clear()


def _counter(name: str, tasks: int) -> tuple[Service, Callable[[str, bool], IntegrationEvent]]:
    class Sent(IntegrationEvent, topic=f"{name}-sent", key="key", name="Sent"):
        key: str
        forgets: bool

    class Counted(IntegrationEvent, topic=f"{name}-counted", key="key", name="Counted"):
        key: str
        count: int

    service = Service(name, publishes=(Sent,))
    service.topic(f"{name}-sent", partitions=tasks)
    counts = service.store("counts", int)

    @service.on(Sent)
    def count(sent: Sent, context: Context) -> Counted:
        if sent.forgets:
            context.delete(counts)
            return Counted(sent.key, 0)
        after = context.get(counts, 0) + 1
        context.put(counts, after)
        return Counted(sent.key, after)

    return service, Sent


@pytest.fixture
def counting(kafka: str, unique: Callable[[str], str], tmp_path: Path) -> Iterator[Counting]:
    """A counter with a folder of its own."""
    counting = Counting(kafka, unique("counting"), tmp_path / "copies")
    try:
        yield counting
    finally:
        counting.log.__exit__()


def change(path: Path, sql: str, *bindings: object) -> None:
    """Change a local copy behind the library's back."""
    connection = apsw.Connection(str(path))
    try:
        connection.execute(sql, bindings)
    finally:
        connection.close()


def spoil(path: Path) -> None:
    """Put rows into a copy that no changelog has: whoever trusts it counts wrongly."""
    change(path, "update entry set value = x'01' || substr(value, 2, 2) || x'cd03e7'")  # 999


def deleted(path: Path) -> None:
    """The file is gone."""
    path.unlink()


def empty(path: Path) -> None:
    """The file is there, and has nothing in it."""
    path.write_bytes(b"")


def ahead(path: Path) -> None:
    """It has come further than its changelog."""
    spoil(path)
    change(path, "update mark set next = next + 1000")


def of_another_topic(path: Path) -> None:
    """It follows a changelog with another id."""
    spoil(path)
    change(path, "update mark set source = 'another'")


def of_another_format(path: Path) -> None:
    """Another version has written it."""
    spoil(path)
    change(path, "update mark set form = form + 1")


def stale(path: Path) -> None:
    """Since it was written, deletions may have come and gone."""
    spoil(path)
    change(path, "update mark set whole_ms = whole_ms - ?", TWO_DAYS_MS)


def unmarked(path: Path) -> None:
    """It has rows, and does not say how far it has come."""
    spoil(path)
    change(path, "delete from mark")


def beheaded(path: Path) -> None:
    """It is no database any more."""
    overwrite(path, 0, 100)


def cut_off(path: Path) -> None:
    """Its second half is missing."""
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size // 2)


def corrupt(path: Path) -> None:
    """All but the first page, with which SQLite opens it, mean nothing."""
    overwrite(path, 4_096, path.stat().st_size - 4_096)


def corrupt_at_the_end(path: Path) -> None:
    """One page means nothing; it is one with rows."""
    overwrite(path, path.stat().st_size - 4_096, 4_096)


def overwrite(path: Path, start: int, count: int) -> None:
    """Put bytes into a file that mean nothing."""
    with path.open("rb+") as file:
        file.seek(start)
        file.write(bytes(number * 37 % 251 for number in range(count)))


HARM = (
    deleted,
    empty,
    ahead,
    of_another_topic,
    of_another_format,
    stale,
    unmarked,
    beheaded,
    cut_off,
    corrupt,
    corrupt_at_the_end,
)


async def test_a_copy_that_cannot_be_trusted_is_made_anew(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    """Whatever has become of a task's copy, the next owner counts on from what the changelog says."""
    counting = Counting(kafka, unique("harmed"), tmp_path / "copies", tasks=len(HARM))
    keys = [f"key-{number}" for number in range(20 * len(HARM))]
    with counting.log:
        await counting.run(*keys, *keys)
        counting.require_right()
        for task, harm in enumerate(HARM):
            assert len(read_copy(counting.copy(task))[1]) > 5, "there is nothing to be wrong about"
            harm(counting.copy(task))
        await counting.run(*keys)
        counting.require_right()


async def test_a_folder_from_another_machine_follows(counting: Counting, tmp_path: Path) -> None:
    """A copy that was left behind while the task ran elsewhere catches up before it is used."""
    await counting.run(*KEYS)
    await counting.run(*KEYS, "-key-0", folder=tmp_path / "elsewhere")
    assert counting.log.behind(counting.folder) != []
    await counting.run(*KEYS)
    counting.require_right()


async def test_a_changelog_that_was_made_anew(counting: Counting, kafka_admin: AdminClient) -> None:
    """What a copy knows of a changelog that was deleted is not believed of one that has its name."""
    await counting.run(*KEYS)
    kafka_admin.delete_topics([counting.changelog])[counting.changelog].result()
    wait_until(lambda: counting.changelog not in kafka_admin.list_topics(timeout=20).topics, "the topic to be gone")
    made = NewTopic(counting.changelog, 1, config={"cleanup.policy": "compact"})
    kafka_admin.create_topics([made])[counting.changelog].result()
    counting.log.forget(counting.changelog)
    counting.begin_anew()
    await counting.run(*KEYS)
    counting.require_right()


async def test_a_folder_that_comes_back_after_days_of_compaction(
    counting: Counting, kafka_admin: AdminClient, tmp_path: Path
) -> None:
    """Deletions it has not seen are no longer in the changelog; what was deleted stays so."""
    await counting.run(*KEYS)
    shutil.copytree(counting.folder, tmp_path / "away")
    await counting.run(*(f"-{key}" for key in KEYS[:20]))
    compact(kafka_admin, counting.changelog)
    await counting.run("key-30")  # begins another segment
    rows = [key for key in read_copy(counting.copy())[1] if key[0] == "counts"]
    assert len(rows) == 20
    await without_tombstones(counting)
    shutil.rmtree(counting.folder)
    shutil.copytree(tmp_path / "away", counting.folder)
    change(counting.copy(), "update mark set whole_ms = whole_ms - ?", TWO_DAYS_MS)
    await counting.run(*KEYS)
    counting.log.forget(counting.changelog)
    counting.require_right()


async def without_tombstones(counting: Counting) -> None:
    """Return when compaction has taken the deletions out of the changelog."""
    until_seconds = time.monotonic() + 30
    while True:
        counting.log.forget(counting.changelog)
        if not counting.log.tombstones(counting.name, "counts"):
            return
        assert time.monotonic() < until_seconds, "the changelog has not been compacted"
        await counting.run("key-31")  # a segment is closed when the next record comes


def compact(admin: AdminClient, topic: str) -> None:
    """Let the broker compact a topic at once, and forget deletions."""
    config = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.0001", "delete.retention.ms": "0"}
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin.incremental_alter_configs([resource])[resource].result()
