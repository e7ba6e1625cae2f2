"""Parked sequences, against a plain model; and the letters in them."""

from collections.abc import Iterable, Iterator

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from mainstem.broker import NoColumns, Record, TopicPartition, single
from mainstem.delivery.context import Effects, no_effects
from mainstem.delivery.failures import (
    RETRY,
    SWEEP,
    Audit,
    Checkpoints,
    Failure,
    Letter,
    Mark,
    Parking,
    Stopped,
    lane_of,
    place_of,
    renamed,
)
from mainstem.delivery.failures.letters import DROPPED, LETTERS
from mainstem.delivery.failures.parking import PARKING_STORE
from mainstem.state import TaskState, timers
from tests.rooms.state.rows import DictRows

# Names that are prefixes of one another, keys that could be taken for something else.
HANDLERS = st.sampled_from(["a", "ab", "a\x00", "k", "é"])
KEYS = st.sampled_from([None, b"", b"k", b"ka", b"\x00", b"\x00\x00\x00\x01", b"o"])
LETTERS_AT_ONCE = 2
TIMES = st.none() | st.integers(0, 9)
FAILURE = Failure(2, 1, 2, "ValueError", "no", "trace")


def letter(key: bytes | None, offset: int = 0) -> Letter:
    """A record that waits."""
    return Letter("t", 0, offset, 5, key, b"value %d" % offset, {"ce_id": b"%d" % offset})


class AgainstAModel(RuleBasedStateMachine):
    """Any order of parking, waiting, working off, giving up, renaming and changes of owner."""

    def __init__(self) -> None:
        """Nothing is parked."""
        super().__init__()
        self.rows = DictRows()
        self.parked: dict[tuple[str, bytes], tuple[list[Letter], int | None]] = {}
        self.count = 0
        self.begin()

    def begin(self) -> None:
        """An owner takes over."""
        self.state = TaskState(self.rows)
        self.parking = Parking(self.state)

    def take_in(self, effects: Effects) -> None:
        """The event is done."""
        self.state.apply(effects.writes)
        dues = [due for _, due in self.parked.values() if due is not None] + [5]
        assert effects.wake_ms is None or effects.wake_ms in dues
        assert self.parking.some or not self.parked

    def new_letter(self, key: bytes | None) -> Letter:
        """The next record."""
        self.count += 1
        return letter(key, self.count)

    @rule(handler=HANDLERS, key=KEYS, next_ms=TIMES)
    def fail_or_wait(self, handler: str, key: bytes | None, next_ms: int | None) -> None:
        """An event fails, or comes while its key is parked."""
        effects, event = no_effects(), self.new_letter(key)
        place = place_of(event)
        mark = self.parking.mark(handler, place)
        assert (mark is not None) == ((handler, place) in self.parked)
        if mark is None:
            self.parking.park(effects, (handler, place), event, Stopped(FAILURE, next_ms))
            self.parked[handler, place] = ([event], next_ms)
        else:
            self.parking.add_behind(effects, (handler, place), event, mark, handler)
            self.parked[handler, place][0].append(event)
        self.take_in(effects)

    @rule(handler=HANDLERS, first=KEYS, second=KEYS)
    def fail_twice_at_once(self, handler: str, first: bytes | None, second: bytes | None) -> None:
        """Two events of one batch fail: the second one sees what the first one has done, before it is taken in."""
        effects = no_effects()
        for event in (self.new_letter(first), self.new_letter(second)):
            place = place_of(event)
            mark = self.parking.mark(handler, place, effects)
            assert (mark is not None) == ((handler, place) in self.parked)
            if mark is None:
                self.parking.park(effects, (handler, place), event, Stopped(FAILURE, None))
                self.parked[handler, place] = ([event], None)
            else:
                self.parking.add_behind(effects, (handler, place), event, mark, handler)
                self.parked[handler, place][0].append(event)
        self.take_in(effects)

    @precondition(lambda self: self.parked)
    @rule(data=st.data())
    def work_off_one(self, data: st.DataObject) -> None:
        """The first event of a sequence succeeds."""
        handler, place = data.draw(st.sampled_from(sorted(self.parked)))
        letters, next_ms = self.parked[handler, place]
        mark = self.parking.mark(handler, place)
        assert mark is not None
        assert self.parking.first(handler, place, mark) == letters[0]
        effects = no_effects()
        left = self.parking.take_first(effects, handler, place, mark)
        if len(letters) == 1:
            assert left is None
            del self.parked[handler, place]
        else:
            assert left is not None
            assert left.failure.failures == 0
            self.parked[handler, place] = (letters[1:], next_ms)
        self.take_in(effects)

    @precondition(lambda self: self.parked)
    @rule(data=st.data(), next_ms=TIMES)
    def fail_again(self, data: st.DataObject, next_ms: int | None) -> None:
        """The next try has failed; another one is due later, or never."""
        handler, place = data.draw(st.sampled_from(sorted(self.parked)))
        mark = self.parking.mark(handler, place)
        assert mark is not None
        effects = no_effects()
        self.parking.write_mark(effects, handler, place, Mark(mark.first, mark.end, next_ms, FAILURE))
        self.parked[handler, place] = (self.parked[handler, place][0], next_ms)
        self.take_in(effects)

    @precondition(lambda self: self.parked)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """A whole sequence is discarded."""
        handler, place = data.draw(st.sampled_from(sorted(self.parked)))
        mark = self.parking.mark(handler, place)
        assert mark is not None
        effects = no_effects()
        self.parking.drop(effects, handler, place, mark, 5)
        assert sum(store == LETTERS for store, _ in effects.writes) <= LETTERS_AT_ONCE
        del self.parked[handler, place]
        self.take_in(effects)

    @rule()
    def sweep(self) -> None:
        """A timer of letters without a mark is due."""
        due = [each for each in timers.due_until(self.state, 100, 1_000) if each.name.startswith(SWEEP)]
        for each in due[:1]:
            effects = no_effects()
            self.parking.letters.sweep(effects, each.name.removeprefix(SWEEP), each.key or b"", 5)
            assert sum(store == LETTERS for store, _ in effects.writes) <= LETTERS_AT_ONCE
            self.state.apply(effects.writes)

    @rule(old=HANDLERS, new=HANDLERS)
    def rename(self, old: str, new: str) -> None:
        """A handler has another name now, and its sequences with it."""
        if old == new or any(handler == new for handler, _ in self.parked):
            return
        for page in renamed(self.parking, Checkpoints(self.state), Audit("g", 0), (old, new), 1):
            self.take_in(page)
        self.parked = {(new if name == old else name, place): what for (name, place), what in self.parked.items()}
        assert self.parking.some or not self.parked

    @rule()
    def change_owner(self) -> None:
        """Everything is in the rows; the next owner finds it."""
        self.rows.write(self.state.cut())
        self.begin()
        assert self.parking.some == bool(self.parked)

    def teardown(self) -> None:
        """At the end, rows and timers are those of the model, and none is left over."""
        while any(each.name.startswith(SWEEP) for each in timers.due_until(self.state, 100, 1_000)):
            self.sweep()
        assert self.state.scan(DROPPED, limit=1) == []
        names = {handler for handler, _ in self.parked}
        marks = {(handler, place): mark for handler in names for place, mark in self.parking.of(handler)}
        assert set(marks) == set(self.parked)
        for (handler, place), (letters, next_ms) in self.parked.items():
            mark = marks[handler, place]
            assert (mark.waiting, mark.next_ms) == (len(letters), next_ms)
            read = []
            for number in range(mark.first, mark.end):
                at = Mark(number, mark.end, None, FAILURE)
                read.append(self.parking.first(handler, place, at))
            assert read == letters
        assert len(self.state.scan(PARKING_STORE, limit=1_000)) == len(self.parked)
        assert len(self.state.scan(LETTERS, limit=1_000)) == sum(len(letters) for letters, _ in self.parked.values())
        due = {(each.name, each.key, each.due_ms) for each in timers.due_until(self.state, 100, 1_000)}
        assert due == {
            (RETRY + handler, place, next_ms)
            for (handler, place), (_, next_ms) in self.parked.items()
            if next_ms is not None
        }
        self.parking.look_again()
        assert self.parking.some == bool(self.parked)


AgainstAModel.TestCase.settings = settings(max_examples=100, stateful_step_count=25)


TestAgainstAModel = pytest.mark.usefixtures("small_commits")(AgainstAModel.TestCase)


@pytest.fixture(scope="class")
def small_commits() -> Iterator[None]:
    """Delete two letters at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mainstem.delivery.failures.letters.LETTERS_AT_ONCE", LETTERS_AT_ONCE)
        yield


def test_a_keyless_event_waits_alone() -> None:
    """Without a key a sequence is named by the place in the log, and has a lane to itself; with one, the key's."""
    places = [place_of(letter(None, 1)), place_of(letter(None, 2)), place_of(letter(b"", 1)), place_of(letter(b"o", 1))]
    assert len(set(places)) == 4
    assert [lane_of(place) for place in places] == [*places[:2], b"", b"o"]


def test_a_letter_is_the_record_bit_by_bit() -> None:
    """Key, value, time and headers come back as they were, from a batch and as a batch."""
    record = Record(b"k", b"\xff\x00", 7, {"common": b"1"}, {"own": b"\xfe"})
    batch = single(TopicPartition("t", 3), 9, record)
    copy = Letter.of(batch, 0)
    again = copy.batch()
    assert Letter.of(again, 0) == copy
    assert (again.topic, again.partition, again.offsets[0], again.timestamps[0]) == ("t", 3, 9, 7)
    assert (again.keys[0], again.values[0]) == (b"k", b"\xff\x00")
    assert again.headers(0) == {"common": b"1", "own": b"\xfe"}
    assert isinstance(again.own, NoColumns)


class Unspeakable(Exception):
    """An exception that cannot be turned into text."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def caught(errors: Iterable[Exception]) -> list[Failure]:
    """Failures as they come, each after the one before."""
    found: list[Failure] = []
    for now_ms, error in enumerate(errors):
        found.append(Failure.of(error, now_ms, found[-1] if found else None))
    return found


def test_failures_are_counted() -> None:
    """The first and the last time are kept, and what went wrong last."""
    first, second, third = caught([ValueError("a"), KeyError("b"), OSError("c")])
    assert (first.failures, second.failures, third.failures) == (1, 2, 3)
    assert (third.first_ms, third.last_ms, third.error_type, third.error) == (0, 2, "OSError", "c")


@pytest.mark.parametrize("error", [Unspeakable(), ValueError("\udcff in a file name"), ValueError("x" * 100_000)])
def test_any_exception_can_be_written_down(error: Exception) -> None:
    """One without words, with letters that have no bytes or with a flood of them fits into a mark all the same."""
    state = TaskState(DictRows())
    parking, effects = Parking(state), no_effects()
    failure = Failure.of(error, 1)
    parking.park(effects, ("h", b"kk"), letter(b"k"), Stopped(failure, None))
    state.apply(effects.writes)
    mark = parking.mark("h", b"kk")
    assert mark is not None
    assert mark.failure == failure
    assert len(failure.error) + len(failure.trace) < 10_000
