"""The parked sequences that wait for a breaker: which are tried, and what becomes of rows that are true no more."""

from mainstem.delivery.context import Effects, no_effects
from mainstem.delivery.failures import HELD_STORE, Failure, Letter, Mark, Parking, Stopped, row_of
from mainstem.delivery.guards import HeldSequences
from mainstem.state import TaskState
from tests.rooms.state.rows import DictRows

FAILURE = Failure(1, 0, 0, "ConnectionError", "away", "")
BANK, MAIL = row_of("pay", b""), row_of("mail", b"keast")


class Task:
    """A state with sequences in it, of the keys a, b, c and so on, that are to be looked at again an hour later."""

    def __init__(self) -> None:
        self.state = TaskState(DictRows())
        self.parking = Parking(self.state)
        self.held = HeldSequences(self.state, self.parking)

    def park(self, keys: str, breaker: bytes, handler: str = "pay") -> None:
        """Park events that wait for a breaker."""
        for key in keys:
            effects = no_effects()
            letter = Letter("orders", 0, ord(key), 0, key.encode(), b"", {})
            stopped = Stopped(FAILURE, 3_600_000, breaker)
            self.parking.park(effects, (handler, b"k" + key.encode()), letter, stopped)
            self.state.apply(effects.writes)

    def take(self, effects: Effects | None) -> str:
        """Take changes in; the keys of those that are to be tried at once."""
        if effects is not None:
            self.state.apply(effects.writes)
        return "".join(key for key in "abcdefg" if self.tried_at("pay", key) == 7)

    def tried_at(self, handler: str, key: str) -> int | None:
        """When a sequence is tried next."""
        mark = self.parking.mark(handler, b"k" + key.encode())
        return None if mark is None else mark.next_ms

    def wait_again(self, keys: str) -> None:
        """They were tried, and wait once more."""
        for key in keys:
            effects, place = no_effects(), b"k" + key.encode()
            self.parking.drop(effects, "pay", place, self.mark(key), 0)
            self.state.apply(effects.writes)
        self.park(keys, BANK)

    def mark(self, key: str) -> Mark:
        """The mark of a sequence."""
        mark = self.parking.mark("pay", b"k" + key.encode())
        assert mark is not None
        return mark


def test_each_probe_goes_on_behind_the_last_one() -> None:
    """All get their turn, and when the last of them had it the first is next, in the same round."""
    task = Task()
    task.park("abc", BANK)
    rounds, behind = [], b""
    for _ in range(3):
        effects, behind = task.held.probe(BANK, 2, 7, behind)
        rounds.append(tried := task.take(effects))
        task.wait_again(tried)
    assert rounds == ["ab", "ac", "bc"]


def test_no_sequence_is_tried_twice_in_a_round() -> None:
    """However few there are; and where there are none, nothing is."""
    task = Task()
    assert task.held.probe(BANK, 3, 7, b"") == (no_effects(), b"")
    task.park("a", BANK)
    _, behind = task.held.probe(BANK, 3, 7, b"")
    effects, again = task.held.probe(BANK, 3, 7, behind)
    assert (task.take(effects), again) == ("a", behind)


def test_who_waits_for_something_else_is_left_alone() -> None:
    """A row that says of a sequence what is true no more goes with the next look; the sequence stays as it is."""
    task = Task()
    task.park("ab", BANK)
    effects = no_effects()
    task.parking.write_mark(effects, "pay", b"ka", task.mark("a").again(99))
    task.state.apply(effects.writes)
    effects, _ = task.held.probe(BANK, 2, 7, b"")
    assert task.take(effects) == "b"
    assert task.tried_at("pay", "a") == 99
    assert len(list(task.state.walk(HELD_STORE))) == 1


def test_a_breaker_frees_its_own_and_no_others() -> None:
    """So many at a time, and None when there are no more; those of another breaker go on waiting."""
    task = Task()
    task.park("abc", BANK)
    task.park("d", MAIL, "mail")
    assert (task.held.some(BANK), task.held.some(MAIL), list(task.held.breakers())) == (True, True, [BANK, MAIL])
    assert task.take(task.held.free(BANK, 2, 7)) == "ab"
    assert task.take(task.held.free(BANK, 2, 7)) == "abc"
    assert task.held.free(BANK, 2, 7) is None
    assert (task.held.some(BANK), task.tried_at("mail", "d")) == (False, 3_600_000)
    assert task.mark("a").held == b""
