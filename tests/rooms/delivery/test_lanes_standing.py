"""Works that stand until something has come back, and works that are kept back: who goes on, and in which order."""

import asyncio

from mainstem.delivery.lanes import Lanes, Work
from tests.rooms.delivery.test_pool import Stage, Step


class Standing(Stage):
    """Lanes, and works in them that stand until they are called."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.lanes = Lanes(count, self.failures.append, keeps=lambda work: work.key != b"command")
        self.stands: dict[int, asyncio.Event] = {}
        self.calls: dict[int, asyncio.Event] = {}

    def standing(self, number: int, *, at_once: bool = False) -> Work:
        """A work that stands when it is told to, goes on when it is called, and ends at its door."""
        step = Step(None, number, self.diary)
        stands, called, door = (asyncio.Event() for _ in range(3))
        self.stands[number], self.calls[number], self.doors[number] = stands, called, door

        async def wait() -> None:
            await stands.wait()
            self.lanes.step_aside()
            await called.wait()
            await self.lanes.step_in(at_once=at_once)
            self.diary.append(("goes on", number))
            await door.wait()

        step.wait = wait
        return step

    async def stand(self, number: int) -> None:
        """Let a work stand."""
        self.stands[number].set()
        await self.turn()

    async def call(self, number: int) -> None:
        """Let one that stands go on."""
        self.calls[number].set()
        await self.turn()

    async def end(self, number: int) -> None:
        """Let a work end."""
        self.doors[number].set()
        await self.turn()

    @property
    def gone_on(self) -> list[int]:
        """Those that stood and have gone on."""
        return [number for what, number in self.diary if what == "goes on"]


async def test_another_goes_on_in_its_place() -> None:
    """What was queued behind it begins as soon as it stands, and it is not in flight until it goes on."""
    stage = Standing(1)
    stage.lanes.add([stage.standing(1), stage.quick(b"a", 2)])
    await stage.turn()
    assert (stage.begun, stage.lanes.in_flight) == ([1], 2)
    await stage.stand(1)
    assert (stage.begun, stage.lanes.in_flight) == ([1, 2], 0)
    await stage.lanes.at_most(0)
    await stage.call(1)
    assert (stage.gone_on, stage.lanes.in_flight) == ([1], 1)
    await stage.lanes.stop()


async def test_it_goes_on_when_there_is_room_and_before_what_has_not_begun() -> None:
    """As many run at a time as there are lanes; those that come back do so in the order in which they were called."""
    stage = Standing(1)
    stage.lanes.add([stage.standing(1), stage.standing(2), stage.blocked(b"a", 3), stage.quick(b"b", 4)])
    await stage.turn()
    await stage.stand(1)
    await stage.stand(2)
    assert stage.begun == [1, 2, 3]
    await stage.call(2)
    await stage.call(1)
    assert stage.gone_on == []
    await stage.end(3)
    assert (stage.gone_on, stage.begun) == ([2], [1, 2, 3])
    await stage.end(2)
    assert (stage.gone_on, stage.begun) == ([2, 1], [1, 2, 3])
    await stage.end(1)
    assert stage.begun == [1, 2, 3, 4]
    assert (stage.lanes.in_flight, stage.failures) == (0, [])


async def test_one_that_has_come_back_takes_a_lane_again() -> None:
    """What is added then waits for it, however long it stood with nothing beside it."""
    stage = Standing(1)
    stage.lanes.add([stage.standing(1)])
    await stage.turn()
    await stage.stand(1)
    await stage.call(1)
    stage.lanes.add([stage.quick(b"a", 2)])
    await stage.turn()
    assert (stage.gone_on, stage.begun) == ([1], [1])
    await stage.end(1)
    assert stage.begun == [1, 2]


async def test_one_that_is_given_up_waits_for_nobody() -> None:
    """It comes back at once, to end, however many are at work."""
    stage = Standing(1)
    stage.lanes.add([stage.standing(1, at_once=True), stage.blocked(b"a", 2), stage.quick(b"b", 3)])
    await stage.turn()
    await stage.stand(1)
    await stage.call(1)
    assert (stage.gone_on, stage.begun) == ([1], [1, 2])
    await stage.end(1)
    await stage.end(2)
    assert (stage.begun, stage.lanes.in_flight) == ([1, 2, 3], 0)


async def test_what_is_kept_back_begins_when_it_is_let_go() -> None:
    """What is added meanwhile runs, and commands do; what was kept comes first afterwards, and may be kept again."""
    stage = Standing(1)
    stage.lanes.add([stage.blocked(b"a", 1), stage.quick(b"b", 2), stage.quick(b"command", 3), stage.quick(b"c", 4)])
    await stage.turn()
    stage.lanes.hold()
    stage.lanes.hold()
    await stage.end(1)
    assert (stage.begun, stage.lanes.held, stage.lanes.in_flight) == ([1, 3], True, 2)
    stage.lanes.add([stage.blocked(b"d", 5), stage.quick(b"e", 6)])
    await stage.turn()
    stage.lanes.let_go()
    await stage.end(5)
    assert (stage.begun, stage.lanes.held) == ([1, 3, 5, 2, 4, 6], False)
    stage.lanes.add([stage.blocked(b"a", 7), stage.quick(b"b", 8)])
    await stage.turn()
    stage.lanes.hold()
    await stage.end(7)
    assert stage.begun[6:] == [7]
    stage.lanes.let_go()
    await stage.turn()
    assert stage.begun[6:] == [7, 8]


async def test_what_is_kept_back_is_forgotten_with_what_is_queued() -> None:
    """A task that drains begins nothing of it any more, and nobody waits for it."""
    stage = Standing(1)
    stage.lanes.add([stage.blocked(b"a", 1), stage.quick(b"b", 2)])
    await stage.turn()
    stage.lanes.hold()
    stage.lanes.forget_queued()
    stage.lanes.let_go()
    await stage.end(1)
    assert (stage.begun, stage.lanes.in_flight) == ([1], 0)
