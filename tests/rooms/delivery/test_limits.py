"""Limits that are kept in the task's store: who is over one waits, and has not failed."""

import pytest

from mainstem.delivery import Command, Deduplicate, Limit, Processor, Retry, faults_of
from mainstem.delivery.gates.limits import Rule
from mainstem.errors import DefinitionError
from mainstem.resilience import FixedWindow, LeakingQueue, SlidingCounter, SlidingLog, TokenBucket
from mainstem.settings import Settings
from tests.rooms.delivery.stage import Paid, on, staged, until

MINUTE_MS = 60_000
ONE_A_MINUTE = Limit(TokenBucket(limit=1, period_ms=MINUTE_MS))


def noting(runs: list[tuple[str, int]], limit: Limit, *, fails: bool = False) -> Processor:
    """A handler that notes what it is given."""

    @on(Paid, name="call", retry=Retry.never(), limit=limit)
    async def call(event: Paid) -> None:
        runs.append((event.order, event.n))
        if fails:
            raise ValueError

    return call


async def test_a_key_over_its_limit_parks_until_its_turn() -> None:
    """Its events wait in order, one turn after the other, and the other keys go on; nothing has failed."""
    runs: list[tuple[str, int]] = []
    async with staged() as stage:
        await stage.publish(Paid("a", 1), Paid("a", 2), Paid("b", 1), Paid("a", 3))
        counters = await stage.run(noting(runs, ONE_A_MINUTE))
        assert runs == [("a", 1), ("b", 1)]
        assert (counters.failures, counters.dead_lettered, counters.parked) == (0, 0, 1)
        for count in (3, 4):
            stage.clock.ahead_ms += MINUTE_MS
            async with stage.running(noting(runs, ONE_A_MINUTE)) as running:
                await until(lambda count=count: len(runs) == count)
                await stage.settled(running)
        assert runs[2:] == [("a", 2), ("a", 3)]
        assert stage.rows("$parking") == []


async def test_a_limit_moves_with_its_task() -> None:
    """A later owner knows what an earlier one has counted; a run that failed was one as well."""
    runs: list[tuple[str, int]] = []
    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        await stage.run(noting(runs, ONE_A_MINUTE, fails=True))
        await stage.command(Command(id="c", action="discard", handler="call", place=b"ka"))
        await stage.run(noting(runs, ONE_A_MINUTE))
        await stage.publish(Paid("a", 2))
        await stage.run(noting(runs, ONE_A_MINUTE))
        assert runs == [("a", 1)]


@pytest.mark.parametrize(
    "rule",
    [
        TokenBucket(limit=10, period_ms=1_000, capacity=1),
        LeakingQueue(limit=10, period_ms=1_000, places=5),
        FixedWindow(limit=1, period_ms=100),
        SlidingCounter(limit=1, period_ms=100),
    ],
)
async def test_a_short_wait_keeps_the_lane(rule: Rule) -> None:
    """A turn that comes within a second is waited for where the event is: nothing is parked."""
    runs: list[tuple[str, int]] = []
    async with staged() as stage:
        await stage.publish(*(Paid("a", n) for n in range(4)))
        began = stage.clock.monotonic()
        counters = await stage.run(noting(runs, Limit(rule)))
        assert [n for _, n in runs] == [0, 1, 2, 3]
        assert counters.parked == 0
        assert stage.clock.monotonic() - began > 0.15


async def test_a_limit_for_all_keys_is_shared_between_tasks() -> None:
    """Each task may do its share; keys wait for one another, and are not parked."""
    runs: list[tuple[str, int]] = []
    limit = Limit(TokenBucket(limit=40, period_ms=2_000, capacity=4), per="group")
    async with staged(orders=2) as stage:
        await stage.publish(*(Paid(f"k{n}", n) for n in range(12)))
        began = stage.clock.monotonic()
        async with stage.running(noting(runs, limit), tasks=2) as running:
            await until(lambda: len(runs) == 12)
            assert stage.clock.monotonic() - began > 0.2
            assert running.counters.parked == 0


async def test_a_task_may_do_no_more_than_its_share() -> None:
    """Of a limit for all keys that two tasks have, one may do the half, also when the other has nothing to do."""
    runs: list[tuple[str, int]] = []
    limit = Limit(TokenBucket(limit=4, period_ms=MINUTE_MS), per="group")
    waiting = Settings(commit_interval_ms=1, session_timeout_seconds=5.0, grace_seconds=0.01)
    async with staged(orders=2) as stage:
        await stage.publish(*(Paid("a", n) for n in range(5)))
        async with stage.running(noting(runs, limit), tasks=2, settings=waiting) as running:
            await until(lambda: len(runs) >= 2 and any(each.in_flight == 3 for each in running.runner.tasks.values()))
    assert [n for _, n in runs] == [0, 1]


def test_a_key_has_its_limit_whole() -> None:
    """Only what counts for all keys together is divided: a key is in one task. A queue has one place at least."""
    rule = TokenBucket(limit=5, period_ms=1_000)
    assert (Limit(rule).share(8), Limit(rule, per="group").share(1)) == (rule, rule)
    queue = LeakingQueue(limit=8, period_ms=1_000, places=2)
    assert Limit(queue, per="group").share(4) == LeakingQueue(limit=2, period_ms=1_000, places=1)


async def test_a_double_costs_no_turn() -> None:
    """An event that is passed over does not count."""
    runs: list[int] = []
    async with staged() as stage:

        @on(Paid, limit=ONE_A_MINUTE, deduplicate=Deduplicate("1d", by="n"))
        async def call(event: Paid) -> None:
            runs.append(event.n)

        await stage.publish(Paid("a", 1), Paid("a", 1))
        counters = await stage.run(call)
        assert (runs, counters.parked, counters.doubles) == ([1], 0, 1)


async def test_what_cannot_be_limited_is_refused() -> None:
    """A rule that grows, a share of nothing, a batch, what is no limit, and a group without memory."""
    with pytest.raises(DefinitionError, match="is no limit"):
        Limit(SlidingLog(limit=5, period_ms=1_000))  # type: ignore[arg-type]
    few = Limit(TokenBucket(limit=3, period_ms=1_000), per="group")
    with pytest.raises(DefinitionError, match="cannot be divided by 4"):
        few.share(4)
    assert few.share(3) == TokenBucket(limit=1, period_ms=1_000)
    with pytest.raises(DefinitionError, match="cannot be divided by 4"):
        Limit(TokenBucket(limit=40, period_ms=1_000, capacity=3), per="group").share(4)

    @on(Paid, limit=ONE_A_MINUTE)
    async def many(events: list[Paid]) -> None: ...

    @on(Paid, limit=ONE_A_MINUTE.rule)
    async def bare(event: Paid) -> None: ...

    async with staged() as stage:
        told = [
            str(faults_of(stage.plan(noting([], few), tasks=4))[0]),
            str(faults_of(stage.plan(many, lanes=1))[0]),
            str(faults_of(stage.plan(bare))[0]),
            str(faults_of(stage.plan(noting([], ONE_A_MINUTE), delivery="at_least_once"))[0]),
        ]
        for said, text in zip(told, ("divided by 4", "batch handler", "is no limit", "has a limit"), strict=True):
            assert text in said
