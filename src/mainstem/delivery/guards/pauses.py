"""Who wants the inputs of a task to stand still, and why.

While anybody does, nothing is read but the inbox; the task keeps its partitions, beats its heart and commits. An event
that waits for something to come back keeps its lane. One at a time tries whether it is back; when it is, all go on.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

from msgspec import Struct

from mainstem.broker import Reader, TopicPartition
from mainstem.clock import Clock
from mainstem.delivery.failures import Failure, Pause, RunAgain
from mainstem.delivery.guards.notices import Notices
from mainstem.delivery.lanes import Lanes
from mainstem.telemetry import log

_Waiting = deque["asyncio.Future[bool]"]


class Pauses:
    """The pauses of one incarnation of a task."""

    __slots__ = (
        "_apart",
        "_clock",
        "_closed",
        "_held",
        "_inputs",
        "_keeping",
        "_lanes",
        "_name",
        "_notices",
        "_queues",
        "_reader",
        "standing",
    )

    def __init__(self, name: str, clock: Clock, lanes: Lanes, notices: Notices) -> None:
        """``name`` stands in the log; ``notices`` tell of it elsewhere."""
        self._name = name
        self._clock = clock
        self._lanes = lanes
        self._notices = notices
        self._reader: Reader | None = None
        self._inputs: Sequence[TopicPartition] = ()
        self._held: dict[str, float] = {}
        self._keeping: set[str] = set()
        self._queues: dict[str, _Waiting] = {}
        self._closed = False
        self._apart: set[TopicPartition] = set()
        self.standing = 0
        """How many works keep their lane and wait; they do not count as in flight."""

    def govern(self, reader: Reader, inputs: Sequence[TopicPartition]) -> None:
        """These partitions stand still when anything here says so."""
        self._reader, self._inputs = reader, inputs
        if self._held:
            reader.pause(inputs)

    @property
    def reasons(self) -> Mapping[str, float]:
        """Why the inputs stand still, and for how many seconds; empty when they do not."""
        now = self._clock.monotonic()
        return {reason: now - since for reason, since in self._held.items()}

    @property
    def some(self) -> bool:
        """Whether the inputs stand still."""
        return bool(self._held)

    def hold(self, reason: str, because: str = "", *, keep: bool = False) -> None:
        """Let the inputs stand still; told once for each reason, in the log and in the audit topic.

        With ``keep``, events that were read and have not begun stand still as well.
        """
        if keep:
            self._keeping.add(reason)
            self._lanes.hold()
        if reason in self._held:
            return
        self._held[reason] = self._clock.monotonic()
        self._notices.say("paused", reason, because)
        log.warning("%s: its inputs stand still: %s%s", self._name, reason, f": {because}" if because else "")
        if len(self._held) == 1 and self._reader is not None:
            self._reader.pause(self._inputs)
            # The inbox is read, however many events wait.
            self._lanes.stir()

    def hold_standing(self, reason: str, because: str = "") -> None:
        """As :meth:`hold`, for events that stand in their lanes; nothing overtakes them where there is one lane."""
        self.hold(reason, because, keep=self._lanes.count == 1)

    def release(self, reason: str) -> None:
        """That is no reason any more."""
        since = self._held.pop(reason, None)
        if since is None:
            return
        self._keeping.discard(reason)
        if self._lanes.held and not self._keeping:
            self._lanes.let_go()
        self._notices.over("paused", reason)
        log.info("%s: no longer, after %.1f s: %s", self._name, self._clock.monotonic() - since, reason)
        if not self._held and self._reader is not None:
            self._reader.resume([each for each in self._inputs if each not in self._apart])

    def set_apart(self, at: TopicPartition) -> None:
        """Let one partition stand still, whatever holds for the others."""
        self._apart.add(at)
        if self._reader is not None:
            self._reader.pause([at])

    def rejoin(self, at: TopicPartition) -> None:
        """Let it go on as the others do."""
        self._apart.discard(at)
        if not self._held and self._reader is not None:
            self._reader.resume([at])

    def close(self) -> None:
        """The task is being drained: who stands still does not go on, and nothing begins behind it."""
        self._closed = True
        if self.standing or self._keeping:
            self._lanes.forget_queued()

    async def stand(self, until: "asyncio.Future[bool] | float") -> bool:
        """Keep the lane, and wait for a future, or for so many seconds; what the future says."""
        self._lanes.step_aside()
        self.standing += 1
        if self._closed:
            self._lanes.forget_queued()
        try:
            said = await (asyncio.sleep(until, result=True) if isinstance(until, float) else until)
            if self._closed:
                # Nothing of a run that began now would be committed.
                await asyncio.get_running_loop().create_future()
        except BaseException:
            self.standing -= 1
            await self._lanes.step_in(at_once=True)
            raise
        self.standing -= 1
        await self._lanes.step_in()
        return said

    def queue(self, handler: str) -> _Waiting | None:
        """Who waits for the one that tries for this handler; None when nobody does."""
        return self._queues.get(handler)

    def begin(self, handler: str, because: str) -> None:
        """Somebody tries for this handler from now on."""
        self._queues[handler] = deque()
        self.hold_standing(_reason(handler), because)

    def end(self, handler: str) -> None:
        """Nobody need wait for this handler any more."""
        for each in self._queues.pop(handler, ()):
            if not each.done():
                each.set_result(False)
        self.release(_reason(handler))


class Turn(Struct, gc=False):
    """What one event waits for between its runs in a handler."""

    pauses: Pauses
    handler: str
    mine: bool = False
    """Whether it is this one that tries, and the others wait for it."""

    async def wait(self, verdict: RunAgain | Pause, failure: Failure | None) -> None:
        """Return when it may be run again."""
        if isinstance(verdict, RunAgain):
            await asyncio.sleep(verdict.after_seconds)
            return
        queue = self.pauses.queue(self.handler)
        if self.mine or queue is None:
            if not self.mine:
                self.mine = True
                self.pauses.begin(self.handler, failure.error_type if failure else "")
            await self.pauses.stand(verdict.after_seconds)
            return
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        queue.append(future)
        try:
            self.mine = await self.pauses.stand(future)
        except BaseException:
            self.mine = future.done() and not future.cancelled() and future.result()
            self.end(well=False)
            raise

    def end(self, *, well: bool) -> None:
        """It is not run again: when it went ``well`` all may go on, otherwise the next one tries."""
        if not self.mine:
            return
        self.mine = False
        queue = self.pauses.queue(self.handler)
        while queue and not well:
            following = queue.popleft()
            if not following.done():
                following.set_result(True)
                return
        self.pauses.end(self.handler)


def _reason(handler: str) -> str:
    return f"{handler} waits for what it needs"
