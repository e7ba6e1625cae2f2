"""Rate limits: the vectors of the five algorithms, and what each promises."""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.errors import DefinitionError
from mainstem.resilience import (
    Count,
    Counts,
    FixedWindow,
    LeakingBucket,
    LeakingQueue,
    Level,
    RateLimit,
    SlidingCounter,
    SlidingLog,
    TokenBucket,
    Verdict,
)

S = TypeVar("S")

Limit = TokenBucket | LeakingBucket | LeakingQueue | FixedWindow | SlidingLog | SlidingCounter
Request = int | tuple[int, int]


def answers(limit: RateLimit[S], requests: Sequence[Request]) -> list[Verdict]:
    """The answers to requests at these times, of cost 1 unless stated, beginning with no state."""
    state: S | None = None
    found = []
    for each in requests:
        now_ms, cost = each if isinstance(each, tuple) else (each, 1)
        state, verdict = limit.step(state, now_ms, cost)
        found.append(verdict)
    return found


def told(limit: RateLimit[S], requests: Sequence[Request]) -> str:
    """The answers in short: A and what remains, or D and when to try again."""
    return " ".join(
        f"A{each.remaining}" if each.allowed else f"D({each.retry_after_ms})" for each in answers(limit, requests)
    )


# Vectors, by hand

BURST: list[Request] = [0, 0, 0, 0, 0, 0, 500, 999, 1000, 1000, 3500, 3500, 3500, (60000, 5), 60000]
BURST_TOLD = "A4 A3 A2 A1 A0 D(1000) D(500) D(1) A0 D(1000) A1 A0 D(500) A0 D(1000)"
FRACTIONS: list[Request] = [(0, 10), 1000, 1000, 2000, 2000, 2000, 2667]


@pytest.mark.parametrize("kind", [TokenBucket, LeakingBucket])
def test_a_bucket_allows_bursts_and_fills_steadily(kind: type[TokenBucket | LeakingBucket]) -> None:
    """Five at once, then one a second; the meter decides as the tokens do."""
    assert told(kind(limit=1, period_ms=1000, capacity=5), BURST) == BURST_TOLD


@pytest.mark.parametrize("kind", [TokenBucket, LeakingBucket])
def test_a_bucket_counts_parts_of_a_request(kind: type[TokenBucket | LeakingBucket]) -> None:
    """Three in two seconds are not one in 667 ms: waits are rounded up, levels never."""
    limit = kind(limit=3, period_ms=2000, capacity=10)
    assert told(limit, FRACTIONS) == "A0 A0 D(334) A1 A0 D(667) A0"


def test_a_bucket_loses_nothing_in_the_long_run() -> None:
    """Two requests a second against three in two seconds, for ten minutes: exactly 909 are allowed."""
    limit = TokenBucket(limit=3, period_ms=2000, capacity=10)
    assert sum(each.allowed for each in answers(limit, range(0, 600_000, 500))) == 909


def test_a_queue_spaces_what_it_allows() -> None:
    """Two leave each second, three wait; each is told when it leaves."""
    limit = LeakingQueue(limit=2, period_ms=1000, places=3)
    requests = [0, 0, 0, 0, 0, 499, 500, 500, 2000, 2000, 2000]
    leave: list[int | str] = [
        now_ms + each.wait_ms if each.allowed else f"D({each.retry_after_ms})"
        for now_ms, each in zip(requests, answers(limit, requests), strict=True)
    ]
    assert leave == [0, 500, 1000, 1500, "D(500)", "D(1)", 2000, "D(500)", 2500, 3000, 3500]


def test_a_fixed_window_allows_twice_the_limit_around_its_end() -> None:
    """Windows by the clock: nine within a second, of a limit of five in ten."""
    requests = [0, *[9000] * 5, 9999, *[10000] * 6]
    expected = "A4 A3 A2 A1 A0 D(1000) D(1) A4 A3 A2 A1 A0 D(10000)"
    assert told(FixedWindow(limit=5, period_ms=10_000), requests) == expected


def test_a_fixed_window_may_begin_with_the_first_request() -> None:
    """Then the next one begins with the first request after it, and not where the clock says."""
    limit = FixedWindow(limit=2, period_ms=1000, anchor="first_hit")
    assert told(limit, [700, 1699, 1699, 1700, 2650, 2699, 2700]) == "A1 A0 D(1) A1 A0 D(1) A1"


def test_a_log_is_exact_to_the_millisecond() -> None:
    """A request counts until it is a whole period old, and not a millisecond longer."""
    requests: list[Request] = [0, 200, 400, 999, 1000, 1001, 1200, 1399, 1400, (2401, 3), (2401, 1)]
    expected = "A2 A1 A0 D(1) A0 D(199) A0 D(1) A0 A0 D(1000)"
    assert told(SlidingLog(limit=3, period_ms=1000), requests) == expected


def test_a_counter_weighs_the_window_before() -> None:
    """What the window before has allowed counts for the part of it that is still covered, without rounding."""
    requests = [*range(30000, 30010), 60000, 65999, 66000, 66001, 72000, *[90000] * 5, 119999, 120000, 180000, 180000]
    expected = "A9 A8 A7 A6 A5 A4 A3 A2 A1 A0 D(6000) D(1) A0 D(5999) A0 A2 A1 A0 D(6000) D(6000) A3 A3 A8 A7"
    assert told(SlidingCounter(limit=10, period_ms=60_000), requests) == expected


def test_a_counter_forgets_what_is_two_windows_ago() -> None:
    """With a whole window in between, nothing of it is covered any more."""
    assert told(SlidingCounter(limit=3, period_ms=1000), [(0, 3), 2000, 2000]) == "A0 A2 A1"


# Properties, of all of them

SMALL = st.integers(1, 12)
LIMITS: st.SearchStrategy[Limit] = st.one_of(
    st.builds(TokenBucket, limit=SMALL, period_ms=st.integers(1, 40), capacity=SMALL),
    st.builds(LeakingBucket, limit=SMALL, period_ms=st.integers(1, 40)),
    st.builds(LeakingQueue, limit=SMALL, period_ms=st.integers(1, 40), places=SMALL),
    st.builds(FixedWindow, limit=SMALL, period_ms=st.integers(1, 40)),
    st.builds(FixedWindow, limit=SMALL, period_ms=st.integers(1, 40), anchor=st.just("first_hit")),
    st.builds(SlidingLog, limit=SMALL, period_ms=st.integers(1, 40)),
    st.builds(SlidingCounter, limit=SMALL, period_ms=st.integers(1, 40)),
)
STEPS = st.lists(st.tuples(st.integers(-3, 15), st.integers(1, 4)), max_size=60)
FORWARD = st.lists(st.tuples(st.integers(0, 15), st.integers(1, 4)), max_size=60)


def most_at_once(limit: Limit) -> int:
    """The largest cost that is ever allowed."""
    if isinstance(limit, LeakingQueue):
        return limit.places + 1
    return limit.capacity if isinstance(limit, TokenBucket | LeakingBucket) else limit.limit


def most_within_a_period(limit: Limit) -> int:
    """What the limit promises of any stretch as long as its period."""
    match limit:
        case TokenBucket() | LeakingBucket():
            return limit.capacity + limit.limit
        case LeakingQueue():
            # By the time of leaving, what is limited is what leaves; a turn at either end.
            return limit.limit + 1
        case FixedWindow():
            return 2 * limit.limit
        case SlidingLog():
            return limit.limit
        case SlidingCounter():
            return max(1, 2 * limit.limit - 1)


def step(limit: Limit, state: Any, now_ms: int, cost: int) -> tuple[Any, Verdict]:
    """A step of any of them, over a state of its own kind."""
    found: tuple[Any, Verdict] = limit.step(state, now_ms, cost)
    return found


def run(limit: Limit, steps: list[tuple[int, int]]) -> list[tuple[int, int, Verdict]]:
    """Requests after these waits, of these costs as far as the limit takes them: time, cost and answer."""
    state = None
    now_ms = 1_000
    found = []
    for wait_ms, wanted in steps:
        now_ms += wait_ms
        cost = min(wanted, most_at_once(limit))
        state, verdict = step(limit, state, now_ms, cost)
        found.append((now_ms, cost, verdict))
    return found


@given(limit=LIMITS, steps=FORWARD)
def test_never_more_than_the_limit_in_any_stretch(limit: Limit, steps: list[tuple[int, int]]) -> None:
    """However requests come, no stretch as long as the period has more in it than the algorithm promises."""
    leaving = [
        (now_ms + verdict.wait_ms, 1 if isinstance(limit, LeakingQueue) else cost)
        for now_ms, cost, verdict in run(limit, steps)
        if verdict.allowed
    ]
    for first_ms, _ in leaving:
        within = sum(cost for at_ms, cost in leaving if first_ms <= at_ms < first_ms + limit.period_ms)
        assert within <= most_within_a_period(limit)


@given(limit=LIMITS, steps=FORWARD)
def test_no_window_by_the_clock_has_more_than_the_limit(limit: Limit, steps: list[tuple[int, int]]) -> None:
    """What counts in windows keeps its limit in each of them."""
    if not isinstance(limit, FixedWindow | SlidingCounter) or getattr(limit, "anchor", "clock") != "clock":
        return
    used: dict[int, int] = {}
    for now_ms, cost, verdict in run(limit, steps):
        if verdict.allowed:
            window = now_ms // limit.period_ms
            used[window] = used.get(window, 0) + cost
    assert max(used.values(), default=0) <= limit.limit


@given(limit=LIMITS, steps=STEPS)
def test_a_denial_changes_nothing(limit: Limit, steps: list[tuple[int, int]]) -> None:
    """Whoever is denied leaves the state as it was, also where the clock goes back."""
    state = None
    now_ms = 1_000
    for wait_ms, cost in steps:
        now_ms += wait_ms
        after, verdict = step(limit, state, now_ms, min(cost, most_at_once(limit)))
        assert verdict.allowed or after is state
        state = after


@given(limit=LIMITS, steps=STEPS)
def test_a_clock_that_goes_back_stands_still(limit: Limit, steps: list[tuple[int, int]]) -> None:
    """Nothing is gained by it: the answers are those of a clock that waits at the last request that was allowed."""
    state = other = None
    now_ms, latest_ms = 1_000, 0
    for wait_ms, wanted in steps:
        now_ms += wait_ms
        still_ms = max(now_ms, latest_ms)
        cost = min(wanted, most_at_once(limit))
        state, verdict = step(limit, state, now_ms, cost)
        other, expected = step(limit, other, still_ms, cost)
        assert (verdict.allowed, verdict.remaining) == (expected.allowed, expected.remaining)
        assert verdict.reset_after_ms == expected.reset_after_ms + still_ms - now_ms
        if verdict.allowed:
            latest_ms = still_ms


@given(limit=LIMITS, steps=STEPS, cost=st.integers(1, 4))
def test_the_time_to_try_again_is_exact(limit: Limit, steps: list[tuple[int, int]], cost: int) -> None:
    """After so long the same request is allowed, a millisecond sooner it is not; also where the clock goes back."""
    cost = min(cost, most_at_once(limit))
    state = None
    now_ms = 1_000
    for wait_ms, each in steps:
        now_ms += wait_ms
        state, _ = step(limit, state, now_ms, min(each, most_at_once(limit)))
    _, verdict = step(limit, state, now_ms, cost)
    if verdict.allowed:
        assert verdict.retry_after_ms == 0
    else:
        again_ms = now_ms + verdict.retry_after_ms
        assert step(limit, state, again_ms, cost)[1].allowed
        assert not step(limit, state, again_ms - 1, cost)[1].allowed


@given(limit=LIMITS, steps=STEPS)
def test_what_remains_is_what_may_follow(limit: Limit, steps: list[tuple[int, int]]) -> None:
    """So much is allowed at the same moment, and not one more."""
    state = None
    now_ms = 1_000
    for wait_ms, each in steps:
        now_ms += wait_ms
        state, verdict = step(limit, state, now_ms, min(each, most_at_once(limit)))
        if verdict.remaining:
            assert step(limit, state, now_ms, verdict.remaining)[1].allowed
        if verdict.remaining < most_at_once(limit):
            assert not step(limit, state, now_ms, verdict.remaining + 1)[1].allowed


@given(limit=LIMITS, steps=STEPS)
def test_after_its_reset_a_limit_is_as_new(limit: Limit, steps: list[tuple[int, int]]) -> None:
    """When the reset says so, as much remains as at the very first."""
    state = None
    now_ms = 1_000
    reset_ms = 0
    for wait_ms, each in steps:
        now_ms += wait_ms
        state, verdict = step(limit, state, now_ms, min(each, most_at_once(limit)))
        reset_ms = now_ms + verdict.reset_after_ms
    _, verdict = step(limit, state, reset_ms, 1)
    assert verdict.remaining == most_at_once(limit) - 1


STATES: dict[type, Any] = {
    TokenBucket: Level,
    LeakingBucket: Level,
    LeakingQueue: Level,
    FixedWindow: Count,
    SlidingLog: tuple[int, ...],
    SlidingCounter: Counts,
}


@given(limit=LIMITS, steps=STEPS)
def test_a_state_that_was_stored_goes_on_alike(limit: Limit, steps: list[tuple[int, int]]) -> None:
    """Written and read again before each step, by both codecs that stores and events use, it decides the same."""
    state = None
    now_ms = 1_000
    expected = run(limit, steps)
    for (wait_ms, each), (_, _, verdict) in zip(steps, expected, strict=True):
        now_ms += wait_ms
        state, found = step(limit, state, now_ms, min(each, most_at_once(limit)))
        assert found == verdict
        kind = STATES[type(limit)]
        packed = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=kind)
        state = msgspec.json.decode(msgspec.json.encode(packed), type=kind)


@given(steps=FORWARD, limit=SMALL, period_ms=st.integers(1, 40), capacity=SMALL)
def test_a_bucket_decides_as_the_cell_rate_algorithm(
    steps: list[tuple[int, int]], limit: int, period_ms: int, capacity: int
) -> None:
    """The generic cell rate algorithm (ITU-T I.371), written down as it stands there, gives the same answers."""
    arrival, found = 0, []
    answered = run(TokenBucket(limit=limit, period_ms=period_ms, capacity=capacity), steps)
    for now_ms, cost, _ in answered:
        # In parts of a millisecond, as many as the limit, so that an interval is whole.
        after = max(arrival, now_ms * limit) + cost * period_ms
        allowed = after - now_ms * limit <= capacity * period_ms
        arrival = after if allowed else arrival
        found.append(allowed)
    assert found == [verdict.allowed for _, _, verdict in answered]


@given(period_ms=st.integers(1, 2**31), limit=st.integers(1, 2**31), at_ms=st.integers(0, 2**42))
def test_numbers_stay_within_64_bits(period_ms: int, limit: int, at_ms: int) -> None:
    """What a limit accepts as its numbers, a store accepts as its state, however full it is."""
    for each in (TokenBucket(limit=limit, period_ms=period_ms), SlidingCounter(limit=limit, period_ms=period_ms)):
        state, _ = step(each, None, at_ms, limit)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=type(state)) == state


# Refusals


@pytest.mark.parametrize(
    "build",
    [
        lambda: TokenBucket(limit=0, period_ms=1),
        lambda: TokenBucket(limit=1, period_ms=0),
        lambda: TokenBucket(limit=1, period_ms=1, capacity=-1),
        lambda: TokenBucket(limit=1.5, period_ms=1),  # type: ignore[arg-type]
        lambda: TokenBucket(limit=2**40, period_ms=2**40),
        lambda: LeakingQueue(limit=1, period_ms=1, places=0),
        lambda: LeakingQueue(limit=1, period_ms=2**40, places=2**40),
        lambda: FixedWindow(limit=1, period_ms=-1),
        lambda: FixedWindow(limit=1, period_ms=1, anchor="noon"),  # type: ignore[arg-type]
        lambda: SlidingLog(limit=0, period_ms=1),
        lambda: SlidingCounter(limit=True, period_ms=1),
        lambda: SlidingCounter(limit=2**40, period_ms=2**40),
    ],
)
def test_numbers_that_are_no_limit_are_refused(build: object) -> None:
    """A mistake is reported where the limit is made, with what to give instead."""
    with pytest.raises(DefinitionError) as refused:
        build()  # type: ignore[operator]
    assert refused.value.why
    assert refused.value.remedy


@given(limit=LIMITS)
def test_a_cost_that_never_fits_is_a_mistake(limit: Limit) -> None:
    """It is not denied, because no waiting would help."""
    state, _ = step(limit, None, 0, most_at_once(limit))
    for cost in (most_at_once(limit) + 1, 0, -1):
        with pytest.raises(DefinitionError):
            step(limit, state, 0, cost)
