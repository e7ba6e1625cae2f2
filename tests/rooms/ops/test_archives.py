"""Dead letters whole: edited, and in files from which they come back."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result

from mainstem.broker import Record, TopicPartition
from mainstem.errors import DefinitionError
from mainstem.events import partition_for
from mainstem.ops.letters.editing import patched
from mainstem.service import Service
from tests.journeys.conditions import until
from tests.rooms.ops.conftest import Shell
from tests.rooms.ops.shop import Parcel, loyalty, post

LARGE = 600_000


def asked(shell: Shell, *arguments: str, service: Service = loyalty) -> Result:
    """Give a command while the service runs."""

    async def ask() -> Result:
        async with shell.running(service):
            return await shell.beside("dead-letters", *arguments)

    return asyncio.run(ask())


def failed(shell: Shell, *customers: str, later: int = 0) -> None:
    """Orders that cannot be handled, by customer, with others waiting behind them."""
    asyncio.run(shell.fail(*customers, later=later))


def lines_of(name: str) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [msgspec.json.decode(line) for line in Path(name).read_bytes().splitlines()]


def letters_of(name: str) -> list[str]:
    """The lines of a file, in any order, without the id of the file."""
    return sorted(str({**line, "archive": ""}) for line in lines_of(name))


def test_an_edit_is_handled_and_the_original_is_told(shell: Shell) -> None:
    """A patch is shown first, done with --yes, and then handled; the audit topic keeps the original."""
    failed(shell, "c-1", later=1)
    patch = '{"amount_cents": 12000}'
    planned = asked(shell, "edit", "loyalty", "--key", "c-1", "--patch", patch, "--reason", "typo")
    assert "Nothing was done" in planned.stdout
    assert '+  "amount_cents": 12000' in planned.stdout
    assert [shown["payload"]["amount_cents"] for shown in shell.json("dead-letters", "show", "loyalty")] == [-5]
    before = shell.json("dead-letters", "show", "loyalty")[0]
    done = asked(shell, "edit", "loyalty", "--key", "c-1", "--patch", patch, "--reason", "typo", "--by", "eva", "--yes")
    assert done.exit_code == 0, done.output
    [shown] = shell.json("dead-letters", "show", "loyalty")
    assert shown["payload"] == {"customer_id": "c-1", "amount_cents": 12_000}
    assert shown["original"] == {"customer_id": "c-1", "amount_cents": -5}
    assert [(edit["by"], edit["reason"]) for edit in shown["edits"]] == [("eva", "typo")]
    assert (shown["last_failure"], shown["headers"]) == (before["last_failure"], before["headers"])
    redriven = asked(shell, "redrive", "loyalty", "--all", "--yes")
    assert "1 worked off" in redriven.stdout
    assert '"c-1"' in shell("tail", "gold").stdout
    assert '"status":"edited"' in shell("tail", "loyalty.dead-letters", "--json").stdout
    assert shell.json("dead-letters", "list", "--parked") == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--value", '{"customer_id": 5}'), "could not be given it"),
        (("--value", "no json"), "could not be given it"),
        (("--patch", '[{"op": "remove", "path": "/nothing"}]'), "a step of the patch cannot be done"),
        (("--value", "{}", "--letter", "9"), "there is no letter 9"),
    ],
)
def test_an_edit_that_cannot_be_is_refused(arguments: tuple[str, ...], why: str, shell: Shell) -> None:
    """What the handler's type cannot decode, what the patch cannot change, and a letter that is not there."""
    failed(shell, "c-1")
    refused = asked(shell, "edit", "loyalty", "--all", "--reason", "typo", "--yes", *arguments)
    assert refused.exit_code == 1
    assert why in refused.stderr
    [shown] = shell.json("dead-letters", "show", "loyalty")
    assert shown["payload"] == {"customer_id": "c-1", "amount_cents": -5}


def test_an_edit_is_about_one_sequence(shell: Shell) -> None:
    """Where the filters hold several, none is edited."""
    failed(shell, "c-1", "c-2")
    refused = asked(shell, "edit", "loyalty", "--all", "--reason", "typo", "--value", "{}", "--yes")
    assert "2 sequences are meant" in refused.stderr


@pytest.mark.parametrize(
    ("patch", "after"),
    [
        ('{"a": null, "b": {"c": 2}, "d": [1]}', {"b": {"c": 2, "x": 0}, "d": [1], "l": [1, 2]}),
        ('[{"op": "replace", "path": "/a", "value": 5}]', {"a": 5, "b": {"c": 1, "x": 0}, "l": [1, 2]}),
        ('[{"op": "remove", "path": "/b/c"}]', {"a": 1, "b": {"x": 0}, "l": [1, 2]}),
        ('[{"op": "add", "path": "/l/-", "value": 3}]', {"a": 1, "b": {"c": 1, "x": 0}, "l": [1, 2, 3]}),
        ('[{"op": "add", "path": "/l/0", "value": 0}]', {"a": 1, "b": {"c": 1, "x": 0}, "l": [0, 1, 2]}),
        ('[{"op": "test", "path": "/a", "value": 1}]', {"a": 1, "b": {"c": 1, "x": 0}, "l": [1, 2]}),
    ],
)
def test_a_patch_changes_what_it_names(patch: str, after: object) -> None:
    """A merge patch and the operations of a JSON patch, below objects and lists."""
    assert msgspec.json.decode(patched(b'{"a": 1, "b": {"c": 1, "x": 0}, "l": [1, 2]}', patch)) == after


@pytest.mark.parametrize(
    "patch",
    [
        "{",
        '[{"op": "test", "path": "/a", "value": 2}]',
        '[{"op": "replace", "path": "/z", "value": 2}]',
        '[{"op": "remove", "path": "/l/2"}]',
        '[{"op": "copy", "path": "/a"}]',
        '[{"path": "/a"}]',
        '["a"]',
        '[{"op": "add", "path": "a", "value": 1}]',
    ],
)
def test_a_patch_that_cannot_be_applied_is_refused(patch: str) -> None:
    """A test that fails, a place that is not there, an operation that is unknown: nothing is changed by half."""
    with pytest.raises(DefinitionError):
        patched(b'{"a": 1, "l": [1, 2]}', patch)


def test_an_export_has_the_whole_sequence(shell: Shell) -> None:
    """A line for each letter, in order, also of those that wait behind the failed one and are in no audit record."""
    failed(shell, "c-1", "c-2", later=2)
    done = asked(shell, "export", "loyalty", "letters.jsonl", "--key", "c-1")
    assert "export: 1 sequence, 3 events, letters.jsonl" in done.stdout
    lines = lines_of("letters.jsonl")
    assert [line["number"] for line in lines] == [0, 1, 2]
    assert [msgspec.json.decode(line["value"])["amount_cents"] for line in lines] == [-5, 1, 1]
    assert lines[0]["failure"]["error_type"] == "ValueError"
    again = asked(shell, "export", "loyalty", "letters.jsonl", "--all")
    assert "the file cannot be made" in again.stderr
    assert lines_of("letters.jsonl") == lines


def test_what_the_audit_topic_leaves_out_comes_from_the_task(shell: Shell) -> None:
    """A letter larger than an audit record takes is shown, edited and exported whole, from the task's store."""
    value = msgspec.json.encode({"customer_id": "c-1", "amount_cents": -5, "note": "n" * LARGE})
    headers = {"ce_id": b"1", "ce_source": b"t", "ce_type": b"OrderPaid", "ce_specversion": b"1.0"}

    async def fail() -> None:
        async with shell.running(loyalty) as process:
            at = TopicPartition("orders", partition_for(b"c-1", 2))
            await process.broker.log.append(at, [Record(b"c-1", value, 0, headers)])

            async def parked() -> bool:
                return "1 sequence" in (await shell.beside("dead-letters", "list")).stdout

            await until(parked)

    asyncio.run(fail())
    [left_out] = shell.json("dead-letters", "show", "loyalty", "--timeout", "0.1")
    assert (left_out["payload"], left_out["left_out_bytes"]) == (None, len(value))
    edited = asked(
        shell, "edit", "loyalty", "--all", "--patch", '{"amount_cents": 1}', "--reason", "x", "--yes", "--json"
    )
    assert edited.exit_code == 0, edited.stderr
    [shown] = msgspec.json.decode(asked(shell, "show", "loyalty", "--json").stdout)
    assert (len(shown["payload"]["note"]), shown["payload"]["amount_cents"]) == (LARGE, 1)
    assert len(shown["original"]["note"]) == LARGE
    asked(shell, "export", "loyalty", "letters.jsonl", "--all")
    assert len(msgspec.json.decode(lines_of("letters.jsonl")[0]["value"])["note"]) == LARGE


def test_an_archive_comes_back_as_dead_letters(shell: Shell) -> None:
    """What is archived is discarded; restored, it is a dead letter of its handler, and is redriven in its order."""
    failed(shell, "c-1", "c-2", later=150)
    archived = asked(shell, "archive", "loyalty", "old.jsonl", "--all", "--reason", "later")
    assert "2 sequences. Nothing was done; --yes does it." in archived.stdout
    assert not Path("old.jsonl").exists()
    archived = asked(shell, "archive", "loyalty", "old.jsonl", "--all", "--reason", "later", "--yes")
    assert "archive: 2 sequences, 302 events, old.jsonl: 2 discarded" in archived.stdout
    assert shell.json("dead-letters", "list", "--parked") == []
    planned = asked(shell, "restore", "loyalty", "old.jsonl")
    assert "2 sequences, 302 events. Nothing was done" in planned.stdout
    restored = asked(shell, "restore", "loyalty", "old.jsonl", "--yes")
    assert "302 events restored" in restored.stdout, restored.output
    assert sorted(str(each["key"]) for each in shell.json("dead-letters", "list")) == ["c-1", "c-2"]
    asked(shell, "export", "loyalty", "new.jsonl", "--all")
    assert letters_of("new.jsonl") == letters_of("old.jsonl")
    Path("mended").touch()
    assert "2 worked off" in asked(shell, "redrive", "loyalty", "--all", "--yes").stdout


def test_an_archive_keeps_who_has_yet_to_handle_what(shell: Shell) -> None:
    """A party's letters come back as the party's, and those that waited alone come back alone."""

    async def fail() -> None:
        async with shell.running(post) as process:
            await post.publish(Parcel("Elm"), Parcel("Elm"))

            async def all_done() -> bool:
                return all(not each.lag and each.counters.handled == 2 for each in await process.statistics())

            await until(all_done)

    asyncio.run(fail())
    everything = "archive", "post", "old.jsonl", "--all", "--reason", "later", "--yes"
    assert "3 sequences, 4 events, old.jsonl: 3 discarded" in asked(shell, *everything, service=post).stdout
    found = sorted((each["handler"], each.get("owed"), each.get("alone", False)) for each in lines_of("old.jsonl"))
    assert found == [("sort_it", ["sort_it", "deliver_it"], False)] * 2 + [("weigh_it", None, True)] * 2
    assert "4 events restored" in asked(shell, "restore", "post", "old.jsonl", "--yes", service=post).stdout
    planned = asked(shell, "discard", "post", "--handler", "sort_it", "--reason", "x", service=post).stdout
    assert "Together wait: deliver_it, sort_it. discard is for all of them." in planned
    asked(shell, "export", "post", "new.jsonl", "--all", service=post)
    assert letters_of("new.jsonl") == letters_of("old.jsonl")
    Path("mended").touch()
    assert "3 worked off" in asked(shell, "redrive", "post", "--all", "--yes", service=post).stdout


def test_an_archive_discards_nothing_that_it_has_not_written(shell: Shell) -> None:
    """When the group does not run there is no file and no discard, and the error says why."""
    failed(shell, "c-1")
    result = shell(
        "dead-letters", "archive", "loyalty", "old.jsonl", "--all", "--reason", "x", "--yes", "--timeout", "0.1"
    )
    assert result.exit_code == 1
    assert "no process runs the group" in result.stderr
    assert not Path("old.jsonl").exists()
    assert len(shell.json("dead-letters", "list")) == 1


def test_a_line_that_is_no_letter_is_named(shell: Shell) -> None:
    """A file of something else restores nothing, and the line is said."""
    failed(shell, "c-1")
    Path("old.jsonl").write_text('{"group": 5}\n')
    result = shell("dead-letters", "restore", "loyalty", "old.jsonl")
    assert "old.jsonl, line 1" in result.stderr
