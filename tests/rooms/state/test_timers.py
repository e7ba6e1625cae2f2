"""Durable timers, against a plain model."""

from collections.abc import Callable

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, rule

from mainstem.state import Firing, TaskState, Timer, timers
from mainstem.state.timers import BEGUN, BY_DUE, BY_KEY
from tests.rooms.state.rows import DictRows

# Names that are prefixes of one another, and keys that could be taken for the end of a name.
NAMES = st.sampled_from(["a", "ab", "abc", "b", "", "a\x00", "é", "n" * 300])
KEYS = st.sampled_from([None, b"", b"\x00", b"\x01", b"b", b"bc", b"\x00\x01a", b"\xff"])
TIMES = st.integers(0, 6) | st.sampled_from([2**40, 2**63 - 1])


class AgainstAModel(RuleBasedStateMachine):
    """Any order of setting, replacing, cancelling, firing and looking."""

    def __init__(self) -> None:
        """No timer is set."""
        super().__init__()
        self.rows = DictRows()
        self.state = TaskState(self.rows)
        self.set: dict[tuple[str, bytes | None], int] = {}
        self.tags: dict[tuple[str, bytes | None], bytes] = {}
        self.begun: dict[bytes, Firing] = {}
        self.settings = 0

    def write(self, store: str, key: bytes, value: bytes | None) -> None:
        """Change a row."""
        self.state.apply({(store, key): value})

    @rule(name=NAMES, key=KEYS, due_ms=TIMES)
    def put(self, name: str, key: bytes | None, due_ms: int) -> None:
        """Set or replace one."""
        self.settings += 1
        self.tags[name, key] = b"tag %d" % self.settings
        timers.put(self.state.get, self.write, Timer(due_ms, name, key), self.tags[name, key])
        self.set[name, key] = due_ms

    @rule(name=NAMES, key=KEYS)
    def cancel(self, name: str, key: bytes | None) -> None:
        """Cancelling says whether there was one."""
        assert timers.cancel(self.state.get, self.write, name, key) == (self.set.pop((name, key), None) is not None)

    @rule(until_ms=TIMES, limit=st.integers(1, 4))
    def due(self, until_ms: int, limit: int) -> None:
        """The due ones come, the earliest first, at most as many as were asked for."""
        due = sorted(due_ms for due_ms in self.set.values() if due_ms <= until_ms)
        found = timers.due_until(self.state, until_ms, limit)
        assert [each.due_ms for each in found] == due[:limit]
        assert all(self.set[each.name, each.key] == each.due_ms for each in found)
        assert len(set(found)) == len(found)

    @rule()
    def next(self) -> None:
        """The next one is the earliest of all."""
        firing = [each.timer.due_ms for each in self.begun.values()]
        assert timers.next_due_ms(self.state) == min([*self.set.values(), *firing], default=None)

    @rule()
    def names(self) -> None:
        """Every name comes once, however many keys have set it."""
        assert sorted(timers.names(self.state)) == sorted({name for name, _ in self.set})

    @rule(name=NAMES, key=KEYS, due_ms=TIMES)
    def is_due(self, name: str, key: bytes | None, due_ms: int) -> None:
        """A firing counts only if the timer is still set for that very time."""
        assert timers.is_due(self.state.get, Timer(due_ms, name, key)) == (self.set.get((name, key)) == due_ms)

    @rule(name=NAMES, key=KEYS, due_ms=TIMES)
    def begin(self, name: str, key: bytes | None, due_ms: int) -> None:
        """It begins if the timer is set for that very time, with the tag of this setting; then the name is free."""
        timer = Timer(due_ms, name, key)
        firing = timers.begin(self.state.get, self.write, timer)
        if self.set.get((name, key)) != due_ms:
            assert firing is None
            return
        del self.set[name, key]
        assert firing == Firing(self.tags[name, key], timer)
        self.begun[firing.tag] = firing

    @rule()
    def end(self) -> None:
        """What has begun and not ended is known, whatever has become of its name."""
        assert sorted(timers.begun(self.state)) == sorted(self.begun.values())
        if self.begun:
            timers.end(self.write, self.begun.popitem()[1])

    @rule()
    def commit(self) -> None:
        """What is set survives a change of owner."""
        self.rows.write(self.state.cut())
        self.state = TaskState(self.rows)

    def teardown(self) -> None:
        """Both kinds of rows are in step at the end: a row by time for each row by key, and no more."""
        by_key = self.state.scan(BY_KEY, limit=100)
        by_due = self.state.scan(BY_DUE, limit=100)
        assert len(by_key) == len(self.set)
        assert sorted(row[:8] + key for key, row in by_key) == sorted(key for key, _ in by_due)
        assert len(self.state.scan(BEGUN, limit=100)) == len(self.begun)


AgainstAModel.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
TestAgainstAModel = AgainstAModel.TestCase


@given(due_ms=st.integers(0, 2**63 - 1), name=NAMES, key=KEYS)
@settings(max_examples=50)
def test_a_timer_comes_back_as_it_was_set(due_ms: int, name: str, key: bytes | None) -> None:
    """Name, key and time survive the way into a row and back, bit for bit."""
    state = TaskState(DictRows())
    timer = Timer(due_ms, name, key)
    timers.put(state.get, lambda *row: state.apply({row[:2]: row[2]}), timer)
    assert timers.due_until(state, 2**63, 10) == [timer]


def test_a_timer_before_1970_is_due_at_once() -> None:
    """A time below zero counts as zero, and the firing is recognised as this timer's."""
    state = TaskState(DictRows())
    timers.put(state.get, lambda *row: state.apply({row[:2]: row[2]}), Timer(-5, "a", b"k"))
    (found,) = timers.due_until(state, 0, 1)
    assert timers.is_due(state.get, found)


def test_a_name_costs_one_look() -> None:
    """Listing the names of many timers takes as many looks as there are names."""
    rows = DictRows()
    state = TaskState(rows)
    for number in range(200):
        timers.put(state.get, lambda *row: state.apply({row[:2]: row[2]}), Timer(number, "a", b"%d" % number))
    timers.put(state.get, lambda *row: state.apply({row[:2]: row[2]}), Timer(1, "b", None))
    rows.write(state.cut())
    state.committed()
    reads = rows.reads
    assert timers.names(state) == ["a", "b"]
    assert rows.reads - reads == 3


def test_a_timer_at_the_end_of_time_can_be_set_and_cancelled() -> None:
    """However far away it is said to be due: it is due at the latest time there is, and has one row of each kind."""
    state = TaskState(DictRows())
    write: Callable[[str, bytes, bytes | None], None] = lambda *row: state.apply({row[:2]: row[2]})  # noqa: E731
    timers.put(state.get, write, Timer(2**80, "a", b"k"))
    assert timers.next_due_ms(state) == timers.LATEST_MS
    assert timers.cancel(state.get, write, "a", b"k")
    assert state.scan(BY_DUE, limit=1) == state.scan(BY_KEY, limit=1) == []
