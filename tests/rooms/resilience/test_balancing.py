"""Load balancing: strategies, health, and the balancer that uses them."""

import asyncio
import contextlib
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.clock import ManualClock
from mainstem.errors import CallRefused, DefinitionError, NoBackend
from mainstem.resilience import (
    Backend,
    Balancer,
    HashRing,
    HealthRule,
    KeyHash,
    LeastConnections,
    LeastResponseTime,
    Load,
    Loads,
    Mark,
    RingHash,
    RoundRobin,
    Session,
    Sticky,
    Strategy,
    Weighted,
)

A, B, C = (Backend(name) for name in "abc")
ALL = (A, B, C)


def chosen(strategy: Strategy[Any], count: int, backends: tuple[Backend, ...] = ALL) -> str:
    """The names of so many choices, whose calls end at once."""
    state = None
    names = ""
    for _ in range(count):
        state, name = strategy.choose(state, backends)
        state = strategy.ended(state, name, 1.0)
        names += name
    return names


def test_round_robin_takes_turns() -> None:
    """In the order of the list."""
    assert chosen(RoundRobin(), 7) == "abcabca"


def test_weights_are_mixed_smoothly() -> None:
    """The sequence that nginx gives for 5, 1, 1; and the other way round by weight alone."""
    assert chosen(Weighted(), 14, (Backend("a", 5), B, C)) == "aabacaa" * 2


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_weights_are_kept_exactly(weights: list[int]) -> None:
    """In as many choices as the weights add up to, each is chosen as often as its weight."""
    backends = tuple(Backend(str(number), weight) for number, weight in enumerate(weights))
    assert Counter(chosen(Weighted(), sum(weights), backends)) == {each.name: each.weight for each in backends}


def test_the_least_busy_takes_the_next_call() -> None:
    """By weight; among equals the one that was chosen longest ago, so that idle ones take turns."""
    strategy = LeastConnections()
    state, names = Loads(), ""
    for _ in range(8):
        state, name = strategy.choose(state, (Backend("a", 2), B, C))
        names += name
    assert Counter(names) == {"a": 4, "b": 2, "c": 2}
    state = strategy.ended(state, "c", 1.0)
    assert strategy.choose(state, ALL)[1] == "c"
    assert sorted(Counter(chosen(strategy, 9)).values()) == [3, 3, 3]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=80))
def test_the_least_busy_never_has_two_calls_more_than_another(ends: list[int]) -> None:
    """While calls only begin, the loads differ by one at most."""
    state = Loads()
    for _ in ends:
        state, _name = LeastConnections().choose(state, ALL)
        active = [state.get(each.name, Load()).active for each in ALL]
        assert max(active) - min(active) <= 1


def test_the_one_that_answers_soonest_takes_the_next_call() -> None:
    """Each is tried first; a slow one is left, also when it has just turned slow, and believed again slowly."""
    strategy = LeastResponseTime(share=0.5)
    state, took = Loads(), {"a": 10.0, "b": 30.0, "c": 1000.0}
    names = ""
    for _ in range(9):
        state, name = strategy.choose(state, ALL)
        state = strategy.ended(state, name, took[name])
        names += name
    assert names == "abcaaaaaa"
    state, name = strategy.choose(state, ALL)
    state = strategy.ended(state, name, 200.0)
    assert strategy.choose(state, ALL)[1] == "b"
    assert strategy.ended(state, "a", 10.0)["a"].response_ms == 105.0


def test_calls_under_way_count_with_the_response_time() -> None:
    """A fast one that has its hands full is not the one that answers soonest."""
    state = {"a": Load(3, 10.0), "b": Load(0, 30.0)}
    assert LeastResponseTime().choose(state, (A, B))[1] == "b"
    assert LeastResponseTime().choose(state, (Backend("a", 2), B))[1] == "a"


def test_a_session_stays_where_it_is() -> None:
    """As long as its backend is fit; then it moves once, and does not come back."""
    sticky = Sticky(RoundRobin())
    state, name = sticky.choose(None, ALL)
    assert name == "a"
    assert sticky.choose(state, (C, B, A))[1] == "a"
    state, name = sticky.choose(state, (B, C))
    assert name == "c"
    assert sticky.choose(state, ALL)[1] == "c"


@given(st.text())
def test_a_key_goes_to_its_backend(key: str) -> None:
    """The same for the same list; on the ring also when others come and go."""
    assert KeyHash().choose(None, ALL, key) == KeyHash().choose(None, ALL, key)
    ring = RingHash(HashRing(ALL))
    _, owner = ring.choose(None, ALL, key)
    others = tuple(each for each in ALL if each.name != owner)
    assert ring.choose(None, (others[0], Backend(owner)), key)[1] == owner
    substitute = ring.choose(None, others, key)[1]
    assert substitute == list(ring.ring.walk(key))[1]


def test_a_backend_off_the_ring_still_takes_calls() -> None:
    """When none of the fit ones is on it, one of them is chosen all the same."""
    assert RingHash(HashRing([A])).choose(None, (B,), "key")[1] == "b"


STRATEGIES: list[tuple[Strategy[Any], Any]] = [
    (RoundRobin(), int),
    (Weighted(), dict[str, int]),
    (KeyHash(), None),
    (RingHash(HashRing(ALL)), None),
    (LeastConnections(), Loads),
    (LeastResponseTime(), Loads),
    (Sticky(Weighted()), Session[dict[str, int]]),
]


@pytest.mark.parametrize(("strategy", "kind"), STRATEGIES)
def test_a_state_can_be_stored(strategy: Strategy[Any], kind: Any) -> None:
    """Written and read again, it chooses the same; with none to choose from the error says so."""
    state = None
    for _ in range(5):
        state, name = strategy.choose(state, ALL, "key")
        again = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=kind)
        assert strategy.choose(again, ALL, "key") == strategy.choose(state, ALL, "key")
        state = strategy.ended(state, name, 1.0)
    with pytest.raises(NoBackend):
        strategy.choose(state, ())


# Health

HEALTH = HealthRule(failures=2, aside_ms=1_000, longest_ms=2_500, percent=50)


def failing(marks: dict[str, Mark], name: str, now_ms: int, times: int = 2) -> dict[str, Mark]:
    """The marks after so many failures."""
    for _ in range(times):
        marks = HEALTH.failed(marks, name, now_ms)
    return marks


def names(marks: dict[str, Mark], now_ms: int, backends: tuple[Backend, ...] = ALL) -> str:
    """Who is fit."""
    return "".join(each.name for each in HEALTH.fit(marks, backends, now_ms))


def test_failures_in_a_row_set_a_backend_aside_for_a_while() -> None:
    """A success in between begins the row anew; each further time is longer, up to the longest."""
    marks = HEALTH.succeeded(failing({}, "a", 0, 1), "a", 0)
    assert marks == {}
    assert names(failing(marks, "a", 0, 1), 0) == "abc"
    now_ms = 0
    for aside_ms in (1_000, 2_000, 2_500, 2_500):
        marks = failing(marks, "a", now_ms)
        assert names(marks, now_ms + aside_ms - 1) == "bc"
        now_ms += aside_ms
        assert names(marks, now_ms) == "abc"
    marks = failing(HEALTH.succeeded(marks, "a", now_ms + 4_000), "a", now_ms + 4_000)
    assert names(marks, now_ms + 5_000) == "abc"


def test_late_answers_change_nothing_while_it_is_set_aside() -> None:
    """Neither do successes bring it back, nor failures keep it away longer."""
    marks = failing({}, "a", 0)
    assert failing(marks, "a", 500, 9) == marks
    assert HEALTH.succeeded(marks, "a", 500) == marks


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 500)), max_size=60), st.integers(0, 100))
def test_never_more_than_the_share_is_set_aside(failures: list[tuple[str, int]], percent: int) -> None:
    """Or one of several, if anything may be; who is left is in the order of the list, and never nobody."""
    rule = HealthRule(failures=1, aside_ms=1_000, percent=percent)
    backends = (*ALL, Backend("d"))
    marks, now_ms = dict[str, Mark](), 0
    for name, wait_ms in failures:
        now_ms += wait_ms
        marks = rule.failed(marks, name, now_ms)
        fit = rule.fit(marks, backends, now_ms)
        most = min(3, max(4 * percent // 100, percent > 0))
        assert len(fit) >= 4 - most
        assert list(fit) == [each for each in backends if each in fit]
        assert list(rule.fit(marks, (A,), now_ms)) == [A]


# The balancer


def test_a_balancer_learns_from_how_calls_end() -> None:
    """A backend that fails is passed over, and comes back; refusals by guards do not count against it."""
    time = ManualClock()
    balancer = Balancer(RoundRobin(), ALL, health=HEALTH, counts=(OSError,), clock=time)

    def ask(error: Exception | None) -> str:
        with contextlib.suppress(OSError, ValueError, CallRefused), balancer.call() as name:
            if error and name == "b":
                raise error
        return name

    for harmless in (CallRefused("full"), ValueError("ours")):
        assert "".join(ask(harmless) for _ in range(12)) == "abc" * 4
    for _ in range(6):
        ask(OSError("away"))
    assert balancer.fit() == ("a", "c")
    assert "b" not in "".join(ask(None) for _ in range(6))
    time.advance(1)
    assert balancer.fit() == ("a", "b", "c")
    balancer.use([C])
    assert ask(None) == "c"
    balancer.use([])
    with pytest.raises(NoBackend), balancer.call():
        pytest.fail("there is nobody to call")


def test_a_refusal_by_a_guard_is_not_the_backends_fault() -> None:
    """Neither is a cancellation; whatever counts, nobody is set aside for it."""
    balancer = Balancer(RoundRobin(), ALL, health=HEALTH, clock=ManualClock())
    for harmless in (CallRefused("full"), asyncio.CancelledError(), KeyboardInterrupt()):
        for _ in range(9):
            with contextlib.suppress(CallRefused, asyncio.CancelledError, KeyboardInterrupt), balancer.call():
                raise harmless
    assert balancer.fit() == ("a", "b", "c")


def test_a_balancer_counts_what_is_under_way() -> None:
    """A call that is not over keeps its backend busy; one that has failed does not."""
    balancer = Balancer(LeastConnections(), ALL, clock=ManualClock())
    with balancer.call() as first, balancer.call() as second, balancer.call() as third:
        assert {first, second, third} == {"a", "b", "c"}
        with pytest.raises(KeyError), balancer.call():
            raise KeyError
    with balancer.call(), balancer.call(), balancer.call():
        assert balancer._state is not None
        assert [each.active for each in balancer._state.values()] == [1, 1, 1]


@pytest.mark.parametrize(
    "build",
    [
        lambda: Backend(""),
        lambda: Backend("a", 0),
        lambda: HealthRule(failures=0),
        lambda: HealthRule(aside_ms=0),
        lambda: HealthRule(longest_ms=1),
        lambda: HealthRule(percent=101),
        lambda: LeastResponseTime(share=0),
    ],
)
def test_rules_that_make_no_sense_are_refused(build: object) -> None:
    """A mistake is reported where it is made."""
    with pytest.raises(DefinitionError):
        build()  # type: ignore[operator]
