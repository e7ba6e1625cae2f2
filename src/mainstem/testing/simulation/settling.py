"""When is nothing left to do? The file is asked, as a stranger would ask it, and never the engine's own books."""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from mainstem.broker.sqlite import SqliteBroker
from mainstem.delivery import CRON, Plan
from mainstem.state import TaskState, timers
from mainstem.testing.simulation.loop import SimulationStuck
from mainstem.testing.simulation.machine import LATENCY_SECONDS
from mainstem.testing.simulation.worker import Scene

PATIENCE_SECONDS: Final = 60.0
"""If nothing happens for so long, nobody sleeps and something is left to do, it will never be done."""

LEAD_SECONDS: Final = 40.0
"""The wall clock is set to so much before the next timer: the engine looks at it every thirty seconds."""


_DAY_MS: Final = 86_400_000


class Left(NamedTuple):
    """What is left to do now, in words, and when the next durable timer is due."""

    work: list[str]
    due_ms: int | None
    waits: bool = False
    """Whether any timer is set but the next runs of schedules, behind each of which there is another."""


class Settling:
    """Lets time pass, for as long as something is left to do."""

    def __init__(self, scene: Scene, broker: SqliteBroker) -> None:
        """``broker`` belongs to none of the workers."""
        self._scene = scene
        self._broker = broker
        self._waiter: asyncio.Future[None] | None = None
        self._seen = -1
        self._since = 0.0
        self._work: list[str] = []
        scene.loop.at_rest = self._at_rest
        scene.loop.waiting = self._handlers_waiting

    async def settle(self, horizon_seconds: float) -> None:
        """Return when nothing is left to do. Raises :class:`SimulationStuck` when that is not within the horizon.

        The next run of a schedule is not waited for, because behind each there is another.
        """
        horizon_ms = self._now_ms() + round(horizon_seconds * 1_000)
        while not (left := await self._calm(horizon_ms)).work and left.waits:
            if left.due_ms is None or left.due_ms > horizon_ms:
                break
            await self._wait_for(left.due_ms)
        if left.work or (left.due_ms is not None and left.waits):
            raise SimulationStuck(
                f"something is left to do after {horizon_seconds:g} s",
                where="; ".join(left.work) or f"a timer is due at {left.due_ms}",
                why="a timer that sets itself again, or a retry that never succeeds, goes on for ever",
                remedy='let a stretch of time pass instead: world.advance("1h")',
            )

    async def quiet(self) -> None:
        """Return when nothing is in flight and nothing waits to be read."""
        left = await self._calm(self._now_ms() + _DAY_MS)
        if left.work:
            raise SimulationStuck("after a day there is something left to do", where="; ".join(left.work))

    async def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        end_ms = self._now_ms() + round(seconds * 1_000)
        while self._now_ms() < end_ms:
            left = await self._calm(end_ms)
            await self._wait_for(end_ms if left.due_ms is None else min(left.due_ms, end_ms))

    async def _calm(self, until_ms: int) -> Left:
        """Wait until nothing but timers is left, or until that time."""
        # What was called for, and has not reached the file yet, arrives first.
        await asyncio.sleep(LATENCY_SECONDS * 2)
        while (left := await self.left()).work and self._now_ms() < until_ms:
            self._work = left.work
            await self._change(until_ms)
        self._work = []
        return left

    async def _wait_for(self, wall_ms: int) -> None:
        """Nothing is left to do until then; somebody may be asleep who finds something."""
        self._skip_to(wall_ms)
        await self._change(min(wall_ms, self._now_ms() + round(PATIENCE_SECONDS * 1_000)))

    def _now_ms(self) -> int:
        return self._scene.loop.clock.now_ms()

    def _skip_to(self, wall_ms: int) -> None:
        """Nothing happens until then: the wall clock alone goes on, as for a machine that was suspended.

        So fourteen days cost no more than a minute. Whoever sleeps in the meantime does so by the loop's own time, and
        then every heartbeat in between is lived through.
        """
        loop = self._scene.loop
        rest = (wall_ms - self._now_ms()) / 1_000 - LEAD_SECONDS
        if rest > 0 and not loop.somebody_sleeps():
            loop.clock.jump(rest)

    async def _change(self, until_ms: int) -> None:
        """Wait until something has changed, or until that time."""
        loop = self._scene.loop
        self._since = loop.time()
        rest = max(0.0, (until_ms - self._now_ms()) / 1_000)
        over = loop.call_later(rest, self._time_is_over)
        self._waiter = loop.create_future()
        try:
            await self._waiter
        finally:
            over.cancel()
            self._waiter = None

    def _time_is_over(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _at_rest(self) -> bool:
        scene, waiter = self._scene, self._waiter
        if waiter is None or waiter.done():
            return False
        if wrong := [*scene.failures, *scene.loop.refused]:
            waiter.set_exception(wrong[0])
        elif scene.changes != self._seen:
            self._seen = scene.changes
            waiter.set_result(None)
        elif self._work and self._is_stuck():
            waiter.set_exception(self._stuck())
        else:
            return False
        return True

    def _is_stuck(self) -> bool:
        loop = self._scene.loop
        quiet = loop.time() - max(self._since, self._scene.trace.last_seconds)
        if quiet < PATIENCE_SECONDS or any(worker.returning for worker in self._scene.workers):
            return False
        return not loop.somebody_sleeps()

    def _stuck(self) -> SimulationStuck:
        waiting = [about for worker in self._scene.workers for about, _ in worker.waiting()]
        return SimulationStuck(
            "a handler waits for what never comes" if waiting else "nobody does what is left to do",
            where="; ".join(waiting or self._work),
            why=f"nothing has happened for {PATIENCE_SECONDS:g} s, and no timer is set that could wake anybody",
            remedy="look at what is awaited there; a simulation has nothing outside"
            if waiting
            else "read world.trace: a worker may have crashed for good, or an input may be paused",
        )

    def _handlers_waiting(self) -> str:
        """The handler whose code runs, or all that are waiting; without any, whatever task waits."""
        loop = self._scene.loop
        waiting = [each for worker in self._scene.workers for each in worker.waiting()]
        here = [about for about, task in waiting if task is not None and task is asyncio.current_task(loop)]
        return "; ".join(here or [about for about, _ in waiting]) or loop.tasks_waiting()

    async def left(self) -> Left:
        """What is left to do now."""
        admin = self._broker.admin
        work = [f"{each.name} is not there" for each in self._scene.workers if each.returning]
        work += [run.about for each in self._scene.workers for run in each.runs.open.values()]
        if work:
            return Left(work, None)
        plans = [plan for plan in self._plans() if plan.processors]
        groups = await admin.groups([plan.group for plan in plans])
        topics = await admin.topics({topic for plan in plans for topic in (*plan.partitions, plan.inbox)})
        due: list[int] = []
        waits = False
        for plan in plans:
            if plan.group not in groups:
                work.append(f"group {plan.group} has not begun")
                continue
            positions = groups[plan.group].positions
            for task in range(plan.tasks):
                for at in plan.inputs_of(task):
                    lag = topics[at.topic].ends[at.partition] - positions.get(at, -1)
                    if lag:
                        work.append(f"{lag} of {at.topic}[{at.partition}] in {plan.group}")
                state = TaskState(self._broker.rows(plan.group, task))
                first = timers.next_due_ms(state)
                due += [] if first is None else [first]
                waits = waits or any(not each.name.startswith(CRON) for each in timers.walk_due(state))
        now_ms = self._now_ms()
        work += [f"a timer is due since {each}" for each in due if each <= now_ms]
        return Left(work, min(due, default=None), waits)

    def _plans(self) -> Sequence[Plan]:
        return next((worker.plans for worker in self._scene.workers if worker.plans), ())
