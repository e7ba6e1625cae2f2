"""Trying again, and how often at most."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.clock import ManualClock
from mainstem.errors import BreakerOpen, CallRefused, DefinitionError, LimitExceeded
from mainstem.resilience import Attempts, Backoff, BudgetState, RetryBudget, Retrying
from mainstem.testing import SimulationLoop, simulated

STEADY = Backoff(first_seconds=1, longest_seconds=10, jitter="none")


def half() -> float:
    """Chance that has no luck either way."""
    return 0.5


def wait(attempts: Attempts, error: BaseException, attempt: int, elapsed_seconds: float = 0) -> float | None:
    """The wait after an attempt."""
    return attempts.wait_seconds(error, attempt, elapsed_seconds=elapsed_seconds, chance=half)


def test_the_waits_are_those_of_the_backoff() -> None:
    """Between five attempts there are four waits."""
    attempts = Attempts(count=5, backoff=STEADY)
    assert [wait(attempts, TimeoutError(), number) for number in range(1, 6)] == [1, 2, 4, 8, None]


def test_only_what_is_listed_is_tried_again() -> None:
    """By default what a network does; an exception that is excluded wins over its parent."""
    attempts = Attempts(on=(OSError,), never=(FileNotFoundError,), backoff=STEADY)
    assert wait(attempts, ConnectionResetError(), 1) == 1
    assert wait(attempts, FileNotFoundError(), 1) is None
    assert wait(attempts, ValueError(), 1) is None
    assert wait(Attempts(backoff=STEADY), ValueError(), 1) is None


def test_a_refusal_is_not_tried_again_unless_it_is_named() -> None:
    """An open breaker stays open for longer than a few tries; who wants to wait for a limit says so."""
    everything = Attempts(on=(Exception,), backoff=STEADY)
    assert wait(everything, BreakerOpen("open"), 1) is None
    assert wait(everything, CallRefused("refused"), 1) is None
    for named in (LimitExceeded, CallRefused):
        attempts = Attempts(on=(Exception, named), backoff=STEADY)
        assert wait(attempts, LimitExceeded("too fast", retry_after_seconds=7), 1) == 7


def test_who_asks_for_a_longer_wait_gets_it() -> None:
    """The other side knows best; a shorter one does not shorten ours."""
    error = ConnectionError()
    for asked, expected in ((5.0, 5.0), (0.5, 1.0), ("soon", 1.0)):
        error.retry_after_seconds = asked  # type: ignore[attr-defined]
        assert wait(Attempts(backoff=STEADY), error, 1) == expected


def test_no_wait_goes_beyond_the_longest_time() -> None:
    """A wait that would end too late is not begun."""
    attempts = Attempts(count=100, backoff=STEADY, longest_seconds=10)
    assert wait(attempts, TimeoutError(), 1, 9) == 1
    assert wait(attempts, TimeoutError(), 1, 9.5) is None


@simulated
async def test_a_call_is_made_until_it_succeeds() -> None:
    """With the waits in between; the answer is that of the last attempt."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulationLoop)
    times = list[float]()

    @Retrying(Attempts(count=4, backoff=STEADY), clock=loop.clock)
    async def ask(answer: str) -> str:
        times.append(loop.time())
        if len(times) < 3:
            raise ConnectionError("away")
        return answer

    assert await ask("yes") == "yes"
    assert times == [0, 1, 3]


@simulated
async def test_after_the_last_attempt_the_error_is_raised_as_it_is() -> None:
    """With a note of how many there were; what is not tried again gets none."""

    @Retrying(Attempts(count=2, backoff=STEADY))
    async def ask(error: Exception) -> None:
        raise error

    with pytest.raises(ConnectionError) as away:
        await ask(ConnectionError("away"))
    assert away.value.__notes__ == ["after 2 of at most 2 attempts"]
    with pytest.raises(KeyError) as mistake:
        await ask(KeyError("mistake"))
    assert not hasattr(mistake.value, "__notes__")


def test_a_plain_function_is_tried_again_too() -> None:
    """It waits with whatever sleeps for it."""
    time, made = ManualClock(), 0

    def ask() -> str:
        nonlocal made
        made += 1
        if made < 3:
            raise TimeoutError
        return "yes"

    assert Retrying(Attempts(backoff=STEADY), clock=time).plain(ask, sleep=time.advance)() == "yes"
    assert (made, time.monotonic()) == (3, 3)


def test_jitter_spreads_those_who_failed_together() -> None:
    """Without a seed two processes wait differently."""
    waits = set[float]()
    for _ in range(5):
        retrying = Retrying(Attempts(count=2, on=(TimeoutError,)))
        with pytest.raises(TimeoutError):
            retrying.plain(fail, sleep=waits.add)()
    assert len(waits) == 5


def fail() -> None:
    """A call that does not succeed."""
    raise TimeoutError


@given(st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=200), st.integers(0, 100), st.integers(1, 5))
def test_retries_stay_within_their_budget(events: list[tuple[int, bool]], percent: int, per_second: int) -> None:
    """Never more than the share of the calls, and so many a second, and what was saved up at first."""
    budget = RetryBudget(percent=percent, per_second=per_second, longest_seconds=2)
    state: BudgetState | None = None
    now_ms = calls = retries = 0
    for wait_ms, is_call in events:
        now_ms += wait_ms
        if is_call:
            state = budget.called(state, now_ms)
            calls += 1
        else:
            state, granted = budget.retry(state, now_ms)
            retries += granted
        assert retries <= calls * percent / 100 + per_second * (2 + now_ms / 1_000)


def grants(budget: RetryBudget, state: BudgetState | None, now_ms: int) -> int:
    """How many retries are granted at once."""
    count, granted = 0, True
    while granted:
        state, granted = budget.retry(state, now_ms)
        count += granted
    return count


def test_a_quiet_hour_does_not_pay_for_a_storm() -> None:
    """Neither its seconds nor its calls are saved up beyond the limits; a clock that goes back gains nothing."""
    budget = RetryBudget(percent=10, per_second=1, longest_seconds=10)
    state: BudgetState | None = budget.called(None, 0)
    assert grants(budget, state, 3_600_000) == 10 + 10
    for _ in range(5_000):
        state = budget.called(state, 0)
    assert grants(budget, state, 0) == 10 + 10
    state = None
    for _ in range(10):
        state, granted = budget.retry(state, 5_000)
        assert granted
    state = budget.called(state, 0)
    assert grants(budget, state, 5_999) == 1
    assert grants(budget, state, 5_899) == 0


@simulated
async def test_a_spent_budget_ends_the_attempts() -> None:
    """When everything fails, a hundred calls make a few retries and not two hundred."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulationLoop)
    made = 0
    budget = RetryBudget(percent=10, per_second=1, longest_seconds=1)

    @Retrying(Attempts(count=3, backoff=Backoff(first_seconds=0, longest_seconds=0)), budget=budget, clock=loop.clock)
    async def ask() -> None:
        nonlocal made
        made += 1
        raise ConnectionError

    for _ in range(100):
        with pytest.raises(ConnectionError):
            await ask()
    assert made == 100 + 11


@pytest.mark.parametrize(
    "build",
    [
        lambda: Attempts(count=0),
        lambda: Attempts(on=()),
        lambda: Attempts(longest_seconds=0),
        lambda: RetryBudget(percent=101),
        lambda: RetryBudget(percent=-1),
        lambda: RetryBudget(percent=0, per_second=0),
    ],
)
def test_rules_that_make_no_sense_are_refused(build: object) -> None:
    """A mistake is reported where the rule is made."""
    with pytest.raises(DefinitionError):
        build()  # type: ignore[operator]
