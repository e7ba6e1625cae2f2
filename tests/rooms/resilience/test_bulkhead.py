"""Bulkhead: active, pending and connections."""

import asyncio
import random

import pytest

from mainstem.errors import BulkheadFull, DefinitionError
from mainstem.resilience import Bulkhead, BulkheadRule, BulkheadState
from mainstem.testing import simulated


@simulated
async def test_so_many_run_so_many_wait_and_no_more() -> None:
    """Two at a time, three waiting in the order of arrival; the sixth is refused at once."""
    bulkhead = Bulkhead(BulkheadRule(active=2, pending=3, pending_seconds=60), name="bank")
    running = most = 0
    order = list[int]()

    @bulkhead
    async def charge(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        order.append(number)
        await asyncio.sleep(1)
        running -= 1

    answers = await asyncio.gather(*(charge(number) for number in range(7)), return_exceptions=True)
    assert (most, order) == (2, [0, 1, 2, 3, 4])
    assert [type(each) for each in answers[5:]] == [BulkheadFull, BulkheadFull]
    assert bulkhead.state == BulkheadState()


@simulated
async def test_nobody_waits_for_ever() -> None:
    """After its time a call is refused, and its place in the queue is free again."""
    bulkhead = Bulkhead(BulkheadRule(active=1, pending=1, pending_seconds=2))
    async with bulkhead.call():
        with pytest.raises(BulkheadFull, match="within 2 s"):
            async with bulkhead.call():
                pytest.fail("it has begun")
        assert bulkhead.state == BulkheadState(active=1)
    async with bulkhead.call():
        assert bulkhead.state == BulkheadState(active=1)


@simulated
async def test_nobody_overtakes_who_waits() -> None:
    """A place that becomes free belongs to the one who has waited longest, also when somebody asks at that moment."""
    bulkhead = Bulkhead(BulkheadRule(active=1, pending=2))
    order = list[str]()

    async def ask(name: str) -> None:
        async with bulkhead.call():
            order.append(name)

    async with bulkhead.call():
        early = asyncio.create_task(ask("early"))
        await asyncio.sleep(0)
    await ask("late")
    await early
    assert order == ["early", "late"]


@pytest.mark.parametrize("seed", range(40))
def test_places_are_never_lost(seed: int) -> None:
    """Calls that end, fail, run out of time and are cancelled at any moment: afterwards all places are free."""
    chance = random.Random(seed)

    @simulated
    async def storm() -> None:
        bulkhead = Bulkhead(BulkheadRule(active=2, pending=4, pending_seconds=0.02))
        running = 0

        @bulkhead
        async def call() -> None:
            nonlocal running
            running += 1
            assert running <= 2
            try:
                await asyncio.sleep(chance.choice((0, 0.01, 0.02)))
                if chance.random() < 0.3:
                    raise OSError("away")
            finally:
                running -= 1

        tasks = list[asyncio.Task[None]]()
        for _ in range(60):
            tasks.append(asyncio.create_task(call()))
            if chance.random() < 0.4:
                tasks[chance.randrange(len(tasks))].cancel()
            await asyncio.sleep(chance.choice((0, 0, 0.01)))
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        expected = (OSError, BulkheadFull, asyncio.CancelledError, type(None))
        assert [each for each in ended if not isinstance(each, expected)] == []
        assert bulkhead.state == BulkheadState()
        assert not bulkhead._waiting

    storm()


def test_connections_are_counted_for_themselves() -> None:
    """As many as stated, for as long as they are open; without a limit, any number."""
    bulkhead = Bulkhead(BulkheadRule(active=1, connections=2))
    with bulkhead.connection(), bulkhead.connection():
        with pytest.raises(BulkheadFull, match="connections"), bulkhead.connection():
            pytest.fail("it is open")
        assert bulkhead.state == BulkheadState(connections=2)
    with Bulkhead().connection():
        assert bulkhead.state == BulkheadState()


@pytest.mark.parametrize("fault", [{"active": 0}, {"pending": -1}, {"connections": -1}, {"pending_seconds": 0}])
def test_a_bulkhead_that_nobody_could_pass_is_refused(fault: dict[str, int]) -> None:
    """A mistake is reported where the rule is made."""
    with pytest.raises(DefinitionError):
        BulkheadRule(**fault)
