"""Services that run in this process: what they are, and where their tasks stand."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from msgspec import Struct

from mainstem.broker import TopicPartition, lag_behind
from mainstem.clock import Clock
from mainstem.delivery import Counters, GroupRunner, Outage, Plan, Survey
from mainstem.events import Declaration
from mainstem.schemas.writers import Writers
from mainstem.service.brokers import Backend
from mainstem.service.catalogue import entry_of, write_catalogue
from mainstem.service.contracts import seen_now_and_then
from mainstem.service.plans import CATALOGUE
from mainstem.service.process import Checkup, Health


class TaskStatistics(Struct, frozen=True):
    """A task that this process owns.

    ``counters`` are as of when they were asked for. ``lag`` counts the offsets between the committed positions and the
    ends; ``in_flight`` the events that were read and are not finished.
    """

    group: str
    task: int
    counters: Counters
    in_flight: int
    lag: int
    positions: Mapping[TopicPartition, int]


class Running:
    """Services that run in this process, on one broker."""

    def __init__(self, broker: Backend, clock: Clock, stuck_seconds: float) -> None:
        self.broker = broker
        self.clock = clock
        self.plans: list[Plan] = []
        self.runners: dict[str, GroupRunner] = {}
        self.outage = Outage()
        self.writers: Writers | None = None
        self._stuck_seconds = stuck_seconds
        self.survey = Survey(self.plans, self.runners, clock)
        self.checkup = Checkup(
            broker, self.runners, lambda: broker.admin.topics([CATALOGUE]), clock, self.survey.letters
        )

    async def health(self) -> Health:
        """How this process is. Whether a task stands still is known from one call to the next."""
        return await self.checkup.look(self._stuck_seconds)

    async def tell(self, outputs: Mapping[str, Sequence[Declaration]], environment: str) -> None:
        """Write into the catalogue what its groups are; ``outputs`` by service, and where it runs."""
        now = self.clock.now_ms()
        entries = [entry_of(plan, outputs[plan.service], now, environment) for plan in self.plans]
        await write_catalogue(self.broker, entries)

    def seen(self, every_seconds: float | None) -> AbstractAsyncContextManager[None]:
        """Inside the block, the catalogue hears from time to time that its groups run; with None it does not."""
        return seen_now_and_then(self.broker, [plan.group for plan in self.plans], self.clock, every_seconds)

    async def statistics(self) -> list[TaskStatistics]:
        """Where every task of this process stands, by group and task."""
        owned = [(group, n, task) for group, runner in self.runners.items() for n, task in runner.tasks.items()]
        topics = {at.topic for _, _, task in owned for at in task.positions}
        described = await self.broker.admin.topics(topics)
        found = []
        for group, number, task in sorted(owned, key=lambda each: each[:2]):
            positions = dict(task.positions)
            lag = sum(lag_behind(described, at, offset) for at, offset in positions.items())
            counters = Counters() if task.ledger is None else task.ledger.counters.until_now()
            found.append(TaskStatistics(group, number, counters, task.in_flight, lag, positions))
        return found
