"""The checker sees what is wrong with a file, and knows nothing of the library that has written it."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from tests.crash.checker import check
from tests.crash.crew import ROOT, Crew
from tests.crash.logfile import DATABASE, OFFSET_BITS, Database

Damage = Callable[[apsw.Connection], None]


def test_it_imports_nothing_of_the_library() -> None:
    """Neither the checker nor what it imports has the library loaded."""
    program = "import tests.crash.checker, sys; print([name for name in sys.modules if name.startswith('mainstem')])"
    shown = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a small workload without any crash has left behind."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "mended").touch()
    with Crew(folder) as crew:
        crew.up("worker", "worker")
        crew.run("producer", "producer", "--count", "80", "--pause", "0.002", "--keys", "key-1,key-2,key-3")
        report = crew.finish()
    assert report.sound, str(report)
    return folder


def test_a_sound_file_is_found_sound(sound: Path) -> None:
    """Nothing is wrong, and the numbers say what was looked at."""
    report = check(sound)
    assert report.sound, str(report)
    assert report.counts["acknowledged"] == report.counts["in the log"] == report.counts["records in tallied"] == 80
    assert report.counts["timers fired"] > 0


def rows_of(connection: apsw.Connection, topic: str) -> list[tuple[int, int, bytes]]:
    """The rows of a topic's records."""
    numbers = [
        number
        for (number,) in connection.execute(
            "select partition.number from partition join topic on topic.number = partition.topic where name = ?",
            (topic,),
        )
    ]
    found: list[tuple[int, int, bytes]] = []
    for number in numbers:
        rows: Iterable[Any] = connection.execute(
            "select id, last, body from log where id >= ? and id < ? order by id",
            (number << OFFSET_BITS, (number + 1) << OFFSET_BITS),
        )
        found += rows
    return found


def lost(topic: str, *, most: int = 1) -> Damage:
    """Rows of a topic are gone."""

    def damage(connection: apsw.Connection) -> None:
        for row, _, _ in rows_of(connection, topic)[:most]:
            connection.execute("delete from log where id = ?", (row,))

    return damage


def twice(topic: str) -> Damage:
    """A row of a topic is there a second time, behind the last one of its partition."""

    def damage(connection: apsw.Connection) -> None:
        rows = rows_of(connection, topic)
        partition = rows[-1][0] >> OFFSET_BITS
        row, last, body = next(each for each in rows if each[0] >> OFFSET_BITS == partition)
        end = rows[-1][1] + 1
        copy = (partition << OFFSET_BITS | end, end + last - (row & ((1 << OFFSET_BITS) - 1)), body)
        connection.execute("insert into log(id, last, oldest, newest, body) values(?, ?, 0, 0, ?)", copy)

    return damage


def turned_round(topic: str) -> Damage:
    """The records of a row stand in the opposite order."""

    def damage(connection: apsw.Connection) -> None:
        for row, _, body in rows_of(connection, topic):
            content = msgspec.msgpack.decode(body)
            keys, values = content[:2]
            for key in set(keys):
                mine = [place for place, each in enumerate(keys) if each == key]
                if len(mine) > 1:
                    values[mine[0]], values[mine[-1]] = values[mine[-1]], values[mine[0]]
                    connection.execute("update log set body = ? where id = ?", (msgspec.msgpack.encode(content), row))
                    return
        pytest.fail(f"no row of {topic} has two records of a key")

    return damage


def statement(sql: str) -> Damage:
    """Something else."""

    def damage(connection: apsw.Connection) -> None:
        connection.execute(sql)
        assert connection.changes() > 0

    return damage


def counted_once_more(connection: apsw.Connection) -> None:
    """A store has counted an event twice."""
    [(rowid, task, key, value)] = connection.execute(
        "select entry.store, task, key, value from entry join store on store.number = entry.store"
        " where store.name = 'tallies' limit 1"
    )
    tally = msgspec.msgpack.decode(value[3:])
    changed = value[:3] + msgspec.msgpack.encode({**tally, "count": tally["count"] + 1})
    connection.execute(
        "update entry set value = ? where store = ? and task = ? and key = ?", (changed, rowid, task, key)
    )


DAMAGES: list[tuple[str, Damage]] = [
    ("an acknowledged event is in the log, once", lost("steps")),
    ("an acknowledged event is in the log, once", twice("steps")),
    ("an event is in the log once", twice("steps")),
    ("a producer's events keep their order", turned_round("steps")),
    ("a step is counted once, in its order", lost("tallied")),
    ("a step is counted once, in its order", twice("tallied")),
    ("a step is counted once, in its order", turned_round("tallied")),
    ("a step is counted once, in its order", counted_once_more),
    ("a step that failed is handled once, and nothing of its key overtakes it", turned_round("mended")),
    ("a step that failed is handled once, and nothing of its key overtakes it", lost("mended")),
    ("a timer fires once, for its last setting", lost("quiet", most=100)),
    ("a timer fires once, for its last setting", twice("quiet")),
    ("a firing that failed is handled once, in its order", lost("checked", most=100)),
    ("a firing that failed is handled once, in its order", twice("checked")),
    ("an output is handled once, in its order", lost("stamped")),
    ("an output is handled once, in its order", twice("stamped")),
    ("what stands before a checkpoint is done once", lost("stages")),
    ("what stands before a checkpoint is done once", twice("stages")),
    ("a position is where the log ends", statement("update position set next = next - 1 where next > 3")),
    (
        "nothing is left over",
        statement("insert into entry select number, 0, 'k', x'00' from store where name = '$parking'"),
    ),
]


@pytest.mark.parametrize(("rule", "damage"), DAMAGES, ids=[f"{n}: {rule}" for n, (rule, _) in enumerate(DAMAGES)])
def test_it_sees_what_is_wrong(rule: str, damage: Damage, sound: Path, tmp_path: Path) -> None:
    """A defect that is planted in the file is named by the rule that it breaks."""
    folder = tmp_path / "damaged"
    shutil.copytree(sound, folder)
    connection = apsw.Connection(str(folder / DATABASE))
    damage(connection)
    connection.close()
    report = check(folder)
    assert rule in report.differences, str(report)
    assert f"BROKEN: {rule}" in str(report)


def test_it_sees_that_a_file_is_damaged(sound: Path, tmp_path: Path) -> None:
    """A file with a page of rubbish in it is not sound, whatever its content says."""
    folder = tmp_path / "damaged"
    shutil.copytree(sound, folder)
    path = folder / DATABASE
    with Database(path) as database:
        ((page,),) = database.rows("select rootpage from sqlite_master where name = 'entry'")
    content = bytearray(path.read_bytes())
    content[(page - 1) * 16_384 : (page - 1) * 16_384 + 100] = bytes(range(100, 200))
    path.write_bytes(content)
    assert "the file is sound" in check(folder).differences
