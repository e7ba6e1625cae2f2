"""Group commit: what is acknowledged, what is refused, and what nobody can know."""

import asyncio
import errno
import os
import random
import threading
from collections import Counter
from pathlib import Path

import pytest

from mainstem.database import Step, Write, Writer, WriterOptions
from mainstem.errors import CommitRefused, CommitUnknown, DatabaseError, DatabaseFailed, DiskFull
from tests.crash.vfs import Disk, UnreliableVFS
from tests.rooms.database.conftest import ADD_TOPIC, Opener, outcome, until

FORMS = ("file", "memory", "inline")


@pytest.mark.parametrize("form", FORMS)
async def test_work_is_acknowledged_when_it_is_committed(form: str, opened: Opener, tmp_path: Path) -> None:
    """When the future is done, every reader sees the row; the result of the work is the future's."""
    path = tmp_path / "log.db" if form == "file" else None
    async with opened(path, latency=(lambda: 0.0) if form == "inline" else None) as database:
        await database.add("a")
        assert database.names() == ["a"]
        assert await database.writer.submit(Step(lambda _write: 42)) == 42


@pytest.mark.parametrize("form", FORMS)
async def test_what_waits_is_committed_together(form: str, opened: Opener, tmp_path: Path) -> None:
    """Work that is submitted while a transaction runs goes into the next one, with one commit for all."""
    points: Counter[str] = Counter()
    path = tmp_path / "log.db" if form == "file" else None
    latency = (lambda: 0.001) if form == "inline" else None
    async with opened(path, at=lambda point: points.update([point]), latency=latency) as database:
        await asyncio.gather(*(database.add(f"t{number}") for number in range(200)))
        assert len(database.names()) == 200
        assert points["committed"] < 20
        assert points["committed"] == points["lock-taken"] == points["before-acknowledge"]


async def test_what_is_durable_is_acknowledged_when_nobody_can_be_told(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that runs out of sockets cannot wake the others; its commits count all the same, and it goes on."""

    def no_more_sockets(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with opened(tmp_path / "log.db") as database:
        monkeypatch.setattr(database.ear, "committed", no_more_sockets)
        await database.add("a")
        await database.add("b")
        assert (database.names(), database.ear.failures) == (["a", "b"], [])


@pytest.mark.parametrize(("step", "found"), [("acquire", DatabaseFailed), ("release", CommitUnknown)])
async def test_nobody_waits_for_a_writer_that_has_failed(
    step: str, found: type[Exception], opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong around a transaction, its waiters hear of it, and so does whoever comes later."""

    def broken(*_: object) -> None:
        raise RuntimeError(step)

    async with opened(tmp_path / "log.db") as database:
        await database.add("a")
        with monkeypatch.context() as patched:
            patched.setattr(database.writer._lock, step, broken)
            assert isinstance(await asyncio.wait_for(outcome(database.add("b")), 5), found)
        assert isinstance(await asyncio.wait_for(outcome(database.add("c")), 5), DatabaseFailed)


async def test_a_refused_work_leaves_no_trace_and_its_neighbours_alone(opened: Opener) -> None:
    """Work that raises is rolled back to its savepoint; the others of its transaction are committed."""
    async with opened(latency=lambda: 0.001) as database:

        def fails(write: Write) -> None:
            ADD_TOPIC.run(write.connection, "half done")
            raise CommitRefused("no")

        def breaks_a_rule(write: Write) -> None:
            ADD_TOPIC.run(write.connection, "half done as well")
            ADD_TOPIC.run(write.connection, "a")

        first, last = database.add("a"), database.add("b")
        failing = [database.writer.submit(Step(work)) for work in (fails, breaks_a_rule)]
        errors = [await outcome(future) for future in failing]
        await first
        await last
        assert [type(error) for error in errors] == [CommitRefused, CommitRefused]
        assert database.names() == ["a", "b"]


async def test_without_the_savepoint_a_refused_work_leaves_traces(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The savepoint is what does it: with this guard switched off, half of a refused work is committed."""

    def without_savepoint(_writer: Writer, pending: object, refusal: Exception) -> None:
        pending.error = refusal  # type: ignore[attr-defined]

    monkeypatch.setattr(Writer, "_take_back", without_savepoint)
    async with opened(latency=lambda: 0.001) as database:

        def fails(write: Write) -> None:
            ADD_TOPIC.run(write.connection, "half done")
            raise CommitRefused("no")

        assert isinstance(await outcome(database.writer.submit(Step(fails))), CommitRefused)
        assert database.names() == ["half done"]


async def test_work_that_cannot_be_prepared_is_refused_alone(opened: Opener) -> None:
    """An error while encoding is raised to who submitted it, and costs the others nothing."""

    class Unprepared(Step[None]):
        def prepare(self) -> None:
            raise ValueError("cannot be encoded")

    async with opened(latency=lambda: 0.001) as database:
        bad, good = database.writer.submit(Unprepared(lambda _write: None)), database.add("a")
        assert isinstance(await outcome(bad), ValueError)
        await good
        assert database.names() == ["a"]


async def test_cancelled_work_does_not_happen(opened: Opener) -> None:
    """A caller that has gone before the transaction began leaves nothing behind."""
    async with opened(latency=lambda: 0.001) as database:
        gone, stays = database.add("gone"), database.add("stays")
        gone.cancel()
        await stays
        assert database.names() == ["stays"]


@pytest.mark.parametrize(("most_bytes", "most_seconds"), [(10, 1.0), (1_000, 0.0)])
async def test_a_transaction_is_bounded(most_bytes: int, most_seconds: float, opened: Opener) -> None:
    """What does not fit one transaction goes into the next, once, and prepared once."""
    prepared: Counter[int] = Counter()

    class Counted(Step[None]):
        def __init__(self, number: int) -> None:
            super().__init__(lambda write: ADD_TOPIC.run(write.connection, f"{number}"), size_bytes=10)
            self._number = number

        def prepare(self) -> None:
            prepared[self._number] += 1

    points: Counter[str] = Counter()
    writer = WriterOptions(
        latency=lambda: 0.001,
        at=lambda point: points.update([point]),
        transaction_bytes_max=most_bytes,
        transaction_seconds_max=most_seconds,
    )
    async with opened(writer=writer) as database:
        await asyncio.gather(*(database.writer.submit(Counted(number)) for number in range(5)))
        assert database.names() == ["0", "1", "2", "3", "4"]
        assert points["committed"] == 5
        assert set(prepared.values()) == {1}


@pytest.mark.parametrize(
    ("point", "kept"),
    [
        ("lock-taken", False),
        ("begun", False),
        ("before-commit", False),
        ("committed", True),
        ("before-acknowledge", True),
    ],
)
async def test_a_fault_makes_the_outcome_unknown(point: str, *, kept: bool, opened: Opener) -> None:
    """Who was in a transaction that met a fault cannot know; before the commit nothing happened, after it all did."""
    armed = [point]

    def fault(reached: str) -> None:
        if armed == [reached]:
            armed.clear()
            raise RuntimeError("crash")

    async with opened(latency=lambda: 0.001, at=fault) as database:
        assert isinstance(await outcome(database.add("a")), CommitUnknown)
        assert database.names() == (["a"] if kept else [])
        await database.add("b")
        assert "b" in database.names()


async def test_a_fork_is_refused(opened: Opener, tmp_path: Path) -> None:
    """A child that inherited an open database is told so, and does not wait for a thread that it has not."""
    async with opened(tmp_path / "log.db") as database:
        child = os.fork()
        if child == 0:
            try:
                database.add("from the child")
            except DatabaseError as error:
                os._exit(0 if "fork" in error.what else 2)
            os._exit(1)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        await database.add("from the parent")
        assert database.names() == ["from the parent"]


async def test_a_full_disk_refuses_and_recovers(opened: Opener, tmp_path: Path) -> None:
    """With no space left a commit is refused, nothing of it is in the file, and it goes on when there is space."""
    disk = Disk()
    vfs = UnreliableVFS("full", disk)
    async with opened(tmp_path / "log.db", vfs="full") as database:
        await database.add("before")
        disk.free_bytes = 0
        refused = await asyncio.gather(*(outcome(database.add(f"full{number}")) for number in range(3)))
        assert {type(error) for error in refused} == {DiskFull}
        assert database.names() == ["before"]
        disk.free_bytes = None
        await database.add("after")
        assert database.names() == ["before", "after"]
        assert database.faults() == []
    vfs.unregister()


async def test_a_disk_that_fills_within_a_transaction_refuses_all_of_it(opened: Opener, tmp_path: Path) -> None:
    """When SQLite gives up a whole transaction, nobody in it is told that it was committed."""
    disk = Disk()
    vfs = UnreliableVFS("fills", disk)
    async with opened(tmp_path / "log.db", vfs="fills") as database:
        await database.add("before")

        def large(write: Write) -> None:
            # More than the cache holds, so that it is written into the log before the commit.
            write.connection.pragma("cache_size", 10)
            disk.free_bytes = 200_000
            for number in range(100):
                ADD_TOPIC.run(write.connection, f"{number}" * 20_000)

        begun, ready = threading.Event(), threading.Event()

        def blocks(_write: Write) -> None:
            begun.set()
            ready.wait()

        block = database.writer.submit(Step(blocks))
        await asyncio.to_thread(begun.wait)
        small, big = database.add("small"), database.writer.submit(Step(large))
        ready.set()
        await block
        outcomes = [await outcome(small), await outcome(big)]
        assert [type(each) for each in outcomes] == [DiskFull, DiskFull]
        disk.free_bytes = None
        assert database.names() == ["before"]
        await database.add("after")
    vfs.unregister()


async def test_a_failing_sync_ends_everything(opened: Opener, tmp_path: Path) -> None:
    """After a failed sync the outcome is unknown, and the writer refuses whatever comes; what was there is there."""
    disk = Disk()
    vfs = UnreliableVFS("unsynced", disk)
    async with opened(tmp_path / "log.db", vfs="unsynced") as database:
        await database.add("acknowledged")
        disk.sync_fails = lambda path: path.endswith("-wal")
        assert isinstance(await outcome(database.add("unknown")), CommitUnknown)
        disk.sync_fails = lambda _path: False
        assert isinstance(await outcome(database.add("refused")), DatabaseFailed)
        await until(lambda: len(database.ear.failures) == 1)
        disk.cut_power()
    vfs.unregister()
    (tmp_path / "log.db-shm").unlink()
    async with opened(tmp_path / "log.db") as database:
        assert database.names() == ["acknowledged"]
        assert database.faults() == []


@pytest.mark.parametrize("keep", [None, *map(random.Random, range(5))])
async def test_what_is_acknowledged_survives_a_power_loss(
    keep: random.Random | None, opened: Opener, tmp_path: Path
) -> None:
    """Every acknowledged row is there after a power loss, whichever of the writes that were not synced it kept."""
    disk = Disk()
    vfs = UnreliableVFS("powered", disk)
    acknowledged: list[str] = []
    async with opened(tmp_path / "log.db", vfs="powered", checkpoint_pages=20) as database:

        async def publish(writer: int) -> None:
            for number in range(1_000):
                name = f"{writer}-{number}"
                if isinstance(await outcome(database.add(name)), DatabaseError | CommitUnknown):
                    return
                acknowledged.append(name)

        publishing = [asyncio.ensure_future(publish(writer)) for writer in range(3)]
        await until(lambda: len(acknowledged) > 100)
        disk.cut_power(keep)
        await asyncio.gather(*publishing)
    vfs.unregister()
    (tmp_path / "log.db-shm").unlink()
    async with opened(tmp_path / "log.db") as database:
        assert set(acknowledged) <= set(database.names())
        assert database.faults() == []


async def test_an_acknowledgement_before_the_sync_would_lose(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sync is what does it: with this guard switched off, an acknowledged row is lost with the power."""
    disk = Disk()
    vfs = UnreliableVFS("hasty", disk)
    monkeypatch.setattr("mainstem.database.connection.SYNCHRONOUS", "off")
    async with opened(tmp_path / "log.db", vfs="hasty") as database:
        await database.add("acknowledged")
        disk.cut_power()
    vfs.unregister()
    (tmp_path / "log.db-shm").unlink()
    async with opened(tmp_path / "log.db") as database:
        assert database.names() == []
