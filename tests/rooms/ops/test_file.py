"""Copying and checking the file."""

import asyncio
import fcntl
import os
from pathlib import Path

import pytest

from tests.rooms.ops.conftest import SHOP, Shell
from tests.rooms.ops.shop import OrderPaid, loyalty

ORDER = ("publish", f"{SHOP}:loyalty", "OrderPaid", '{"customer_id": "c-1", "amount_cents": 5}')


@pytest.fixture
def filled(shell: Shell) -> Shell:
    """A broker with an order in it."""
    shell("topics", "apply", f"{SHOP}:loyalty")
    assert shell(*ORDER).exit_code == 0
    return shell


def test_a_backup_is_a_broker_of_its_own(filled: Shell) -> None:
    """What was published is in the copy, what comes later is not, and the copy is whole."""
    assert "copy.db has" in filled("backup", "copy.db").stdout
    filled(*ORDER)
    copy = ("--broker", "sqlite:///copy.db")
    assert len(filled("tail", "orders", "--json", *copy).stdout.splitlines()) == 1
    assert len(filled("tail", "orders", "--json").stdout.splitlines()) == 2
    assert filled.json("check", *copy)[0]["faults"] == []


def test_a_backup_is_made_while_services_write(filled: Shell) -> None:
    """Nobody has to stop: the copy is one snapshot of what was there at one moment."""

    async def copy_beside() -> None:
        async with filled.running(loyalty):
            copying = asyncio.create_task(filled.beside("backup", "copy.db", "--json"))
            while not copying.done():
                await loyalty.publish(*(OrderPaid(f"c-{number}", 1) for number in range(50)))
            assert copying.result().exit_code == 0

    asyncio.run(copy_beside())
    [found] = filled.json("check", "--broker", "sqlite:///copy.db")
    assert (found["faults"], found["holder"]) == ([], None)


def test_a_backup_overwrites_nothing(filled: Shell) -> None:
    """A file that is there already is refused and stays as it is; so is a broker that has no file."""
    Path("copy.db").write_text("precious")
    result = filled("backup", "copy.db")
    assert result.exit_code == 1
    assert "would overwrite" in result.stderr
    assert Path("copy.db").read_text() == "precious"


def test_a_check_tells_format_disk_and_lock(filled: Shell) -> None:
    """A file that is well is said to be whole, with its format and what is left of the disk."""
    [found] = filled.json("check")
    assert (found["format_version"], found["faults"], found["holder"]) == (1, [], None)
    assert found["path"] == f"{filled.folder}/shop.db"
    assert found["free_bytes"] > 0
    text = filled("check").stdout
    assert "format 1" in text
    assert "lock: free" in text
    assert "integrity: whole" in text


def test_a_check_names_who_does_not_let_go_of_the_lock(filled: Shell) -> None:
    """A process that stands still with the lock is named, and the check itself does not wait for it."""
    descriptor = os.open("shop.db-lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.pwrite(descriptor, b"%-20d" % os.getpid(), 0)
        result = filled("check")
    finally:
        os.close(descriptor)
    assert result.exit_code == 1
    assert f"lock: held by process {os.getpid()}" in result.stdout
    assert "integrity: whole" in result.stdout


def test_a_damaged_file_is_found(filled: Shell) -> None:
    """Pages that do not fit together are told, and the code is 1."""
    filled("backup", "copy.db")
    content = bytearray(Path("copy.db").read_bytes())
    pages = range(16_384, len(content), 16_384)
    for page in pages:
        content[page : page + 100] = os.urandom(100)
    Path("copy.db").write_bytes(content)
    result = filled("check", "--broker", "sqlite:///copy.db")
    assert result.exit_code == 1
    assert "[database-failed]" in result.stderr
    assert "go on from the last backup" in result.stderr


def test_what_is_no_broker_is_refused(filled: Shell) -> None:
    """Another file, and a memory, have nothing to be checked."""
    Path("letter.txt").write_text("Dear all,\n" * 1_000)
    result = filled("check", "--broker", "sqlite:///letter.txt")
    assert result.exit_code == 1
    assert "not a database of Mainstem" in result.stderr
    result = filled("check", "--broker", "sqlite:///:memory:")
    assert "only the embedded broker has a file" in result.stderr
