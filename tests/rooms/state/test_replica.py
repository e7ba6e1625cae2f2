"""Local copies: what one may be trusted for, and that nobody shares one."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from mainstem.clock import ManualClock
from mainstem.errors import DatabaseError
from mainstem.state import Changelog, Replica, ReplicaFolder

OLDEST_SECONDS = 3_600.0
ROW = {"counts": [(b"k", b"1")]}


def changelog(topic_id: str = "a", start: int = 10, end: int = 30) -> Changelog:
    """What a copy is opened with."""
    return Changelog(topic_id, start, end)


Open = Callable[[Changelog], Replica]


@pytest.fixture
def clock() -> ManualClock:
    """A clock that a test moves."""
    return ManualClock()


@pytest.fixture
def copies(tmp_path: Path, clock: ManualClock) -> Open:
    """Opens the copy of a task."""
    folder = ReplicaFolder(tmp_path, clock, oldest_seconds=OLDEST_SECONDS)
    return lambda changelog: folder.open("billing", 3, changelog)


def left_behind(copies: Open) -> None:
    """A copy that has come to 20, with one row, and that nobody has open."""
    copy = copies(changelog())
    copy.apply(ROW, 10, 20, whole=True)
    copy.close()


def content(copy: Replica) -> tuple[int, dict[bytes, bytes]]:
    """How far a copy has come, and what it has; it is closed."""
    try:
        return copy.next, dict(copy.scan("counts", b"", None, limit=10))
    finally:
        copy.close()


@pytest.mark.parametrize(
    "of",
    [changelog(), changelog(start=20), changelog(end=20), changelog(start=0, end=100)],
    ids=["as it was", "begins where the copy ends", "ends where the copy ends", "longer on both sides"],
)
def test_a_copy_goes_on_from_where_it_was(copies: Open, of: Changelog) -> None:
    """What follows the same changelog, from within its bounds, is kept."""
    left_behind(copies)
    assert content(copies(of)) == (20, {b"k": b"1"})


@pytest.mark.parametrize(
    "of",
    [changelog(topic_id="b"), changelog(start=21), changelog(end=19), changelog(start=5, end=6)],
    ids=["another topic", "what came in between has left", "the copy is ahead", "the copy is far ahead"],
)
def test_a_copy_that_might_lie_begins_anew(copies: Open, of: Changelog) -> None:
    """A copy of another topic, or one that has come to where its changelog is not, is thrown away."""
    left_behind(copies)
    assert content(copies(of)) == (of.start, {})


def test_a_copy_that_is_too_old_begins_anew(copies: Open, clock: ManualClock) -> None:
    """Deletions that it has not seen may have left the changelog; just before that it is kept."""
    left_behind(copies)
    clock.advance(OLDEST_SECONDS)
    assert content(copies(changelog())) == (20, {b"k": b"1"})
    clock.advance(1)
    assert content(copies(changelog())) == (10, {})


def test_changes_apply_only_where_the_copy_stands(copies: Open) -> None:
    """Changes from before another place are refused, and nothing of them is there."""
    copy = copies(changelog())
    copy.apply(ROW, 10, 20, whole=True)
    with pytest.raises(DatabaseError, match="come to another place"):
        copy.apply({"counts": [(b"k", b"2")]}, 15, 25, whole=True)
    assert content(copy) == (20, {b"k": b"1"})


def test_nobody_shares_a_copy(copies: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While an older owner has it, the next one makes another; that is cleared away when nobody has it any more."""
    older = copies(changelog())
    with caplog.at_level(logging.WARNING):
        newer = copies(changelog())
    assert "keeps a copy of its own" in caplog.text
    older.apply(ROW, 10, 20, whole=True)
    newer.apply({}, 10, 15, whole=True)
    assert (content(newer), content(older)) == ((15, {}), (20, {b"k": b"1"}))
    assert len(list(tmp_path.glob("*.db"))) == 2
    assert content(copies(changelog())) == (20, {b"k": b"1"})
    assert [path.name for path in tmp_path.glob("*.db")] == ["billing.3.db"]
