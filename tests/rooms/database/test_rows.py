"""The rows of a task's stores: its own, committed ones, in the order of their keys."""

import asyncio
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.clock import SystemClock
from mainstem.database import DatabaseOptions, Query, Step, TaskRows, Write, WriterOptions, write_rows
from tests.rooms.database.conftest import Ear, OpenDatabase, Opener

ADD_GROUP = Query[tuple[()]]("insert into groups(number, name, service, tasks, inputs) values(?, ?, 's', 2, '{}')")
Changes = dict[bytes, bytes | None]


async def write(database: OpenDatabase, changes: Changes, *, store: str = "s", group: int = 1, task: int = 0) -> None:
    """Commit changes of one store."""
    rows = sorted(changes.items())
    await database.writer.submit(Step(lambda write: write_rows(write.connection, group, task, store, rows)))


async def with_groups(database: OpenDatabase) -> TaskRows:
    """Two groups, and the rows of the first one's first task."""
    await database.writer.submit(
        Step(lambda write: ADD_GROUP.run_many(write.connection, [(1, "billing"), (2, "mailer")]))
    )
    return database.rows("billing", 0)


@pytest.mark.parametrize("on_disk", [True, False])
async def test_what_was_put_is_there(*, on_disk: bool, opened: Opener, tmp_path: Path) -> None:
    """A value can be read once committed, replaced, and deleted; a store that was never written is empty."""
    async with opened(tmp_path / "log.db" if on_disk else None) as database:
        rows = await with_groups(database)
        assert (rows.get("s", b"a"), rows.get_many("s", [b"a"]), rows.scan("s"), rows.count("s")) == (None, {}, [], 0)
        await write(database, {b"a": b"1", b"b": b"", b"": b"2"})
        assert [rows.get("s", key) for key in (b"a", b"b", b"", b"c")] == [b"1", b"", b"2", None]
        await write(database, {b"a": b"3", b"b": None, b"never": None})
        assert rows.get_many("s", [b"c", b"b", b"a", b"a", b""]) == {b"a": b"3", b"": b"2"}
        assert rows.get_many("s", []) == {}
        assert rows.count("s") == 2


async def test_rows_belong_to_one_group_task_and_store(opened: Opener) -> None:
    """The same key of another group, task or store is another row."""
    async with opened() as database:
        rows = await with_groups(database)
        await write(database, {b"a": b"mine"})
        await write(database, {b"a": b"another group's"}, group=2)
        await write(database, {b"a": b"another task's"}, task=1)
        await write(database, {b"a": b"another store's"}, store="t")
        assert rows.scan("s") == [(b"a", b"mine")]
        assert database.rows("billing", 1).scan("s") == [(b"a", b"another task's")]
        assert database.rows("mailer", 0).get("s", b"a") == b"another group's"
        assert rows.get("t", b"a") == b"another store's"


async def test_a_scan_has_a_beginning_an_end_and_a_limit(opened: Opener) -> None:
    """Keys come in the order of their bytes, from the start up to but without the stop, or backwards."""
    async with opened() as database:
        rows = await with_groups(database)
        keys = [b"", b"\x00", b"a", b"a\x00", b"ab", b"b", b"\xff", b"\xff\xff"]
        await write(database, dict.fromkeys(keys, b"v"))

        def found(
            start: bytes = b"", stop: bytes | None = None, *, limit: int = 100, reverse: bool = False
        ) -> list[bytes]:
            return [key for key, _ in rows.scan("s", start, stop, limit=limit, reverse=reverse)]

        assert found() == keys
        assert found(reverse=True) == keys[::-1]
        assert found(b"a", b"b") == [b"a", b"a\x00", b"ab"]
        assert found(b"a", b"b", reverse=True, limit=2) == [b"ab", b"a\x00"]
        assert found(b"a", limit=2) == [b"a", b"a\x00"]
        assert found(b"b", b"a") == []


async def test_thousands_of_changes_are_written_in_one_commit(opened: Opener) -> None:
    """However many rows a commit has, each of them is written."""
    async with opened() as database:
        rows = await with_groups(database)
        expected = {b"%d" % number: b"v%d" % number for number in range(3_333)}
        await write(database, dict(expected))
        assert dict(rows.scan("s", limit=10_000)) == expected
        assert rows.get_many("s", list(expected)) == expected
        await write(database, dict.fromkeys(list(expected)[::2]))
        assert rows.count("s") == 1_666


@pytest.mark.parametrize("on_disk", [True, False])
async def test_uncommitted_rows_are_not_seen(*, on_disk: bool, opened: Opener, tmp_path: Path) -> None:
    """While a transaction is open a reader in any thread sees nothing of it, and afterwards all of it."""
    async with opened(tmp_path / "log.db" if on_disk else None) as database:
        rows = await with_groups(database)
        await write(database, {b"a": b"old", b"b": b"old"})
        begun, go_on = threading.Event(), threading.Event()

        def slowly(open_write: Write) -> None:
            write_rows(open_write.connection, 1, 0, "s", [(b"a", b"new"), (b"b", b"new")])
            begun.set()
            go_on.wait()

        writing = database.writer.submit(Step(slowly))
        await asyncio.to_thread(begun.wait)
        reading = asyncio.ensure_future(asyncio.to_thread(rows.scan, "s"))
        if on_disk:
            assert await reading == [(b"a", b"old"), (b"b", b"old")]
        go_on.set()
        await writing
        # In memory the reader waits for the writer; on disk it has seen the rows of before.
        assert len({value for _, value in await reading}) == 1
        assert rows.scan("s") == [(b"a", b"new"), (b"b", b"new")]


@given(st.lists(st.dictionaries(st.binary(max_size=3), st.none() | st.binary(max_size=3), max_size=12), max_size=6))
def test_commits_amount_to_a_dictionary(commits: list[Changes]) -> None:
    """After any commits the rows are what a dictionary would be."""

    async def check() -> None:
        database = _in_memory()
        try:
            rows = await with_groups(database)
            model: dict[bytes, bytes] = {}
            for changes in commits:
                await write(database, changes)
                model.update({key: value for key, value in changes.items() if value is not None})
                for key in [key for key, value in changes.items() if value is None]:
                    model.pop(key, None)
            assert rows.scan("s") == sorted(model.items())
        finally:
            database.close()

    asyncio.run(check())


def _in_memory() -> OpenDatabase:
    database = OpenDatabase(None, SystemClock(), DatabaseOptions(writer=WriterOptions(latency=lambda: 0.0)))
    database.open(Ear())
    return database
