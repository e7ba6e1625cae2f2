"""Circuit breaker: the rule, step by step."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.errors import DefinitionError
from mainstem.resilience import (
    BreakerRule,
    BreakerState,
    CallsWindow,
    Ending,
    Permit,
    Refusal,
    Tally,
    TimeWindow,
)

RULE = BreakerRule(window=CallsWindow(10), minimum_calls=4, open_ms=1_000, longest_open_ms=4_000, probes=3)


def call(rule: BreakerRule, state: BreakerState | None, now_ms: int, ending: Ending, took_ms: int = 0) -> BreakerState:
    """The state after one call that is let through."""
    state, permit = rule.admit(state, now_ms)
    assert isinstance(permit, Permit)
    return rule.ended(state, permit, now_ms + took_ms, ending)


def opened(rule: BreakerRule = RULE, now_ms: int = 0) -> BreakerState:
    """A breaker that has just opened."""
    state = None
    for _ in range(rule.minimum_calls):
        state = call(rule, state, now_ms, "failed")
    assert state is not None
    assert rule.phase(state, now_ms) == "open"
    return state


def probes(rule: BreakerRule, state: BreakerState, now_ms: int, count: int) -> tuple[BreakerState, list[Permit]]:
    """Ask ``count`` times at once: the permits among the answers."""
    permits = []
    for _ in range(count):
        state, answer = rule.admit(state, now_ms)
        if isinstance(answer, Permit):
            permits.append(answer)
    return state, permits


def test_it_opens_at_the_rate_and_not_before_the_minimum() -> None:
    """Three failures of three are too few calls; at half of four it opens."""
    state = None
    for ending in ("failed", "succeeded", "failed", "succeeded"):
        state = call(RULE, state, 0, ending)
        assert RULE.phase(state, 0) == "closed"
    assert RULE.phase(call(RULE, state, 0, "failed"), 0) == "open"


def test_it_looks_at_the_last_calls_only() -> None:
    """Ten good calls push every failure out of a window of ten."""
    state = None
    for _ in range(3):
        state = call(RULE, state, 0, "failed")
    for _ in range(7):
        state = call(RULE, state, 0, "succeeded")
    assert RULE.tally(state, 0) == Tally(10, 3, 0)
    for left in (2, 1, 0):
        state = call(RULE, state, 0, "succeeded")
        assert RULE.tally(state, 0) == Tally(10, left, 0)


def test_a_window_of_time_forgets_by_tenths() -> None:
    """A call counts for at least nine tenths of the period, and not beyond it."""
    rule = BreakerRule(window=TimeWindow(1_000), minimum_calls=3)
    state = call(rule, call(rule, None, 0, "failed"), 500, "failed")
    assert rule.tally(state, 999) == Tally(2, 2, 0)
    assert rule.tally(state, 1_000) == Tally(1, 1, 0)
    assert rule.tally(state, 1_500) == Tally(0, 0, 0)
    assert rule.phase(call(rule, state, 1_500, "failed"), 1_500) == "closed"
    assert rule.phase(call(rule, state, 900, "failed"), 900) == "open"


def test_open_it_refuses_and_says_for_how_long() -> None:
    """No call goes through before its time, and the refusal names what is left of it."""
    state = opened()
    assert RULE.admit(state, 1) == (state, Refusal(999))
    assert RULE.admit(state, 999) == (state, Refusal(1))
    assert isinstance(RULE.admit(state, 1_000)[1], Permit)


@pytest.mark.parametrize("asking", [3, 4, 50])
def test_half_open_lets_exactly_the_probes_through(asking: int) -> None:
    """Of any number that ask at once three go through, and no more until all three have ended."""
    state, permits = probes(RULE, opened(), 1_000, asking)
    assert len(permits) == 3
    for permit in permits[:2]:
        state = RULE.ended(state, permit, 1_010, "succeeded")
        assert probes(RULE, state, 1_010, 50)[1] == []
    assert RULE.phase(RULE.ended(state, permits[2], 1_010, "succeeded"), 1_010) == "closed"


def test_one_failed_probe_opens_it_again_for_twice_as_long() -> None:
    """Up to the longest time; closing once begins anew."""
    state, now_ms = opened(), 0
    for expected_ms in (1_000, 2_000, 4_000, 4_000):
        assert state.until_ms - now_ms == expected_ms
        now_ms = state.until_ms
        state = call(RULE, state, now_ms, "failed")
    now_ms = state.until_ms
    for _ in range(3):
        state = call(RULE, state, now_ms, "succeeded")
    assert RULE.phase(state, now_ms) == "closed"
    assert opened(RULE, now_ms).until_ms == now_ms + 1_000


def test_a_probe_that_is_cancelled_gives_its_place_to_another() -> None:
    """It has told nothing: one more goes through, and it still takes three that succeed."""
    state, permits = probes(RULE, opened(), 1_000, 50)
    state = RULE.ended(state, permits[0], 1_001, "cancelled")
    state, more = probes(RULE, state, 1_002, 50)
    assert len(more) == 1
    for permit in (*permits[1:], *more):
        assert RULE.phase(state, 1_003) == "half_open"
        state = RULE.ended(state, permit, 1_003, "succeeded")
    assert RULE.phase(state, 1_003) == "closed"


def test_a_probe_that_nobody_reports_is_given_up() -> None:
    """Its process may be gone. A refusal names a time; then others probe, and its late report changes nothing."""
    rule = BreakerRule(minimum_calls=4, open_ms=1_000, probes=1, probe_lost_ms=500)
    state, (lost,) = probes(rule, opened(rule), 1_000, 1)
    assert rule.admit(state, 1_100)[1] == Refusal(400)
    state, (second,) = probes(rule, state, 1_500, 5)
    assert rule.ended(state, lost, 1_600, "failed") == state
    assert rule.phase(rule.ended(state, second, 1_600, "succeeded"), 1_600) == "closed"


def test_a_call_from_before_tells_nothing_about_now() -> None:
    """One that began while it was closed, and ends while it is half-open, is no probe."""
    state, early = RULE.admit(None, 0)
    assert isinstance(early, Permit)
    state = opened()
    state, _ = probes(RULE, state, 1_000, 1)
    assert RULE.ended(state, early, 1_001, "succeeded") == state
    assert RULE.ended(state, early, 1_001, "failed") == state


def test_slow_calls_open_it_as_failures_do() -> None:
    """By a share of their own; a slow probe is a bad one."""
    rule = BreakerRule(minimum_calls=2, slow_ms=100, slow_rate=0.75, open_ms=10)
    state = call(rule, call(rule, None, 0, "succeeded", 99), 0, "succeeded", 100)
    assert rule.tally(state, 0) == Tally(2, 0, 1)
    for _ in range(2):
        assert rule.phase(state, 0) == "closed"
        state = call(rule, state, 0, "succeeded", 100)
    assert rule.phase(state, 100) == "open"
    assert rule.phase(call(rule, state, 110, "succeeded", 100), 210) == "open"


def test_it_can_be_overruled() -> None:
    """Forced open nobody passes; disabled or only looking everybody does; what began before tells nothing after."""
    state = RULE.forced(None, "forced_open")
    assert isinstance(RULE.admit(state, 10**9)[1], Refusal)
    assert RULE.phase(state, 10**9) == "open"
    state = RULE.forced(state, "metrics_only")
    for _ in range(10):
        state = call(RULE, state, 0, "failed")
    assert (RULE.phase(state, 0), RULE.tally(state, 0)) == ("closed", Tally(10, 10, 0))
    state = RULE.forced(state, "disabled")
    for _ in range(10):
        state = call(RULE, state, 0, "failed")
    assert (RULE.phase(state, 0), RULE.tally(state, 0)) == ("closed", Tally(0, 0, 0))
    _, permit = RULE.admit(state, 0)
    assert isinstance(permit, Permit)
    automatic = RULE.forced(state, "automatic")
    assert RULE.ended(automatic, permit, 0, "failed") == automatic


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 700), st.sampled_from(["admit", "admit", "succeeded", "failed", "cancelled"]), st.integers(0, 9)
    ),
    max_size=120,
)
WINDOWS = st.sampled_from([CallsWindow(5), TimeWindow(900)])


@given(events=EVENTS, window=WINDOWS, limit=st.integers(1, 4))
def test_the_probes_are_never_more_than_configured(
    events: list[tuple[int, str, int]], window: CallsWindow | TimeWindow, limit: int
) -> None:
    """Whatever is asked and reported in whatever order, with states that were stored in between."""
    rule = BreakerRule(window=window, minimum_calls=2, open_ms=500, probes=limit, probe_lost_ms=10**9)
    state, now_ms, running = BreakerState(), 0, list[Permit]()
    for wait_ms, what, which in events:
        now_ms += wait_ms
        before = state
        if what == "admit":
            state, answer = rule.admit(state, now_ms)
            if isinstance(answer, Permit):
                running.append(answer)
            assert isinstance(answer, Permit) or rule.phase(before, now_ms) != "closed"
        elif running:
            permit = running.pop(which % len(running))
            state = rule.ended(state, permit, now_ms, what)  # type: ignore[arg-type]
        if state.phase == "half_open":
            probing = [each for each in running if each.generation == state.generation]
            assert len(probing) == len(state.probes)
            assert len(probing) + state.proved <= limit
        if state.phase == "open":
            assert not any(each.generation == state.generation for each in running)
        assert state.generation >= before.generation
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=BreakerState)


@given(endings=st.lists(st.booleans(), max_size=60), size=st.integers(1, 12))
def test_the_window_of_calls_counts_as_a_list_would(endings: list[bool], size: int) -> None:
    """The numbers that are remembered tell the same as the last calls themselves."""
    window, state = CallsWindow(size), None
    for index, failed in enumerate(endings):
        state = window.add(state, 0, failed=failed, slow=not failed)
        last = endings[max(0, index + 1 - size) : index + 1]
        assert window.tally(state, 0) == (len(last), sum(last), len(last) - sum(last))
        assert len(state.failed) + len(state.slow) <= size


@given(waits=st.lists(st.integers(0, 400), max_size=60))
def test_the_window_of_time_counts_as_a_list_would(waits: list[int]) -> None:
    """All of the last nine tenths of the period, and nothing older than the period; in ten numbers at most."""
    window, state, times = TimeWindow(1_000), None, list[int]()
    now_ms = 0
    for wait_ms in waits:
        now_ms += wait_ms
        times.append(now_ms)
        state = window.add(state, now_ms, failed=True, slow=False)
        found = window.tally(state, now_ms).failed
        assert sum(each > now_ms - 900 for each in times) <= found <= sum(each > now_ms - 1_000 for each in times)
        assert len(state.slices) <= 10


@pytest.mark.parametrize(
    "fault",
    [
        {"failure_rate": 0.0},
        {"failure_rate": 1.1},
        {"slow_rate": float("nan")},
        {"slow_ms": 0},
        {"minimum_calls": 0},
        {"minimum_calls": 101},
        {"open_ms": 0},
        {"longest_open_ms": 1},
        {"probes": 0},
        {"probe_lost_ms": 0},
    ],
)
def test_a_rule_that_cannot_work_is_refused(fault: dict[str, float]) -> None:
    """A mistake is reported where the rule is made, and names its field."""
    with pytest.raises(DefinitionError, match=next(iter(fault))):
        BreakerRule(**fault)  # type: ignore[arg-type]


@pytest.mark.parametrize("build", [lambda: CallsWindow(0), lambda: TimeWindow(-1)])
def test_a_window_that_holds_nothing_is_refused(build: object) -> None:
    """It would never tell anything."""
    with pytest.raises(DefinitionError):
        build()  # type: ignore[operator]
