"""``schemas.lock``: written once, found again, and short where little has changed."""

from pathlib import Path

import pytest

from mainstem.errors import DefinitionError
from mainstem.schemas.documents import Reference, Schema
from mainstem.schemas.registries import LOCK_NAME, LockFile, Registered

PAID = Registered("shop.paid", 2, 7, Schema('{"type": "object"}', "JSON"), "0a1b")


def test_what_is_written_is_found_again(tmp_path: Path) -> None:
    """Under its subject, and only as long as nothing of the schema has changed."""
    file = tmp_path / LOCK_NAME
    LockFile.read(file).with_registered([PAID]).write(file)
    found = LockFile.read(file).find("shop.paid", PAID.schema)
    assert found is not None
    assert (found.version, found.id, found.guid) == (2, 7, "0a1b")
    assert LockFile.read(file).find("shop.other", PAID.schema) is None
    changed = [
        Schema('{"type": "array"}', "JSON"),
        Schema('{"type": "object"}', "AVRO"),
        Schema('{"type": "object"}', "JSON", (Reference("a", "b", 1),)),
        Schema('{"type": "object"}', "JSON", metadata={"properties": {"owner": "shop"}}),
    ]
    assert [LockFile.read(file).find("shop.paid", each) for each in changed] == [None] * 4


def test_a_new_version_adds_its_lines(tmp_path: Path) -> None:
    """And changes none; the same version replaces its own."""
    file = tmp_path / LOCK_NAME
    LockFile().with_registered([PAID]).write(file)
    before = file.read_text().splitlines()
    later = Registered("shop.paid", 3, 9, Schema('{"type": "array"}', "JSON"))
    LockFile.read(file).with_registered([later, PAID]).write(file)
    after = file.read_text().splitlines()
    assert [line for line in before if line.rstrip(",") not in [each.rstrip(",") for each in after]] == []
    assert len(LockFile.read(file).schemas) == 2


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schemas": [{"subject": 1}]}', "\xff", '{"schemas": [{"subject": "\xff"}]}']
)
def test_what_is_no_lock_file_is_refused(tmp_path: Path, text: str) -> None:
    """With its path, and what to do."""
    file = tmp_path / LOCK_NAME
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(DefinitionError, match="lock file") as refused:
        LockFile.read(file)
    assert str(file) in refused.value.where
