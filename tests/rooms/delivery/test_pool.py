"""Lanes: order within a key, concurrency across keys, no task per event."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mainstem.delivery.lanes import Lanes, inside_handler, pool

KEYS = st.sampled_from([None, b"a", b"b", b"c", b"d"])


class Step:
    """A work that does what it is told and writes down when."""

    def __init__(self, key: bytes | None, number: int, diary: list[tuple[str, int]]) -> None:
        """Wait for nothing."""
        self.key = key
        self.number = number
        self.diary = diary
        self.wait: Callable[[], Awaitable[object]] | None = None

    async def run(self) -> None:
        """Begin, wait, end."""
        self.diary.append(("begins", self.number))
        if self.wait is not None:
            await self.wait()
        self.diary.append(("ends", self.number))


class Stage:
    """Lanes with works that wait until they are let go."""

    def __init__(self, count: int) -> None:
        """As many lanes."""
        self.failures: list[BaseException] = []
        self.lanes = Lanes(count, self.failures.append)
        self.diary: list[tuple[str, int]] = []
        self.doors: dict[int, asyncio.Event] = {}

    def blocked(self, key: bytes | None, number: int) -> Step:
        """A work that waits at a door."""
        step = Step(key, number, self.diary)
        self.doors[number] = asyncio.Event()
        step.wait = self.doors[number].wait
        return step

    def quick(self, key: bytes | None, number: int) -> Step:
        """A work that waits for nothing."""
        return Step(key, number, self.diary)

    async def turn(self) -> None:
        """Let everything happen that can."""
        for _ in range(20):
            await asyncio.sleep(0)

    @property
    def begun(self) -> list[int]:
        """The works that have begun, in order."""
        return [number for what, number in self.diary if what == "begins"]


def yielding(turns: int) -> Callable[[], Awaitable[object]]:
    """Something to wait for that takes so many turns of the loop."""

    async def wait() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    return wait


def check_diary(diary: list[tuple[str, int]], works: list[Step], count: int) -> None:
    """Every work ran once, those of a key in order and alone, at most so many at a time."""
    begun = [number for what, number in diary if what == "begins"]
    assert sorted(begun) == list(range(len(works)))
    running: set[int] = set()
    for what, number in diary:
        if what == "ends":
            running.remove(number)
            continue
        key = works[number].key
        assert key is None or all(works[other].key != key for other in running)
        running.add(number)
        assert len(running) <= count
    for key in {work.key for work in works} - {None}:
        mine = [number for number in begun if works[number].key == key]
        assert mine == sorted(mine)
    if count == 1:
        assert begun == sorted(begun)


@given(
    chunks=st.lists(st.lists(st.tuples(KEYS, st.integers(0, 4)), max_size=8), min_size=1, max_size=6),
    count=st.integers(1, 5),
    pauses=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    room=st.integers(0, 6),
)
@settings(max_examples=200)
def test_any_mix(chunks: list[list[tuple[bytes | None, int]]], count: int, pauses: list[int], room: int) -> None:
    """Whatever is added whenever: keys keep their order, lanes their number, everything is done and every wait ends."""

    async def play() -> None:
        stage = Stage(count)
        works: list[Step] = []
        for chunk, pause in zip(chunks, pauses, strict=False):
            added: list[Step] = []
            for key, turns in chunk:
                step = stage.quick(key, len(works) + len(added))
                step.wait = yielding(turns) if turns else None
                added.append(step)
            works += added
            stage.lanes.add(added)
            for _ in range(pause):
                await asyncio.sleep(0)
            await stage.lanes.at_most(room)
            assert stage.lanes.in_flight <= room
        await stage.lanes.at_most(0)
        check_diary(stage.diary, works, count)
        assert stage.failures == []
        await stage.lanes.stop()

    asyncio.run(asyncio.wait_for(play(), 10))


async def test_as_many_keys_as_lanes_are_in_progress() -> None:
    """With keys enough every lane is busy, none more; and each that gets free goes on with the next."""
    stage = Stage(4)
    stage.lanes.add([stage.blocked(b"%d" % n, n) for n in range(10)])
    await stage.turn()
    assert stage.begun == [0, 1, 2, 3]
    stage.doors[2].set()
    await stage.turn()
    assert stage.begun == [0, 1, 2, 3, 4]
    for door in stage.doors.values():
        door.set()
    await stage.lanes.at_most(0)
    assert sorted(stage.begun) == list(range(10))


async def test_a_key_that_waits_keeps_nobody_else_waiting() -> None:
    """Works queued behind a busy key take no lane, so other keys run past them."""
    stage = Stage(2)
    stage.lanes.add([stage.blocked(b"slow", n) for n in range(5)] + [stage.quick(b"other", n) for n in range(5, 8)])
    await stage.turn()
    assert stage.begun == [0, 5, 6, 7]
    assert stage.lanes.in_flight == 5
    await stage.lanes.stop()


async def test_keyless_works_take_any_lane() -> None:
    """Without a key there is no order, and nothing to wait for but a lane."""
    stage = Stage(3)
    stage.lanes.add([stage.blocked(None, n) for n in range(5)])
    await stage.turn()
    assert stage.begun == [0, 1, 2]
    await stage.lanes.stop()


async def test_a_single_lane_keeps_the_read_order() -> None:
    """With one lane, works run one after the other as they were added, whatever their keys and however they wait."""
    stage = Stage(1)
    steps = [stage.quick(key, number) for number, key in enumerate([b"a", b"b", None, b"a", None, b"b"])]
    for step, turns in zip(steps, [3, 0, 2, 0, 1, 5], strict=True):
        step.wait = yielding(turns)
    stage.lanes.add(steps[:4])
    await asyncio.sleep(0)
    stage.lanes.add(steps[4:])
    await stage.lanes.at_most(0)
    assert stage.diary == [(what, number) for number in range(6) for what in ("begins", "ends")]


async def test_a_work_runs_in_a_real_task() -> None:
    """What needs the current task finds it: a time-out inside a work ends the wait, and the lane goes on."""
    stage = Stage(2)
    seen: list[object] = []

    async def wait() -> None:
        seen.append(asyncio.current_task())
        seen.append(inside_handler())
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append("timed out")

    step = stage.quick(b"k", 0)
    step.wait = wait
    stage.lanes.add([step, stage.quick(b"k", 1)])
    await stage.lanes.at_most(0)
    assert isinstance(seen[0], asyncio.Task)
    assert seen[1:] == [True, "timed out"]
    assert not inside_handler()
    assert stage.begun == [0, 1]


async def test_works_that_do_not_wait_cost_no_tasks() -> None:
    """Ten thousand works that never suspend run in the task of one lane; a second one stands by."""
    loop = asyncio.get_running_loop()
    made: list[str] = []

    def count(
        loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, object], **options: Any
    ) -> asyncio.Task[object]:
        made.append(repr(coroutine))
        return asyncio.Task(coroutine, loop=loop, **options)

    stage = Stage(64)
    loop.set_task_factory(count)  # type: ignore[arg-type]
    for start in range(0, 10_000, 500):
        stage.lanes.add([stage.quick(b"%d" % (n % 50), n) for n in range(start, start + 500)])
        await stage.lanes.at_most(0)
    loop.set_task_factory(None)
    assert len(stage.begun) == 10_000
    assert len(made) <= 2


async def test_everyone_who_waits_is_woken() -> None:
    """Several may wait for different fillings at once; one that gives up takes nobody with it."""
    stage = Stage(8)
    stage.lanes.add([stage.blocked(None, n) for n in range(8)])
    waiting = [asyncio.create_task(stage.lanes.at_most(count)) for count in (0, 5, 2, 7, 2)]
    await stage.turn()
    waiting[2].cancel()
    done: list[list[bool]] = []
    for number in range(8):
        stage.doors[number].set()
        await stage.turn()
        done.append([each.done() for each in waiting])
    assert done[0] == [False, False, True, True, False]
    assert done[2] == [False, True, True, True, False]
    assert done[5] == [False, True, True, True, True]
    assert done[7] == [True] * 5


async def test_a_claimed_lane_is_busy() -> None:
    """While a key is claimed its works queue up; released, the ones given come first, then the queue, in order."""
    stage = Stage(4)
    lanes = stage.lanes
    assert lanes.claim([b"a", b"b"]) == {b"a", b"b"}
    lanes.claimed(3)
    assert lanes.claim([b"a", b"c"]) == {b"c"}
    lanes.add([stage.quick(b"a", 2), stage.quick(b"a", 3), stage.quick(b"d", 4)])
    await stage.turn()
    assert stage.begun == [4]
    lanes.add([stage.quick(b"a", 5)])
    lanes.release([b"a"], [stage.quick(b"a", 0), stage.quick(b"a", 1)])
    lanes.finished(2)
    await stage.turn()
    assert stage.begun == [4, 0, 1, 2, 3, 5]
    assert lanes.in_flight == 1
    lanes.release([b"b", b"c"])
    lanes.finished(1)
    await lanes.at_most(0)


async def test_a_key_with_works_in_the_queue_is_not_free() -> None:
    """A key that has works waiting for a lane cannot be claimed: who claimed it would overtake them."""
    stage = Stage(1)
    stage.lanes.add([stage.blocked(b"x", 0), stage.quick(b"a", 1), stage.quick(None, 2)])
    await stage.turn()
    assert stage.lanes.claim([b"a", b"b", b"x"]) == {b"b"}
    await stage.lanes.stop()


async def test_released_keys_keep_the_order_across_keys() -> None:
    """With a single lane, what is handed back goes on in the order it is given in."""
    stage = Stage(1)
    stage.lanes.claim([b"a", b"b"])
    stage.lanes.claimed(4)
    stage.lanes.release([b"a", b"b"], [stage.quick(key, n) for n, key in enumerate([b"b", b"a", b"b", b"a"])])
    stage.lanes.finished(4)
    await stage.lanes.at_most(0)
    assert stage.begun == [0, 1, 2, 3]


async def test_stopping_abandons_what_is_not_finished() -> None:
    """Works that run are cancelled, those that wait never begin, and who waits for the end hears of it."""
    stage = Stage(2)
    stage.lanes.add([stage.blocked(b"a", 0), stage.quick(b"a", 1), stage.blocked(None, 2), stage.blocked(None, 3)])
    waiter = asyncio.create_task(stage.lanes.at_most(0))
    await stage.turn()
    await stage.lanes.stop()
    await asyncio.wait_for(waiter, 1)
    assert (stage.begun, stage.lanes.in_flight, stage.failures) == ([0, 2], 0, [])
    assert [each for each in asyncio.all_tasks() if each.get_name().startswith("lane")] == []


async def test_a_work_that_refuses_to_stop_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that swallows its cancellation is left behind after a while, and its lane does not go on."""
    monkeypatch.setattr(pool, "STOP_SECONDS", 0.005)
    stage = Stage(1)
    end = asyncio.Event()

    async def stubborn() -> None:
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue

    step = stage.quick(b"a", 0)
    step.wait = stubborn
    stage.lanes.add([step, stage.quick(b"b", 1)])
    await stage.turn()
    await stage.lanes.stop()
    end.set()
    await stage.turn()
    assert stage.begun == [0]
    assert [each for each in asyncio.all_tasks() if each.get_name().startswith("lane")] == []


async def test_what_a_work_raises_is_heard() -> None:
    """A work that raises is a defect of the runtime: whoever owns the lanes is told."""
    stage = Stage(2)
    error = RuntimeError("a defect")

    async def fail() -> None:
        raise error

    step = stage.quick(b"a", 0)
    step.wait = fail
    stage.lanes.add([step])
    await stage.turn()
    assert stage.failures == [error]


async def test_it_can_be_seen_what_runs() -> None:
    """While a work waits it is listed, so that one that hangs can be named."""
    stage = Stage(3)
    works = [stage.blocked(b"a", 0), stage.blocked(b"a", 1), stage.blocked(None, 2)]
    stage.lanes.add(works)
    await stage.turn()
    assert {step.number for step in stage.lanes.running.values() if isinstance(step, Step)} == {0, 2}
    for number in (0, 1, 2):
        stage.doors[number].set()
    await stage.lanes.at_most(0)
    await stage.turn()
    assert stage.lanes.running == {}


async def test_idle_is_told_when_nothing_is_left() -> None:
    """Whoever owns the lanes hears of it when the last work is done, and not for each work before."""
    told: list[int] = []
    stage = Stage(2)
    stage.lanes = Lanes(2, stage.failures.append, lambda: told.append(stage.lanes.in_flight))
    stage.lanes.add([stage.quick(None, n) for n in range(50)] + [stage.blocked(b"a", 50), stage.quick(b"a", 51)])
    await stage.turn()
    assert told == []
    stage.doors[50].set()
    await stage.turn()
    assert told in ([0], [0, 0])
