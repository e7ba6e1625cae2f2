"""A file whose data has been moved: it takes nothing any more, and says where to look."""

import asyncio
from pathlib import Path

import pytest

from mainstem.database import Database, Moved, Restamp, moved, stamp
from mainstem.errors import DatabaseMoved
from tests.rooms.database.conftest import Opener


def stamped(database: Database, to: Moved | None) -> "asyncio.Future[None]":
    """Stamp the file, or take its stamp away."""
    return database.writer.submit(Restamp(lambda write: stamp(write.connection, to)))


def stamp_of(database: Database) -> Moved | None:
    """What the file says."""
    with database.reading() as connection:
        return moved(connection)


@pytest.mark.parametrize("finished", [False, True])
async def test_nothing_is_committed_behind_a_stamp(opened: Opener, tmp_path: Path, *, finished: bool) -> None:
    """Whoever has the file open, and whoever opens it later, is refused by name, and told where the data is."""
    path = tmp_path / "log.db"
    to = Moved("m-1", "kafka://broker-1:9092", 1_700_000_000_000, finished)
    async with opened(path) as first, opened(path) as second:
        await first.add("a")
        await stamped(second, to)
        for database in (first, second):
            with pytest.raises(DatabaseMoved, match="kafka://broker-1:9092") as refused:
                await database.add("b")
            assert "--undo-cutover" in refused.value.remedy
    async with opened(path) as later:
        with pytest.raises(DatabaseMoved):
            await later.add("c")
        assert (later.names(), stamp_of(later)) == (["a"], to)


async def test_what_waits_when_the_stamp_comes_is_refused_from_there_on(opened: Opener, tmp_path: Path) -> None:
    """Of work that is gathered at the same time, nothing is committed in a later transaction than the stamp's."""
    async with opened(tmp_path / "log.db") as database:
        results = await asyncio.gather(
            *(database.add(f"before-{number}") for number in range(10)),
            stamped(database, Moved("m-1", "kafka://b:9092", 0)),
            return_exceptions=True,
        )
        assert all(isinstance(each, DatabaseMoved | None) for each in results)
        names = database.names()
        later = await asyncio.gather(*(database.add(f"after-{number}") for number in range(10)), return_exceptions=True)
        assert all(isinstance(each, DatabaseMoved) for each in later)
        assert database.names() == names


async def test_a_stamp_is_taken_back(opened: Opener, tmp_path: Path) -> None:
    """A file that is given its data back takes commits again."""
    async with opened(tmp_path / "log.db") as database:
        await stamped(database, Moved("m-1", "kafka://b:9092", 0))
        await stamped(database, None)
        await database.add("a")
        assert (database.names(), stamp_of(database)) == (["a"], None)
