"""The file: whose it is, how it is opened, whether it is whole, and a copy of it."""

import asyncio
from pathlib import Path

import apsw
import pytest

from mainstem.database.connection import require_safe_sqlite
from mainstem.errors import DatabaseError, SQLiteTooOld, WrongFileFormat
from tests.rooms.database.conftest import Opener, outcome


@pytest.mark.parametrize("version", ["3.7.0", "3.40.1", "3.51.2"])
def test_an_old_sqlite_is_refused(version: str) -> None:
    """A SQLite that can lose committed data is refused, with the reason and what to install."""
    with pytest.raises(SQLiteTooOld) as refused:
        require_safe_sqlite(version)
    assert version in str(refused.value)
    assert "apsw" in refused.value.remedy


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "3.54.1", "4.0.0"])
def test_a_sqlite_with_the_mend_is_accepted(version: str) -> None:
    """From 3.51.3 on, SQLite will do."""
    require_safe_sqlite(version)


async def test_the_settings_that_everything_relies_on(opened: Opener, tmp_path: Path) -> None:
    """Pages of 16 KiB, a write-ahead log that commits do not checkpoint, full syncs, and no memory mapping."""
    async with opened(tmp_path / "log.db") as database:
        with database.reading() as connection:
            names = ("page_size", "journal_mode", "synchronous", "wal_autocheckpoint", "mmap_size", "query_only")
            found = {name: connection.pragma(name) for name in names}
    assert found == {
        "page_size": 16_384,
        "journal_mode": "wal",
        "synchronous": 2,
        "wal_autocheckpoint": 0,
        "mmap_size": 0,
        "query_only": 1,
    }


async def test_a_file_is_opened_again(opened: Opener, tmp_path: Path) -> None:
    """What was written is there after closing and opening, and for a second one that opens it meanwhile."""
    async with opened(tmp_path / "log.db") as first, opened(tmp_path / "log.db") as second:
        await first.add("a")
        await second.add("b")
        assert first.names() == second.names() == ["a", "b"]
    async with opened(tmp_path / "log.db") as database:
        assert database.names() == ["a", "b"]


async def test_many_open_a_new_file_at_once(opened: Opener, tmp_path: Path) -> None:
    """Whoever comes first creates the schema, and nobody is refused."""

    async def use(number: int) -> None:
        async with opened(tmp_path / "log.db") as database:
            await database.add(f"{number}")

    await asyncio.gather(*(use(number) for number in range(8)))
    async with opened(tmp_path / "log.db") as database:
        assert sorted(database.names()) == [f"{number}" for number in range(8)]


@pytest.mark.parametrize(
    ("version", "remedy"), [(2, "upgrade mainstem"), (99, "upgrade mainstem"), (0, "with the version between")]
)
async def test_another_format_is_refused(version: int, remedy: str, opened: Opener, tmp_path: Path) -> None:
    """A file of another format version is refused, with what to do, and is not touched."""
    async with opened(tmp_path / "log.db") as database:
        await database.add("a")
    with apsw.Connection(str(tmp_path / "log.db")) as connection:
        connection.pragma("user_version", version)
    connection.close()
    refused = await outcome(opened(tmp_path / "log.db").__aenter__())
    assert isinstance(refused, WrongFileFormat)
    assert remedy in refused.remedy
    assert f"version {version}" in str(refused)


async def test_a_database_of_another_program_is_refused(opened: Opener, tmp_path: Path) -> None:
    """A SQLite file that is not ours is refused."""
    connection = apsw.Connection(str(tmp_path / "log.db"))
    connection.execute("create table theirs(a)")
    connection.close()
    refused = await outcome(opened(tmp_path / "log.db").__aenter__())
    assert isinstance(refused, WrongFileFormat)


async def test_a_file_that_is_no_database_is_refused(opened: Opener, tmp_path: Path) -> None:
    """A file that SQLite did not write is refused, and stays as it is."""
    content = b"dear diary, " * 1_000
    (tmp_path / "log.db").write_bytes(content)
    refused = await outcome(opened(tmp_path / "log.db").__aenter__())
    assert isinstance(refused, WrongFileFormat)
    assert (tmp_path / "log.db").read_bytes() == content


async def test_a_missing_folder_is_named(opened: Opener, tmp_path: Path) -> None:
    """Where there is no folder, the error says so, and how to make it; the file has not failed."""
    refused = await outcome(opened(tmp_path / "nowhere" / "log.db").__aenter__())
    assert type(refused) is DatabaseError
    assert (refused.what, refused.remedy) == (
        "The folder of the database file is not there",
        f"create it: mkdir -p {tmp_path / 'nowhere'}",
    )


@pytest.mark.parametrize("on_disk", [True, False])
async def test_a_backup_is_one_snapshot(*, on_disk: bool, opened: Opener, tmp_path: Path) -> None:
    """A backup that is taken while others write holds a prefix of what they wrote, and is whole."""
    async with opened(tmp_path / "log.db" if on_disk else None) as database:
        await asyncio.gather(*(database.add(f"{number:05d}") for number in range(2_000)))
        writing = asyncio.ensure_future(
            asyncio.gather(*(database.add(f"{number:05d}") for number in range(2_000, 3_000)))
        )
        await asyncio.to_thread(database.backup, tmp_path / "copy.db")
        await writing
        again = await outcome(asyncio.to_thread(database.backup, tmp_path / "copy.db"))
        assert isinstance(again, DatabaseError)
    async with opened(tmp_path / "copy.db") as copy:
        names = copy.names()
        assert names == [f"{number:05d}" for number in range(len(names))]
        assert len(names) >= 2_000
        assert copy.faults() == []
        await copy.add("goes on")


async def test_damage_is_found(opened: Opener, tmp_path: Path) -> None:
    """A file in which bytes were changed is not said to be whole."""
    path = tmp_path / "log.db"
    async with opened(path) as database:
        await asyncio.gather(*(database.add(f"{number:05d}" * 50) for number in range(1_000)))
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 5_000] = bytes(5_000)
    path.write_bytes(content)
    async with opened(path) as database:
        found = await outcome(asyncio.to_thread(database.faults))
    assert found != []
