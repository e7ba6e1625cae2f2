"""Lanes: events of one key run one after the other, different keys concurrently, without a task per event.

A pool of runner tasks, as many as lanes. A runner takes the next work whose key is free and awaits it in place; works
of a busy key queue behind it. One spare runner is always already scheduled: it runs only when the current one
suspends, and schedules the next spare. So handlers that never wait all stay in one runner, and each handler runs in a
real task, where ``asyncio.timeout`` and HTTP clients find the current task they need.

A work that stands and waits for something to come back takes no part in that count, for hours if need be: it keeps its
key and its runner, and another runner goes on in its place. Before it goes on itself it waits until there is room.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, cast

from mainstem.delivery.lanes.inside import enter_handlers

STOP_SECONDS = 5.0


class Work(Protocol):
    """Something to be done in the lane of a key (None: in any lane)."""

    @property
    def key(self) -> bytes | None:
        """The key whose lane it takes."""
        ...

    async def run(self) -> None:
        """Do it. What it raises ends the task it belongs to."""
        ...


class Lanes:
    """Runs works, at most ``count`` at a time, those of one key in the order they were added."""

    def __init__(
        self,
        count: int,
        failed: Callable[[BaseException], None],
        idle: Callable[[], None] = lambda: None,
        keeps: Callable[[Work], bool] = lambda _: True,
    ) -> None:
        """``failed`` hears what a work has raised: a defect of the runtime, not of a handler.

        ``idle`` is called when nothing is in flight any more; not for every work, but when a runner goes to rest.
        ``keeps`` says whether :meth:`hold` keeps back a work.
        """
        self.count = count
        """How many works run at a time."""
        self._free = count
        self._returning: deque[asyncio.Future[None]] = deque()
        self._keeps = keeps
        self.failed = failed
        self._idle = idle
        self._ready: deque[Work] = deque()
        self._kept: deque[Work] = deque()
        self.held = False
        """Whether events that have not begun are kept back."""
        self._busy: set[bytes] = set()
        self._waiting: dict[bytes, deque[Work]] = {}
        self._runners: list[asyncio.Task[None]] = []
        self._begun = 0
        self._resting: list[asyncio.Future[None]] = []
        self._spare = False
        self._stopped = False
        self._changed: asyncio.Future[None] | None = None
        self._wake_at = -1
        self.in_flight = 0
        """Works added and not finished."""
        self.running: dict[int, Work] = {}
        """What each runner is at, by runner number, for whoever looks for one that hangs."""

    def add(self, works: Iterable[Work]) -> None:
        """Queue works, in order."""
        before = len(self._ready)
        self._ready.extend(works)
        self.in_flight += len(self._ready) - before
        if self._ready and not self._spare:
            self._call_spare()

    def hold(self) -> None:
        """Keep back what has not begun and is to be kept; what is added from now on runs."""
        if not self.held:
            self.held = True
            works = tuple(self._ready)
            self._ready.clear()
            for work in works:
                (self._kept if self._keeps(work) else self._ready).append(work)

    def let_go(self) -> None:
        """Go on with what was kept back, before anything else."""
        self.held = False
        self._ready.extendleft(reversed(self._kept))
        self._kept.clear()
        if self._ready and not self._spare:
            self._call_spare()

    async def at_most(self, count: int, unless: Callable[[], bool] = lambda: False) -> None:
        """Return when at most ``count`` works are in flight; also when :meth:`stir` finds ``unless`` true."""
        while self.in_flight > count and not unless():
            if self._changed is None:
                self._changed = asyncio.get_running_loop().create_future()
            self._wake_at = max(self._wake_at, count)
            # Several may wait for it, and one of them may give up.
            await asyncio.shield(self._changed)

    def claim(self, keys: Iterable[bytes]) -> set[bytes]:
        """Take lanes for work done elsewhere; returns the keys that are free, with nothing queued for them."""
        free = set(keys) - self._busy
        if self._ready:
            free.difference_update([work.key for work in self._ready if work.key is not None])
        self._busy |= free
        return free

    def claimed(self, count: int) -> None:
        """So many events of claimed keys are in flight."""
        self.in_flight += count

    def finished(self, count: int) -> None:
        """So many events of claimed keys are done."""
        self.in_flight -= count
        self._tell()

    def step_aside(self) -> None:
        """The work that calls this stands from now on: it is not in flight, and another may run in its place."""
        self.finished(1)
        self._make_room()

    async def step_in(self, *, at_once: bool = False) -> None:
        """It goes on, as soon as there is room: before what has not begun, and in the order they come back."""
        self.in_flight += 1
        if at_once or self._free > 0:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._returning.append(turn)
        await turn

    @property
    def first(self) -> Work | None:
        """What is to begin next; None when nothing waits for a lane."""
        return self._ready[0] if self._ready else None

    def queued(self, key: bytes) -> Sequence[Work]:
        """What waits for the lane of a key to be free, in order."""
        return tuple(self._waiting.get(key, ()))

    def release(self, keys: Iterable[bytes], first: Iterable[Work] = ()) -> None:
        """Free claimed lanes; ``first`` come next in them, in order, before what has queued up behind."""
        queue = deque(first)
        self.in_flight += len(queue)
        for key in keys:
            self._busy.discard(key)
            queue.extend(self._waiting.pop(key, ()))
        self._ready.extendleft(reversed(queue))
        if self._ready and not self._spare:
            self._call_spare()

    def stir(self) -> None:
        """Let those who wait look again."""
        self._wake_at = self.in_flight
        self._tell()

    def forget_queued(self) -> None:
        """Abandon what has not begun; what has goes on."""
        count = len(self._ready) + len(self._kept) + sum(map(len, self._waiting.values()))
        self._ready.clear()
        self._kept.clear()
        for queue in self._waiting.values():
            queue.clear()
        self.finished(count)

    async def stop(self) -> None:
        """Abandon everything that is not finished. A work that does not let itself be cancelled is left behind."""
        self._stopped = True
        self._ready.clear()
        self._kept.clear()
        self._waiting.clear()
        runners = [each for each in self._runners if each is not asyncio.current_task()]
        for runner in runners:
            runner.cancel()
        if runners:
            await asyncio.wait(runners, timeout=STOP_SECONDS)
        self._runners.clear()
        self._resting.clear()
        self.running.clear()
        self.in_flight = 0
        self._tell()

    # -- the runners

    def _make_room(self) -> None:
        while self._returning:
            turn = self._returning.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
        if self._ready and not self._spare:
            self._call_spare()

    def _call_spare(self) -> bool:
        """Have another runner scheduled, if there is room; whether somebody who comes back waits for it."""
        if self._free <= 0:
            return bool(self._returning)
        self._free -= 1
        self._spare = True
        if self._resting:
            self._resting.pop().set_result(None)
        else:
            number = self._begun
            self._begun += 1
            runner = asyncio.get_running_loop().create_task(self._run(number), name=f"lane {number}")
            self._runners.append(runner)
        return False

    async def _run(self, number: int) -> None:
        enter_handlers(lambda: self._stopped)
        runner = cast("asyncio.Task[None]", asyncio.current_task())
        try:
            while True:
                self._spare = False
                await self._work_off(number, runner)
                if self._stopped:
                    return
                if len(self._resting) >= self.count:
                    # One of those that went on in place of others that stood.
                    self._runners.remove(runner)
                    self._leave()
                    return
                await self._rest(runner)
        except asyncio.CancelledError:
            if not self._stopped and number in self.running:
                self.failed(RuntimeError(f"lane {number} was cancelled by something that a handler has left behind"))
            raise
        except BaseException as error:  # noqa: BLE001 - handed on: the task ends with it
            self.failed(error)

    async def _rest(self, runner: "asyncio.Task[None]") -> None:
        rest = asyncio.get_running_loop().create_future()
        self._resting.append(rest)
        self._leave()
        try:
            await rest
        except asyncio.CancelledError:
            if rest in self._resting:
                # Nobody counts on this one: another takes its place when one is needed.
                self._resting.remove(rest)
                self._runners.remove(runner)
                raise
            await self._shake_off(runner)

    def _leave(self) -> None:
        self._make_room()
        self._tell()
        if not self.in_flight:
            self._idle()

    async def _shake_off(self, runner: "asyncio.Task[None]") -> None:
        """Let a cancellation that is a handler's own doing end with that handler; one that ends the lanes goes on."""
        if self._stopped:
            raise asyncio.CancelledError
        while runner.uncancel():
            pass
        try:
            # One that was asked for and has not arrived yet arrives here.
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if self._stopped:
                raise

    async def _work_off(self, number: int, runner: "asyncio.Task[None]") -> None:
        ready, busy, waiting, running = self._ready, self._busy, self._waiting, self.running
        cancelling = runner.cancelling
        while ready:
            if cancelling():
                await self._shake_off(runner)
                continue
            if not self._spare and self._call_spare():
                break
            work = ready.popleft()
            key = work.key
            if key is None:
                running[number] = work
                await work.run()
            elif key in busy:
                waiting.setdefault(key, deque()).append(work)
                continue
            else:
                busy.add(key)
                running[number] = work
                await work.run()
                if waiting:
                    await self._work_off_waiting(key, number, runner)
                busy.discard(key)
            self.in_flight -= 1
            if self.in_flight <= self._wake_at:
                self._tell()
        running.pop(number, None)

    async def _work_off_waiting(self, key: bytes, number: int, runner: "asyncio.Task[None]") -> None:
        queue = self._waiting.get(key)
        while queue:
            if runner.cancelling():
                await self._shake_off(runner)
            if not self._spare:
                self._call_spare()
            work = queue.popleft()
            self.running[number] = work
            await work.run()
            self.in_flight -= 1
            if self.in_flight <= self._wake_at:
                self._tell()
        self._waiting.pop(key, None)

    def _tell(self) -> None:
        if self._changed is not None and self.in_flight <= self._wake_at:
            changed, self._changed, self._wake_at = self._changed, None, -1
            if not changed.done():
                changed.set_result(None)
