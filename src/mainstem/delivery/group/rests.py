"""Tasks that cannot go on now, and have lost nothing: a full disk, a broker that is away, a newer process before us."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from mainstem.broker import Membership
from mainstem.delivery.ledger import Runnable
from mainstem.delivery.measures import Waits
from mainstem.delivery.tasks import Environment
from mainstem.errors import BrokerAway, DiskFull, Outdated
from mainstem.resilience import Backoff
from mainstem.telemetry import log

FULL_DISK = Backoff(first_seconds=0.5, longest_seconds=10.0, jitter="equal")
"""When a task that finds no room tries again."""
AWAY = Backoff(first_seconds=0.2, longest_seconds=5.0, jitter="equal")
"""When it is tried again whether a broker answers that did not."""


class Rests:
    """How long the tasks of a group rest, and until when."""

    def __init__(
        self,
        group: str,
        environment: Environment,
        tasks: Mapping[int, Runnable],
        draining: asyncio.Event,
        waits: Waits,
    ) -> None:
        """``tasks`` are those that are owned at any time; nothing rests on when everything is ``draining``."""
        self._group = group
        self._environment = environment
        self._tasks = tasks
        self._draining = draining
        self._waits = waits
        self._declined: dict[int, float] = {}
        self._refusals: dict[int, int] = {}
        self._unanswered = 0

    async def pause(self, membership: Membership, number: int, error: DiskFull | Outdated | BrokerAway) -> None:
        """Let a task rest that cannot go on now, and has lost nothing."""
        if isinstance(error, DiskFull):
            await self._wait_for_room(number, error)
        elif isinstance(error, BrokerAway):
            await self.wait_for_broker(number, error)
        else:
            await self._decline(membership, number, error)

    async def wait_for_broker(self, number: int | None, error: BrokerAway | DiskFull) -> None:
        """Pause what needs a broker that answers, and has room: nothing has happened since the last commit."""
        if self._draining.is_set():
            return
        self._unanswered += 1
        seconds = AWAY.delay(self._unanswered, self._environment.chance.random)
        if isinstance(error, BrokerAway):
            self._environment.outage.notice(self._name(number), error, self._environment.clock.monotonic())
        else:
            log.error("%s pauses, and tries again in %.1f s: %s", self._name(number), seconds, error)
        self._waits.note(number, f"for what it needs: {error.what}: {error.why}")
        await self._stand_by(number, seconds)
        if self._draining.is_set():
            self.leave(number)

    def over(self, number: int) -> None:
        """A task has been taken over."""
        self.answered(number)
        self._unanswered = 0

    def leave(self, number: int | None) -> None:
        """It waits no more, whether it was answered or not."""
        self._environment.outage.leave(self._name(number))

    async def until_draining(self) -> None:
        """Return when everything is to be given back."""
        await self._draining.wait()

    def answered(self, number: int | None) -> None:
        """Whatever needed the broker has been done."""
        self._environment.outage.over(self._name(number), self._environment.clock.monotonic())

    def _name(self, number: int | None) -> str:
        return f"group {self._group!r}" if number is None else f"task {number} of {self._group!r}"

    async def _wait_for_room(self, number: int, error: DiskFull) -> None:
        """Pause a task that could not commit; it goes on from its last commit, for nothing since then has happened."""
        refusals = self._refusals[number] = 1 if self.got_on(number) else self._refusals.get(number, 0) + 1
        seconds = FULL_DISK.delay(refusals, self._environment.chance.random)
        log.error("task %d of %r pauses, and tries again in %.1f s: %s", number, self._group, seconds, error)
        await self._stand_by(number, seconds)

    async def _stand_by(self, number: int | None, seconds: float) -> None:
        """Wait, but no longer than until the task is to be given back: whoever is to have it waits for that."""
        task = None if number is None else self._tasks.get(number)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await (self.until_draining() if task is None else task.until_draining())

    async def _decline(self, membership: Membership, number: int, error: Outdated) -> None:
        """Give a task back that a newer process has run. Raises ``error`` where nobody else could have it.

        The others may be no newer, and pass it round. So each declines it once in a session timeout.
        """
        now = asyncio.get_running_loop().time()
        again_at = self._declined.get(number, now)
        if again_at > now:
            await membership.release(number)
            await self._stand_by(number, again_at - now)
            return
        log.error("%s", error)
        self._declined[number] = now + self._environment.settings.session_timeout_seconds
        if not await membership.decline(number):
            raise error

    def got_on(self, number: int) -> bool:
        """Whether the task has committed anything beyond its first positions since it was taken over."""
        task = self._tasks.get(number)
        return task is not None and task.got_on
