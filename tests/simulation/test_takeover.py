"""Taking over, when the one who takes over is itself replaced before it has read what there is."""

import asyncio

from mainstem import Context, IntegrationEvent, Service
from mainstem.delivery.tasks import Task
from mainstem.testing import lose_ownership, simulate, simulated


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
    faults = [lose_ownership(Task._first_positions, stand_still=True)]
    async with simulate(questions, workers=2, faults=faults) as world:
        await world.publish(Asked("quick", 0))
        await world.advance("15s")
        assert world.value(answered, "quick") == 1
        await world.publish(Asked("slow", 60), Asked("quick", 0))
        await world.settle()
        assert {"stall", "go on"} <= {step.what for step in world.trace.steps}
        assert world.values(answered) == {b"quick": 2, b"slow": 1}
