"""What stands around calls: breaker, limiter, time limit, fallback, and how they are put together."""

import asyncio
import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError

import pytest

from mainstem.clock import ManualClock
from mainstem.errors import BreakerOpen, CallRefused, CallTimeout, DefinitionError, LimitExceeded
from mainstem.resilience import (
    Admission,
    Attempts,
    Backoff,
    BreakerRule,
    BreakerState,
    Bulkhead,
    CircuitBreaker,
    Deadline,
    Ending,
    Fallback,
    LeakingQueue,
    Permit,
    Phase,
    RateLimiter,
    Retrying,
    SlidingLog,
    TimeLimit,
    TokenBucket,
    Verdict,
)
from mainstem.testing import SimulationLoop, simulated

QUICK = BreakerRule(minimum_calls=2, open_ms=1_000, probes=2)


def clock() -> ManualClock:
    """The clock of the simulation that runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulationLoop)
    return loop.clock


def trip(breaker: CircuitBreaker) -> None:
    """Open it."""
    for _ in range(2):
        with pytest.raises(OSError, match="away"), breaker.call():
            raise OSError("away")


def probing(breaker: CircuitBreaker) -> int:
    """How many probes are under way."""
    return len(breaker.state.probes)


# Circuit breaker


@simulated
async def test_many_at_once_probe_exactly_as_often_as_allowed() -> None:
    """Fifty concurrent calls after the open time: two are made, 48 are refused, and then it is closed."""
    breaker = CircuitBreaker(QUICK, name="bank", clock=clock())
    trip(breaker)
    made = 0

    @breaker
    async def charge() -> str:
        nonlocal made
        made += 1
        await asyncio.sleep(0.1)
        return "done"

    with pytest.raises(BreakerOpen) as refused:
        await charge()
    assert refused.value.retry_after_seconds == 1
    assert refused.value.where == "bank"
    await asyncio.sleep(1)
    answers = await asyncio.gather(*(charge() for _ in range(50)), return_exceptions=True)
    assert made == answers.count("done") == 2
    assert sum(isinstance(each, BreakerOpen) for each in answers) == 48
    assert breaker.phase == "closed"


@simulated
async def test_a_cancelled_probe_frees_its_place() -> None:
    """Cancelling is no answer of the dependency, so another may probe."""
    breaker = CircuitBreaker(QUICK, clock=clock())
    trip(breaker)
    await asyncio.sleep(1)

    @breaker
    async def hang() -> None:
        await asyncio.sleep(100)

    hanging = [asyncio.create_task(hang()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(BreakerOpen):
        await hang()
    hanging[0].cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert probing(breaker) == 1
    with breaker.call():
        assert probing(breaker) == 2
    hanging[1].cancel()


def test_threads_probe_exactly_as_often_as_allowed() -> None:
    """Of sixteen threads that ask at the same moment two go through."""
    time = ManualClock()
    breaker = CircuitBreaker(QUICK, clock=time)
    trip(breaker)
    time.advance(1)
    together, answered = Barrier(16), Barrier(16)

    def ask(_: int) -> bool:
        together.wait()
        try:
            with breaker.call():
                answered.wait()
                return True
        except BreakerOpen:
            answered.wait()
            return False

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(ask, range(16))) == 2


def test_only_what_counts_opens_it() -> None:
    """Ignored errors and refusals by other guards tell nothing; errors that do not count are answers."""
    breaker = CircuitBreaker(QUICK, counts=(OSError,), ignores=(FileNotFoundError,), clock=ManualClock())
    for error in (FileNotFoundError("no such row"), CallRefused("full"), KeyboardInterrupt()):
        with pytest.raises(type(error)), breaker.call():
            raise error
    assert breaker.rule.tally(breaker.state, 0).calls == 0
    with pytest.raises(ValueError, match="yours"), breaker.call():
        raise ValueError("yours")
    assert breaker.rule.tally(breaker.state, 0)[:2] == (1, 0)


def test_whoever_listens_is_told_of_each_change() -> None:
    """Opened, half-open, closed; and by hand."""
    time, phases = ManualClock(), list[Phase]()
    breaker = CircuitBreaker(QUICK, changed=phases.append, clock=time)
    trip(breaker)
    time.advance(1)
    for _ in range(2):
        with breaker.call():
            pass
    breaker.force("forced_open")
    assert phases == ["open", "half_open", "closed", "open"]


# Rate limiter


@simulated
async def test_whoever_waits_goes_in_the_order_of_asking() -> None:
    """A large request that came first is served first, however many small ones come after it."""
    limiter = RateLimiter(TokenBucket(limit=1, period_ms=1_000, capacity=5), clock=clock())
    served = list[tuple[str, float]]()

    async def ask(name: str, cost: int) -> None:
        async with limiter.paced(cost=cost):
            served.append((name, round(clock().monotonic(), 2)))

    limiter.ask(cost=5)
    async with asyncio.timeout(60):
        await asyncio.gather(ask("large", 5), *(ask(f"small{n}", 1) for n in range(3)))
    assert served == [("large", 5), ("small0", 6), ("small1", 7), ("small2", 8)]


@simulated
async def test_keys_do_not_wait_for_one_another() -> None:
    """A key that has used its limit up holds nobody else; one that is cancelled while waiting leaves nothing behind."""
    limiter = RateLimiter(SlidingLog(limit=1, period_ms=1_000), clock=clock())
    limiter.ask("busy")
    waiting = asyncio.create_task(limiter.paced("busy").__aenter__())
    await asyncio.sleep(0)
    async with limiter.paced("idle"):
        assert clock().monotonic() == 0
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    async with limiter.paced("busy"):
        assert clock().monotonic() == 1
    assert limiter._turns == {}


@simulated
async def test_a_queue_holds_calls_back_evenly() -> None:
    """Behind a leaking queue calls leave one by one; who finds it full is told when there is room."""
    limiter = RateLimiter(LeakingQueue(limit=10, period_ms=1_000, places=3), clock=clock())
    left = list[float]()

    @limiter
    async def send() -> None:
        left.append(round(clock().monotonic(), 3))

    answers = await asyncio.gather(*(send() for _ in range(5)), return_exceptions=True)
    assert left == [0, 0.1, 0.2, 0.3]
    (refused,) = (each for each in answers if each is not None)
    assert isinstance(refused, LimitExceeded)
    assert refused.retry_after_seconds == 0.1


class Doorway:
    """Counts who is inside at the same time; whoever enters waits a moment for a second one."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self._second = Barrier(2)

    def pass_through(self) -> None:
        """Go in, wait, go out."""
        self.inside += 1
        self.most = max(self.most, self.inside)
        with contextlib.suppress(BrokenBarrierError):
            self._second.wait(0.05)
        self.inside -= 1


class WatchedLimit:
    """A limit whose steps go through a doorway."""

    def __init__(self) -> None:
        self.doorway = Doorway()

    def step(self, state: tuple[int, ...] | None, now_ms: int, cost: int = 1) -> tuple[tuple[int, ...], Verdict]:
        """As a log of 500 a second."""
        self.doorway.pass_through()
        return SlidingLog(limit=500, period_ms=1_000).step(state, now_ms, cost)


class WatchedRule(BreakerRule, frozen=True):
    """A rule whose steps go through a doorway."""

    doorway: Doorway

    def admit(self, state: BreakerState | None, now_ms: int) -> tuple[BreakerState, Admission]:
        """As every rule."""
        self.doorway.pass_through()
        return super().admit(state, now_ms)

    def ended(self, state: BreakerState | None, permit: Permit, now_ms: int, ending: Ending) -> BreakerState:
        """As every rule."""
        self.doorway.pass_through()
        return super().ended(state, permit, now_ms, ending)


def test_a_limiter_counts_calls_of_all_threads() -> None:
    """One step at a time, and so four threads that ask all the time get what the limit allows, not one more."""
    limit = WatchedLimit()
    limiter = RateLimiter(limit, clock=ManualClock())
    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(lambda _: limiter.ask().allowed, range(2_000))
    assert sum(answers) == 500
    assert limit.doorway.most == 1


@pytest.mark.parametrize("step", ["begin", "end"])
def test_a_breaker_takes_one_step_at_a_time(step: str) -> None:
    """Also when two threads begin, or end, at the same moment."""
    breaker = CircuitBreaker(WatchedRule(doorway=(doorway := Doorway())), clock=ManualClock())
    permits = [breaker.begin() for _ in range(2)]
    doorway._second.reset()
    with ThreadPoolExecutor(2) as threads:
        if step == "begin":
            list(threads.map(lambda _: breaker.begin(), range(2)))
        else:
            list(threads.map(lambda permit: breaker.end(permit, None), permits))
    assert doorway.most == 1


# Time limit


@simulated
async def test_a_call_that_takes_too_long_is_ended() -> None:
    """After its time it is cancelled, and the error is a ``TimeoutError`` that says whose time it was."""
    ended = False

    @TimeLimit(2, name="bank.charge")
    async def charge() -> None:
        nonlocal ended
        try:
            await asyncio.sleep(10)
        finally:
            ended = True

    with pytest.raises(TimeoutError) as late:
        await charge()
    assert isinstance(late.value, CallTimeout)
    assert late.value.where == "bank.charge"
    assert (ended, clock().monotonic()) == (True, 2)


@simulated
async def test_a_deadline_may_be_sooner() -> None:
    """The smaller of both counts; one that has passed begins nothing."""
    limit = TimeLimit(5, clock=clock())
    deadline = Deadline(clock().now_ms() + 1_000)
    with pytest.raises(CallTimeout):
        async with limit.call(deadline):
            await asyncio.sleep(3)
    assert clock().monotonic() == 1
    with pytest.raises(CallTimeout, match="before it began"):
        async with limit.call(deadline):
            pytest.fail("it has begun")


@simulated
async def test_a_time_out_from_within_is_not_ours() -> None:
    """It goes through as it is."""
    with pytest.raises(TimeoutError, match="theirs") as error:
        async with TimeLimit(5).call():
            raise TimeoutError("theirs")
    assert not isinstance(error.value, CallTimeout)


# Fallback, and all of them together


@simulated
async def test_a_fallback_answers_what_it_is_for() -> None:
    """It is given the error; an error that is not listed is raised."""

    @Fallback(lambda error: f"instead of {error}", on=(ConnectionError,))
    async def ask(error: Exception) -> str:
        raise error

    assert await ask(ConnectionResetError("reset")) == "instead of reset"
    with pytest.raises(KeyError):
        await ask(KeyError("a mistake"))


@simulated
async def test_guards_stand_around_one_another() -> None:
    """The order of the guide: a slow dependency is tried again, then refused without a call, and answered for."""
    made = 0
    breaker = CircuitBreaker(BreakerRule(minimum_calls=3, open_ms=60_000), clock=clock())

    @Fallback(lambda error: type(error).__name__)
    @Retrying(Attempts(count=5, backoff=Backoff(jitter="none")), chance=random.Random(1).random, clock=clock())
    @breaker
    @Bulkhead()
    @TimeLimit(1)
    async def quote() -> str:
        nonlocal made
        made += 1
        await asyncio.sleep(10)
        return "never"

    assert await quote() == "BreakerOpen"
    assert await quote() == "BreakerOpen"
    assert made == 3


@pytest.mark.parametrize(
    "guard", [CircuitBreaker(), RateLimiter(SlidingLog(limit=1, period_ms=1)), Bulkhead(), TimeLimit(1), Retrying()]
)
def test_a_guard_stands_around_a_coroutine_function(
    guard: CircuitBreaker | RateLimiter[tuple[int, ...]] | Bulkhead | TimeLimit | Retrying,
) -> None:
    """Around a plain one it would never learn how the call ended."""
    with pytest.raises(DefinitionError, match="plain"):
        guard(lambda: None)  # type: ignore[arg-type, return-value]


def test_limits_of_nothing_are_refused() -> None:
    """No time, and no errors to answer."""
    with pytest.raises(DefinitionError):
        TimeLimit(0)
    with pytest.raises(DefinitionError):
        Fallback(str, on=())
