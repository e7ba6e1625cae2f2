"""A registry in a folder: what its files look like, who may write them, and what becomes of damage."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstem.clock import ManualClock
from mainstem.errors import DefinitionError
from mainstem.registry.contents import (
    Config,
    DeleteSubject,
    DeleteVersion,
    Operation,
    Register,
    RegistryError,
    SetConfig,
    SetMode,
)
from mainstem.registry.folder import Disk, FolderRegistry, rows_of
from mainstem.schemas.documents import Schema
from tests.rooms.registry.played import record, refer

A = record("A", "text")
A2 = record("A", "text", "more?")
HAS_A = record("H", "inner:A", references=[refer("A", "a")])
PROTO = Schema('syntax = "proto3";\n// said\nmessage A { string text = 1; }\n', "PROTOBUF")
ODD = [
    "a/b",
    "a",
    "A",
    "..",
    ".a",
    "~",
    "a~",
    "registry.json",
    "subjects",
    "ä\u2028 b%41",
    "x" * 900,
    "x" * 901,
    "con",
]

OPERATIONS: list[Operation[object]] = [
    Register("a", A),
    SetConfig(Config(compatibility_level="NONE")),
    Register("a", A2),
    Register("h", HAS_A),
    Register(":.shop:a", PROTO),
    SetMode("READONLY", ":.shop:a"),
    SetMode("READWRITE", ":.shop:a"),
    DeleteVersion("a", 2),
    DeleteVersion("a", 2, permanent=True),
    DeleteSubject(":.shop:a"),
    DeleteSubject(":.shop:a", permanent=True),
    Register("a", PROTO),
]


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    """The files of a registry that has a bit of everything."""
    with TemporaryDirectory() as folder:
        return asyncio.run(written(Path(folder)))


class Died(BaseException):
    """The process is no more."""


def dying_at(step: int) -> Callable[[str], None]:
    """Hear the steps of a change, and die at this one."""
    heard = 0

    def hear(_step: str) -> None:
        nonlocal heard
        heard += 1
        if heard == step:
            raise Died

    return hear


async def rows(path: Path) -> dict[bytes, bytes]:
    """What a process finds that has just been started."""
    return dict((await FolderRegistry(path, ManualClock()).caught_up()).rows.scan(b""))


def without_free_ids(found: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """What there is but for the ids and what they stand for: an id may be given out that nobody has."""
    return {key: value for key, value in found.items() if not key.startswith((b"id", b"guid", b"highest"))}


def files(path: Path) -> dict[str, str]:
    """What lies there."""
    return {str(each.relative_to(path)): each.read_text() for each in sorted(path.rglob("*")) if each.is_file()}


def everything(path: Path) -> list[str]:
    """All files and folders."""
    return [str(each.relative_to(path)) for each in path.rglob("*")]


def hidden(path: Path) -> list[str]:
    """What a process has left there."""
    return [each.name for each in path.rglob(".*")]


def line_of(error: DefinitionError) -> str:
    """The line at which an error says to look."""
    file, _, line = error.where.rpartition(":")
    lines = Path(file).read_text().splitlines() or [""]
    return lines[int(line) - 1]


async def test_the_files_are_for_people(tmp_path: Path) -> None:
    """A text has a file of its own, in lines; each subject has one that says what its versions are."""
    registry = FolderRegistry(tmp_path, ManualClock())
    await registry.write(Register("Shop.Paid", Schema('{"type":"object","title":"Paid"}', "JSON")))
    await registry.write(Register(":.till:Counted", A))
    await registry.write(SetConfig(Config(compatibility_level="FULL"), "Shop.Paid"))
    found = files(tmp_path)
    assert list(found) == [
        "contexts/till/registry.json",
        "contexts/till/subjects/Counted/1.avsc",
        "contexts/till/subjects/Counted/subject.json",
        "registry.json",
        "subjects/Shop.Paid/1.json",
        "subjects/Shop.Paid/subject.json",
    ]
    assert found["subjects/Shop.Paid/1.json"] == '{\n  "type": "object",\n  "title": "Paid"\n}\n'
    subject = json.loads(found["subjects/Shop.Paid/subject.json"])
    assert subject["config"] == {"compatibilityLevel": "FULL"}
    [version] = subject["versions"]
    assert (version["version"], version["id"], version["format"]) == (1, 1, "JSON")
    assert version["registered"].endswith("Z")
    assert json.loads(found["contexts/till/registry.json"])["ids"].keys() == {"1"}


async def test_what_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    """And a change of one subject touches no other."""
    registry = FolderRegistry(tmp_path, ManualClock())
    await registry.write(Register("a", A))
    await registry.write(Register("b", A2))
    before = Disk(tmp_path).signature()
    await registry.write(Register("a", A))
    with pytest.raises(RegistryError):
        await registry.write(Register("a", record("A", "other:int")))
    assert Disk(tmp_path).signature() == before
    await registry.write(Register("a", A2))
    changed = {path for path, mark in Disk(tmp_path).signature().items() if before.get(path) != mark}
    assert changed == {"subjects/a/2.avsc", "subjects/a/subject.json"}


async def test_every_name_has_a_place(tmp_path: Path) -> None:
    """Whatever a subject is called, and where the file system does not tell names apart."""
    registry = FolderRegistry(tmp_path / "schemas", ManualClock())
    names = [*ODD, ":.c.:x", ":.c.é:x"]
    for name in names:
        await registry.write(Register(name, A))
    assert set((await FolderRegistry(tmp_path / "schemas", ManualClock()).view()).subjects()) == set(names)
    lying = everything(tmp_path)
    assert len({each.casefold() for each in lying}) == len(lying)
    assert all(each.startswith("schemas") for each in lying)
    assert max(len(part) for each in lying for part in Path(each).parts) < 200


async def test_who_dies_leaves_it_as_it_was_before_or_after(tmp_path: Path) -> None:
    """At every step of every change; what was not done is done again as if nothing had happened."""
    path, deaths = tmp_path / "schemas", 0
    for number, operation in enumerate(OPERATIONS):
        left_over = tmp_path / str(number)
        copies = []
        for step in range(1, 20):
            copies.append(copy := left_over / str(step))
            if number:
                shutil.copytree(path, copy)
            try:
                await FolderRegistry(copy, ManualClock(), disk=Disk(copy, dying_at(step))).write(operation)
            except Died:
                deaths += 1
            else:
                break
        before = without_free_ids(await rows(path))
        await FolderRegistry(path, ManualClock()).write(operation)
        after = await rows(path)
        for copy in copies:
            left = await rows(copy)
            if left != after:
                assert without_free_ids(left) == before
                await FolderRegistry(copy, ManualClock()).write(operation)
                assert await rows(copy) == after
    assert deaths > 40


async def test_two_who_write_at_once_take_turns(tmp_path: Path) -> None:
    """No id is given twice, and nothing that was answered is lost."""
    writers = [FolderRegistry(tmp_path / "schemas", ManualClock()) for _ in range(3)]
    schemas = [record(f"R{number}", "text") for number in range(12)]
    said = await asyncio.gather(
        *(writers[number % 3].write(Register(f"s{number}", each)) for number, each in enumerate(schemas))
    )
    assert sorted(each.id for each in said) == list(range(1, 13))
    found = {each.id: each.schema for each in (await writers[0].caught_up()).schemas()}
    assert found == {each.id: each.schema for each in said}


async def test_a_folder_that_is_held_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """Who reads waits for who writes; the answer says that it may be there later."""
    await FolderRegistry(tmp_path, ManualClock()).write(Register("a", A))
    registry = FolderRegistry(tmp_path, ManualClock(), patience_seconds=0.05)
    with Disk(tmp_path).locked(alone=True):
        for asked in (registry.caught_up(), registry.write(Register("a", A2))):
            with pytest.raises(RegistryError, match="another process") as refused:
                await asked
            assert refused.value.number == 50002
    assert list((await registry.caught_up()).versions("a")) == [1]


async def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    """One that was killed while it wrote keeps nobody out, and what it has left does not stay."""
    program = f"""
import asyncio, os, signal
from pathlib import Path
from mainstem.clock import SystemClock
from mainstem.registry.contents import Register
from mainstem.registry.folder import Disk, FolderRegistry, rows_of
from mainstem.schemas.documents import Schema

path = Path({str(tmp_path)!r})
die = lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == "replace subjects/a/1.avsc" else None
asyncio.run(FolderRegistry(path, SystemClock(), disk=Disk(path, die)).write(Register("a", Schema('"int"'))))
"""
    ended = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert hidden(tmp_path) == [".1.avsc.partial"]
    said = await FolderRegistry(tmp_path, ManualClock()).write(Register("a", A))
    assert (said.id, said.version) == (2, 1)
    assert hidden(tmp_path) == []


DAMAGE: dict[str, tuple[str, Callable[[str], str], str, str]] = {
    "half a file": ("subjects/a/subject.json", lambda text: text[:60], "truncated", ""),
    "no JSON": ("subjects/a/subject.json", lambda text: text.replace('"id": 1,', "id: 1,"), "malformed", "id: 1,"),
    "a conflict": (
        "registry.json",
        lambda text: text.replace('  "ids"', '<<<<<<< HEAD\n  "ids"'),
        "nobody has resolved",
        "<<<",
    ),
    "a word of its own": (
        "subjects/a/subject.json",
        lambda text: text.replace('"registered"', '"written"', 1),
        "unknown field `written`",
        "{",
    ),
    "another kind": (
        "subjects/a/subject.json",
        lambda text: text.replace('"id": 2', '"id": "2"'),
        "Expected `int`",
        '"id": "2"',
    ),
    "a setting that is none": (
        "subjects/a/subject.json",
        lambda text: text.replace("compatibilityLevel", "compatibilitylevel"),
        "nothing is configured by the name 'compatibilitylevel'",
        "compatibilitylevel",
    ),
    "a version twice": (
        "subjects/a/subject.json",
        lambda text: text.replace('"version": 2', '"version": 1'),
        "version 1 comes after version 1",
        '"version": 1',
    ),
    "an id that nobody has given out": (
        "subjects/a/subject.json",
        lambda text: text.replace('"id": 2', '"id": 7'),
        "the id 7 has not been given out",
        '"id": 7',
    ),
    "another id": (
        "subjects/a/subject.json",
        lambda text: text.replace('"id": 2', '"id": 3'),
        "this is not what was registered as id 3",
        "{",
    ),
    "another text": (
        "subjects/a/2.avsc",
        lambda text: text.replace("more", "less"),
        "what was registered as id 2",
        "{",
    ),
    "no text": ("subjects/a/2.avsc", lambda _: "", "malformed|truncated", ""),
    "an id twice": (
        "registry.json",
        lambda text: text.replace('"2":', '"9": ' + text.split('"1": ')[1].split("\n")[0] + '\n"2":'),
        "the ids 1 and 9 stand for one content",
        '"9":',
    ),
    "no id": ("registry.json", lambda text: text.replace('"2":', '"two":'), "'two' is no id", '"two":'),
    "a later format": (
        "registry.json",
        lambda text: text.replace('"format": 1', '"format": 2'),
        "Expected `int` <= 1",
        '"format": 2',
    ),
    "what is referred to": (
        "subjects/h/subject.json",
        lambda text: text.replace('"subject": "a"', '"subject": "b"'),
        "this is not what was registered as id 3",
        "{",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
async def test_damage_is_named_by_file_and_line(tmp_path: Path, name: str) -> None:
    """Nothing is guessed, nothing is written, and the error says where to look."""
    path, edited, said, at = DAMAGE[name]
    registry = FolderRegistry(tmp_path, ManualClock())
    for operation in (Register("a", A), SetConfig(Config(compatibility_level="FULL"), "a"), Register("a", A2)):
        await registry.write(operation)
    await registry.write(Register("h", HAS_A))
    file = tmp_path / path
    text = file.read_text()
    file.write_text(edited(text))
    assert file.read_text() != text
    left = files(tmp_path)
    for process in (FolderRegistry(tmp_path, ManualClock()), registry):
        with pytest.raises(DefinitionError, match=said) as refused:
            await process.write(Register("b", A))
        assert at in line_of(refused.value)
    assert files(tmp_path) == left


async def written(path: Path) -> dict[str, bytes]:
    """Make one, and read its files."""
    registry = FolderRegistry(path, ManualClock())
    for operation in (*OPERATIONS[:6], Register("p", PROTO), DeleteVersion("a", 2)):
        await registry.write(operation)
    return Disk(path).read()


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_is_done_to_a_file_is_refused_or_harmless(whole: dict[str, bytes], data: st.DataObject) -> None:
    """Bytes go, or others come: it is a registry, or an error that says where."""
    path = data.draw(st.sampled_from(sorted(whole)))
    file = whole[path]
    start = data.draw(st.integers(0, len(file)))
    end = min(len(file), start + data.draw(st.integers(0, 40)))
    put = data.draw(
        st.sampled_from([b"", b"\xff", b"[", b"{}", b'"', b"0", b"-1", b"null", b'"a": 1,']) | st.binary(max_size=3)
    )
    try:
        rows_of({**whole, path: file[:start] + put + file[end:]}, "schemas")
    except DefinitionError as refused:
        name, _, line = refused.where.rpartition(":")
        assert name.removeprefix("schemas/") in whole
        assert line.isdecimal()


async def test_a_version_that_is_gone_is_missed(tmp_path: Path) -> None:
    """Its text, and who refers to it."""
    registry = FolderRegistry(tmp_path, ManualClock())
    await registry.write(Register("a", A))
    await registry.write(Register("h", HAS_A))
    subject = tmp_path / "subjects/a/subject.json"
    (tmp_path / "subjects/a/1.avsc").rename(tmp_path / "kept")
    with pytest.raises(DefinitionError, match=r"the text of version 1 is not there: subjects/a/1\.avsc"):
        await rows(tmp_path)
    subject.unlink()
    with pytest.raises(DefinitionError, match="no version 1 of the subject 'a' that is referred to"):
        await rows(tmp_path)


async def test_what_was_edited_rightly_counts(tmp_path: Path) -> None:
    """Spaces mean nothing, and whoever has read the folder before reads it again."""
    registry = FolderRegistry(tmp_path, ManualClock())
    await registry.write(Register("a", A))
    text = tmp_path / "subjects/a/1.avsc"
    text.write_text(json.dumps(json.loads(text.read_text()), indent=7))
    subject = tmp_path / "subjects/a/subject.json"
    said = json.loads(subject.read_text())
    subject.write_text(json.dumps({**said, "config": {"compatibilityLevel": "NONE"}}))
    contents = await registry.caught_up()
    assert contents.version("a", 1).schema == A
    assert contents.configured.config("a") == Config(compatibility_level="NONE")


async def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    """Nobody wants files of a registry among the sources."""
    (tmp_path / "main.py").write_text("")
    registry = FolderRegistry(tmp_path, ManualClock())
    for asked in (registry.caught_up(), registry.write(Register("a", A))):
        with pytest.raises(DefinitionError, match="no index, and is no folder of schemas"):
            await asked
    assert list(files(tmp_path)) == ["main.py"]


async def test_a_folder_that_cannot_be_written_is_no_verdict(tmp_path: Path) -> None:
    """It says that it cannot now, as a registry whose broker is away."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="Not a directory") as refused:
        await FolderRegistry(tmp_path / "file" / "schemas", ManualClock()).write(Register("a", A))
    assert refused.value.number == 50001
