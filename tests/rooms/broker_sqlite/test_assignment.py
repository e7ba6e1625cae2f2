"""Assignment: a pure function of members, pins and what was assigned before."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mainstem.broker.sqlite.members import Candidate, assign

TASKS = st.integers(1, 12)
NAMES = st.sampled_from("abcdefg")
CANDIDATES = st.lists(
    st.builds(Candidate, NAMES, st.none() | st.frozensets(st.integers(0, 11), max_size=4)),
    max_size=6,
    unique_by=lambda candidate: candidate.member,
)


@given(TASKS, CANDIDATES, st.dictionaries(st.integers(0, 11), NAMES))
def test_every_task_has_whoever_may_have_it(tasks: int, candidates: list[Candidate], previous: dict[int, str]) -> None:
    """A pinned task goes to one of its pinners, any other to a member without pins, and none is forgotten."""
    assigned = assign(tasks, candidates, previous)
    free = {candidate.member for candidate in candidates if candidate.pinned is None}
    for task in range(tasks):
        pinners = {candidate.member for candidate in candidates if candidate.pinned and task in candidate.pinned}
        may = pinners or free
        assert (assigned.get(task) in may) if may else task not in assigned
    assert set(assigned) <= set(range(tasks))


@given(TASKS, CANDIDATES, st.dictionaries(st.integers(0, 11), NAMES))
def test_the_rest_is_shared_evenly(tasks: int, candidates: list[Candidate], previous: dict[int, str]) -> None:
    """No member without pins has two tasks more than another one."""
    free = [candidate.member for candidate in candidates if candidate.pinned is None]
    counts = Counter(assign(tasks, candidates, previous).values())
    shares = [counts[member] for member in free]
    assert not shares or max(shares) - min(shares) <= 1


@given(TASKS, CANDIDATES, st.dictionaries(st.integers(0, 11), NAMES))
def test_it_comes_to_rest(tasks: int, candidates: list[Candidate], previous: dict[int, str]) -> None:
    """With the same members nothing moves a second time."""
    assigned = assign(tasks, candidates, previous)
    assert assign(tasks, candidates, assigned) == assigned


@given(TASKS, st.lists(NAMES, min_size=1, max_size=5, unique=True), NAMES)
def test_a_join_and_a_leave_move_as_little_as_can_be(tasks: int, members: list[str], other: str) -> None:
    """Who joins is given its share and nothing else moves; when a member leaves, only its tasks move."""
    staying = [Candidate(member) for member in members if member != other]
    if not staying:
        return
    before = assign(tasks, staying, {})
    joined = assign(tasks, [*staying, Candidate(other)], before)
    assert all(now in (before[task], other) for task, now in joined.items())
    left = assign(tasks, staying, joined)
    assert all(left[task] == was for task, was in joined.items() if was != other)


def test_a_pin_is_kept_by_who_has_it() -> None:
    """Of two members that pin a task, the one that has it keeps it; without one, who came first."""
    both = [Candidate("a", frozenset({0})), Candidate("b", frozenset({0}))]
    assert assign(1, both, {0: "b"}) == {0: "b"}
    assert assign(1, both, {}) == {0: "a"}
