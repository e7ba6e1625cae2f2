"""Publications that wait: whose each is, and that nobody else can touch it."""

import pytest

from mainstem.state import Owner, Scheduled, TaskState, schedules, timers
from mainstem.state.schedules import SCHEDULED
from tests.rooms.state.rows import DictRows

OWNERS = [
    Owner("a"),
    Owner("a", b""),
    Owner("a", b"a"),
    Owner("", b"aa"),
    Owner("a", outside=True),
    Owner("aa", outside=True),
    Owner("\x01", b""),
    Owner("", b"\x01"),
]


class Changes(dict[tuple[str, bytes], bytes | None]):
    """Changed rows."""

    def write(self, store: str, key: bytes, value: bytes | None) -> None:
        """Change one."""
        self[store, key] = value


def filled() -> TaskState:
    """One of each owner, due one after the other."""
    state = TaskState(DictRows())
    for number, owner in enumerate(OWNERS):
        changes = Changes()
        schedules.put(state.get, changes.write, Scheduled(number, owner, b"%d" % number), number)
        state.apply(changes)
    return state


def test_each_owner_has_one_of_its_own() -> None:
    """By key and handle, or by a handle from outside; listed in the order in which they are due."""
    state = filled()
    found = [schedules.look(state.get, timer) for timer in timers.walk_due(state)]
    assert found == [Scheduled(number, owner, b"%d" % number) for number, owner in enumerate(OWNERS)]


@pytest.mark.parametrize("owner", OWNERS)
def test_whose_a_row_is_can_be_read(owner: Owner) -> None:
    """From the row alone."""
    assert schedules.read_owner(owner.row) == owner


def test_lanes() -> None:
    """That of the key; without one any; from outside that of the handle, which no key has by accident."""
    assert Owner("a", b"k").lane == b"k"
    assert Owner("a").lane is None
    assert Owner("a", outside=True).lane != b"a"


def test_one_is_cancelled_alone() -> None:
    """The others stay."""
    for owner in OWNERS:
        state = filled()
        changes = Changes()
        assert schedules.cancel(state.get, changes.write, owner)
        state.apply(changes)
        assert not schedules.cancel(state.get, lambda *_: None, owner)
        assert len(list(state.walk(SCHEDULED))) == len(list(timers.walk_due(state))) == len(OWNERS) - 1
