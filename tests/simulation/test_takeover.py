"""Taking over, when the one who takes over is itself replaced before it has read what there is."""

import asyncio

import pytest

from mainstem import Context, IntegrationEvent, Service
from mainstem.delivery.tasks import Task
from mainstem.errors import CommitRefused
from mainstem.testing import lose_answer, lose_ownership, refuse_commit, simulate, simulated


class Asked(IntegrationEvent, topic="questions", key="who"):
    who: str
    seconds: float


questions = Service("questions")
questions.topic("questions", partitions=1)
answered = questions.store("answered", int)


@questions.on(Asked)
async def answer(asked: Asked, context: Context) -> None:
    """Think, and count."""
    await asyncio.sleep(asked.seconds)
    context.put(answered, context.get(answered, 0) + 1)


@simulated
async def test_an_owner_that_was_replaced_before_it_read_is_fenced() -> None:
    """Its positions are as of its take-over, and the stores as of now: that they disagree is no fault of the file."""
    faults = [lose_ownership(Task._prepare, stand_still=True)]
    async with simulate(questions, workers=2, faults=faults) as world:
        await world.publish(Asked("quick", 0))
        await world.advance("15s")
        assert world.value(answered, "quick") == 1
        await world.publish(Asked("slow", 60), Asked("quick", 0))
        await world.settle()
        assert {"stall", "go on"} <= {step.what for step in world.trace.steps}
        assert world.values(answered) == {b"quick": 2, b"slow": 1}


@simulated
async def test_an_owner_that_was_replaced_before_its_first_commit_is_fenced() -> None:
    """It finds no position, and that the topics were read before: by whoever came after it."""
    async with simulate(questions, workers=2, faults=[lose_ownership("commit.cut", stand_still=True)]) as world:
        await world.advance("15s")
        await world.publish(Asked("quick", 0))
        await world.settle()
        assert {"stall", "go on"} <= {step.what for step in world.trace.steps}
        assert world.values(answered) == {b"quick": 1}


@simulated
async def test_answers_lost_now_and_then_stop_nobody() -> None:
    """Three losses in a row mean that something else is wrong; three in a long life, with work done between, do not."""
    faults = [
        lose_answer(happened=happened, skip=skip) for skip, happened in ((3, True), (8, False), (13, True), (18, False))
    ]
    async with simulate(questions, faults=faults) as world:
        for _ in range(20):
            await world.publish(Asked("somebody", 0))
            await world.advance("1s")
        assert sum(step.what == "commit failed" for step in world.trace.steps) == 4
        assert world.value(answered, "somebody") == 20


@simulated
async def test_a_commit_that_has_happened_is_progress_although_its_answer_was_lost() -> None:
    """Whoever takes over again and finds the positions moved has got on, and such losses do not add up."""
    faults = [lose_answer(happened=True, skip=skip) for skip in (1, 3, 5, 7)]
    async with simulate(questions, faults=faults) as world:
        for _ in range(8):
            await world.publish(Asked("somebody", 0))
            await world.advance("1s")
        assert sum(step.what == "commit failed" for step in world.trace.steps) == 4
        assert world.value(answered, "somebody") == 8


@simulated
async def test_an_owner_that_was_replaced_does_not_count_it_as_a_loss() -> None:
    """Whoever is fenced because the task is another's now has nothing to complain of, also after two real losses."""
    async with simulate(questions, workers=2, faults=[lose_answer(happened=True, times=2, skip=1)]) as world:
        world.crash(1, restart_after="5s")
        await world.publish(Asked("somebody", 0))
        await world.advance("10s")
        await world.publish(Asked("somebody", 15))
        await world.advance("1s")
        world.lose_ownership(0)
        await world.settle()
        failed = [step.process for step in world.trace.steps if step.what == "commit failed"]
        assert failed == ["worker 0"] * 3
        assert world.value(answered, "somebody") == 2


@simulated
async def test_three_losses_in_a_row_stop_a_worker() -> None:
    """A task that is lost again and again, without anything done between, ends its process with a named error."""
    with pytest.raises(CommitRefused, match="was lost 3 times"):
        async with simulate(questions, faults=[refuse_commit(times=3)]) as world:
            await world.settle()
