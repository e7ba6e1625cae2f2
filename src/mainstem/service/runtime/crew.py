"""The groups of a process while they run."""

import asyncio
from typing import Final

from mainstem.delivery import GroupRunner
from mainstem.errors import MainstemError
from mainstem.telemetry import log

TELL_SECONDS: Final = 3.0
"""Of whoever drains for longer it is said again and again, this far apart, what it waits for."""


class Crew:
    """The groups that run. When one of them fails, whoever waits in the block is woken, and gets its error."""

    def __init__(self) -> None:
        self.runners: list[GroupRunner] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._host: asyncio.Task[object] | None = None
        self._error: BaseException | None = None
        self._woken = False
        self._cancelling = 0

    async def __aenter__(self) -> None:
        if self._error is not None:
            raise self._error
        self._host = asyncio.current_task()
        self._cancelling = self._host.cancelling() if self._host is not None else 0
        for runner in self.runners:
            task = asyncio.create_task(runner.run())
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def stand(self, timeout_seconds: float) -> None:
        """Wait until each group runs what is assigned to it, but not for an owner that drains for long."""
        try:
            async with asyncio.timeout(timeout_seconds):
                for runner in self.runners:
                    await runner.standing()
        except TimeoutError:
            log.info("not all tasks have been taken over after %g s; going on", timeout_seconds)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        host, self._host = self._host, None
        for runner in self.runners:
            runner.drain()
        await self._drained()
        if self._error is None or host is None:
            return
        cancelled = host.uncancel() if self._woken else host.cancelling()
        if kind is None or (issubclass(kind, asyncio.CancelledError) and cancelled <= self._cancelling):
            # Nobody else has cancelled this task, and no other error is on its way.
            raise self._error from None

    async def _drained(self) -> None:
        """Wait until every group has ended, and say what is waited for."""
        left = dict(zip(self._tasks, self.runners, strict=True))
        while left:
            try:
                ended, _ = await asyncio.wait(left, timeout=TELL_SECONDS)
            except asyncio.CancelledError:
                for task in left:
                    task.cancel()
                # Whatever they work with is closed behind this.
                await asyncio.gather(*left, return_exceptions=True)
                raise
            for task in ended:
                del left[task]
            for runner in left.values():
                why = "; ".join(runner.waits.longer_than(0)) or "what has begun is not finished, or not committed"
                log.info("group %r is still draining: %s", runner.name, why)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Whole it comes out of the block; but what is under way is finished first, and that may take a while.
            log.error("a group has failed: %s", error.what if isinstance(error, MainstemError) else error)
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Something has happened after which this process must not go on."""
        self._error = self._error or error
        if self._host is not None and not self._woken:
            self._woken = True
            self._host.cancel()
