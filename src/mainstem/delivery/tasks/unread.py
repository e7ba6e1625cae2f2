"""Partitions that wait for a schema: what stands there next was written with one that is not known here yet.

The others go on, and the inbox. A batch that is put back is read again when somebody has said what its schemas are, or
that there are none. While nobody answers, they wait; that a registry is away says nothing about an event.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from mainstem.broker import Batch, Reader, TopicPartition
from mainstem.delivery.desk import Acquaintance
from mainstem.delivery.guards import Notices
from mainstem.delivery.tasks.environment import Environment
from mainstem.resilience import Backoff
from mainstem.schemas.writers import AWAY, SchemaName
from mainstem.telemetry import log

REGISTRY_AWAY = Backoff(first_seconds=0.5, longest_seconds=15.0, jitter="equal")
"""When a registry that has not answered is asked again."""
_EXAMPLES = 5


class Standstill(Protocol):
    """Lets single partitions stand still."""

    def set_apart(self, at: TopicPartition, /) -> None:
        """Read nothing of it."""
        ...

    def rejoin(self, at: TopicPartition, /) -> None:
        """Let it go on as the others do."""
        ...


class Unread:
    """The partitions of one incarnation that wait so."""

    def __init__(
        self,
        name: str,
        environment: Environment,
        standstill: Standstill,
        fail: Callable[[BaseException], None],
        notices: Notices | None = None,
    ) -> None:
        """``fail`` hears what is no wait and no verdict, such as that the registry's client is not installed.

        ``notices`` tell elsewhere than in the log.
        """
        self._fail = fail
        self._name = name
        self._environment = environment
        self._standstill = standstill
        self._notices = notices
        self._asking: set[asyncio.Task[None]] = set()
        self._unanswered: dict[str, float] = {}

    @property
    def asking(self) -> int:
        """The partitions that have asked, and have not been told yet that nobody answers."""
        return len(self._asking) - len(self._unanswered)

    @property
    def reasons(self) -> Mapping[str, float]:
        """What waits for a registry that has not answered, and for how many seconds."""
        now = self._environment.clock.monotonic()
        return {reason: now - since for reason, since in self._unanswered.items()}

    def put_back(self, batch: Batch, names: Collection[SchemaName], reader: Reader, acquaintance: Acquaintance) -> None:
        """Read a batch again when these are known, or known not to be there; its partition waits until then."""
        at = TopicPartition(batch.topic, batch.partition)
        reader.seek(at, batch.offsets[0])
        self._standstill.set_apart(at)
        asking = asyncio.create_task(self._ask(at, names, acquaintance), name=f"{self._name}: schemas for {at}")
        self._asking.add(asking)
        asking.add_done_callback(self._asked)

    async def stop(self) -> None:
        """Ask no more."""
        asking = list(self._asking)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _asked(self, asking: "asyncio.Task[None]") -> None:
        self._asking.discard(asking)
        error = None if asking.cancelled() else asking.exception()
        if error is not None:
            self._fail(error)

    async def _ask(self, at: TopicPartition, names: Collection[SchemaName], acquaintance: Acquaintance) -> None:
        reason = f"{at.topic}[{at.partition}] waits for the schema of what stands there"
        unanswered = 0
        while True:
            try:
                await acquaintance.ask(names)
                break
            except AWAY as away:
                unanswered += 1
                if unanswered == 1:
                    self._say(reason, f"{_told(names)}: {away.what}")
            await asyncio.sleep(REGISTRY_AWAY.delay(unanswered, self._environment.chance.random))
        self._over(reason)
        self._standstill.rejoin(at)

    def _say(self, reason: str, because: str) -> None:
        self._unanswered[reason] = self._environment.clock.monotonic()
        if self._notices is not None:
            self._notices.say("paused", reason, because)
        log.warning("%s: no registry of schemas answers, and %s: %s", self._name, reason, because)

    def _over(self, reason: str) -> None:
        since = self._unanswered.pop(reason, None)
        if since is not None:
            if self._notices is not None:
                self._notices.over("paused", reason)
            waited = self._environment.clock.monotonic() - since
            log.warning(
                "%s: the registry of schemas answers again, after %.1f s: %s no longer", self._name, waited, reason
            )


def _told(names: Collection[SchemaName]) -> str:
    """Some of them: a batch of garbage may have thousands."""
    some = sorted(map(str, names))[:_EXAMPLES]
    more = len(names) - len(some)
    return ", ".join(some) + (f" and {more} more" if more else "")
