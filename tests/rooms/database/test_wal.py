"""The write-ahead log: short under load, bounded under slow readers."""

import asyncio
import logging
from pathlib import Path

import pytest

from mainstem.database import Query, Step
from tests.crash.vfs import Disk, UnreliableVFS
from tests.rooms.database.conftest import ADD_TOPIC, OpenDatabase, Opener, until

COUNT = Query[tuple[int]]("select count(*) from topic")
PAGE = 16_384


async def write(database: OpenDatabase, name: str, pages: int = 4) -> None:
    """Commit about so many pages."""
    await database.writer.submit(Step(lambda write: ADD_TOPIC.run(write.connection, name.ljust(pages * PAGE))))


def wal_pages(path: Path) -> int:
    """The length of the log in pages."""
    return path.with_name(path.name + "-wal").stat().st_size // PAGE


async def test_it_stays_short_under_load(opened: Opener, tmp_path: Path) -> None:
    """However much is committed without a pause, by several who share the file, the log stays near its limit."""
    path = tmp_path / "log.db"
    longest = 0
    async with opened(path, checkpoint_pages=100) as first, opened(path, checkpoint_pages=100) as second:

        async def load(database: OpenDatabase, label: str) -> None:
            nonlocal longest
            for number in range(250):
                await write(database, f"{label}{number}")
                longest = max(longest, wal_pages(path))

        await asyncio.gather(load(first, "a"), load(second, "b"))
        assert len(first.names()) == 500
    assert longest < 1_000, "half of what was written"


async def test_commits_do_not_checkpoint(opened: Opener, tmp_path: Path) -> None:
    """Below its limit the log is left alone: the database file does not grow by a commit."""
    path = tmp_path / "log.db"
    async with opened(path) as database:
        before = path.stat().st_size
        for number in range(30):
            await write(database, f"{number}")
        assert path.stat().st_size == before
        assert wal_pages(path) > 100


async def test_a_read_that_does_not_end_is_reported_and_outlived(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While a read transaction stays open the log grows and says why; when it ends, the log begins anew."""
    monkeypatch.setattr("mainstem.database.wal._READERS_WAIT_MS", 20)
    caplog.set_level(logging.WARNING, "mainstem")
    path = tmp_path / "log.db"
    async with opened(path, checkpoint_pages=10) as database:
        await write(database, "first")
        with database.reading() as connection:
            connection.execute("begin")
            COUNT.one(connection)
            number = 0
            while "a backup or a read does not end" not in caplog.text:
                await write(database, f"slow {number}")
                number += 1
            assert COUNT.one(connection) == (1,)
            connection.execute("commit")
        held = wal_pages(path)
        assert held > 40
        while wal_pages(path) >= held:
            await write(database, f"free {number}")
            number += 1
        await until(lambda: wal_pages(path) < held)
        assert database.faults() == []


async def test_a_full_disk_does_not_end_the_checkpoints(
    opened: Opener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A checkpoint for which there is no space is tried again, and costs no commit."""
    disk = Disk()
    vfs = UnreliableVFS("small", disk)
    path = tmp_path / "log.db"
    async with opened(path, vfs="small", checkpoint_pages=10) as database:
        disk.full_for = lambda name: name.endswith("log.db")
        number = 0
        while "tried again later" not in caplog.text:
            await write(database, f"{number}")
            number += 1
        disk.full_for = lambda _name: False
        while len(disk.files[str(path)].cached) < 20 * PAGE:
            await write(database, f"{number}")
            number += 1
        assert len(database.names()) == number
    vfs.unregister()
