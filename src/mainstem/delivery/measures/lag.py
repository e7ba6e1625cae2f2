"""How far behind the tasks of this process are, and what waits in their stores; told to whoever collects."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final, Protocol, TypeAlias

from mainstem.broker import Broker, CopyProgress, TopicPartition, lag_behind
from mainstem.clock import Clock
from mainstem.delivery.failures import Letters
from mainstem.delivery.ledger import Ledger, Strain
from mainstem.delivery.measures.survey import Survey
from mainstem.delivery.plan import Plan
from mainstem.state import timers
from mainstem.telemetry import GROUP, HANDLER, PARTITION, TOPIC, Gauge, Reading, log

RECORDS: Final = Gauge("mainstem.lag.records", "{record}", "Records between the committed position and the end.")
AGE: Final = Gauge("mainstem.lag.duration", "ms", "How old the oldest record is that was read and is not finished.")
PARKED_KEYS: Final = Gauge("mainstem.keys.parked", "{key}", "Keys whose events wait for the next try of a handler.")
PARKED_AGE: Final = Gauge("mainstem.keys.parked.age", "ms", "How long the oldest of these keys has waited.")
DEAD_KEYS: Final = Gauge("mainstem.keys.dead_lettered", "{key}", "Keys whose events wait for somebody to decide.")
DEAD_AGE: Final = Gauge("mainstem.keys.dead_lettered.age", "ms", "How long the oldest of these keys has waited.")
ALERTS: Final = Gauge("mainstem.alerts", "{alert}", "Thresholds of the service's alerts that are passed.")
TIMERS: Final = Gauge("mainstem.timers.pending", "{timer}", "Timers that are set.")
OWNED: Final = Gauge("mainstem.tasks.owned", "{task}", "Tasks that this process owns.")
RESTORING: Final = Gauge("mainstem.restore.lag", "{offset}", "Offsets of its changelog that a task waits for to run.")
STANDBY: Final = Gauge("mainstem.standby.lag", "{offset}", "Offsets that a standby's copy is behind its changelog.")
PAUSED: Final = Gauge("mainstem.tasks.paused", "{task}", "Tasks whose inputs stand still until something is back.")
BREAKERS: Final = Gauge("mainstem.breakers.open", "{breaker}", "Breakers of handlers that are not closed.")
GIVING_WAY: Final = Gauge("mainstem.handlers.giving_way", "{task}", "Tasks in which a handler gives way to others.")
HOT_SHARE: Final = Gauge(
    "mainstem.keys.hot.share", "1", "The share of one key in what a task reads, where it is a fifth and more."
)
HOT_WAITING: Final = Gauge(
    "mainstem.keys.hot.waiting", "{event}", "Events of that key that wait for one another in its lane."
)
GAUGES: Final = (
    RECORDS,
    AGE,
    PARKED_KEYS,
    PARKED_AGE,
    DEAD_KEYS,
    DEAD_AGE,
    ALERTS,
    TIMERS,
    OWNED,
    PAUSED,
    BREAKERS,
    GIVING_WAY,
    HOT_SHARE,
    HOT_WAITING,
    RESTORING,
    STANDBY,
)

COUNTED_MOST = 10_000
"""Timers of a task are counted up to here: the count must not hold up what is counted."""
FRESH_SECONDS = 0.5
"""All gauges of one collection see the same; the next collection looks again."""
WAIT_SECONDS = 0.25
"""A collector waits no longer for an event loop that is busy; it is told how things stood before."""

Standing: TypeAlias = Mapping[Gauge, Sequence[Reading]]


class Owned(Protocol):
    """A task that this process owns."""

    @property
    def ledger(self) -> Ledger | None:
        """Its books, once it has begun."""
        ...

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """What was committed last."""
        ...

    @property
    def paused(self) -> Mapping[str, float]:
        """Why its inputs stand still, and for how many seconds; empty when they do not."""
        ...

    @property
    def strain(self) -> Strain:
        """What shows that it has too much to do."""
        ...

    @property
    def open_breakers(self) -> Mapping[str, float]:
        """The breakers of its handlers that are not closed, and for how many seconds."""
        ...


class Owner(Protocol):
    """Whoever runs the tasks of a group."""

    @property
    def tasks(self) -> Mapping[int, Owned]:
        """Those that this process owns now."""
        ...


class Keeping(Broker, Protocol):
    """A broker that may keep local copies of stores."""

    def copies(self) -> Sequence[CopyProgress]:
        """Those that are being restored, or stand by."""
        ...


@contextmanager
def standing_told(
    broker: Keeping, plans: Sequence[Plan], owners: Mapping[str, Owner], clock: Clock, survey: Survey
) -> Iterator[None]:
    """Inside the block, whoever collects is told how the tasks stand."""
    lookout = _Lookout(partial(_look, broker, plans, owners, clock, survey), clock)
    with ExitStack() as stack:
        for gauge in GAUGES:
            stack.enter_context(gauge.told_by(partial(lookout.readings, gauge)))
        yield


class _Lookout:
    """Lets another thread see how things stand on the event loop.

    Who collects on the event loop itself cannot wait for it, and is told how things stood when it last did.
    """

    def __init__(self, look: Callable[[], Awaitable[Standing]], clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._looking: asyncio.Task[None] | None = None
        self._asked = -FRESH_SECONDS
        self._standing: Standing = {}

    def readings(self, gauge: Gauge) -> Iterable[Reading]:
        """What a gauge says."""
        if self._clock.monotonic() - self._asked >= FRESH_SECONDS:
            self._asked = self._clock.monotonic()
            if self._is_here():
                self._looking = self._loop.create_task(self._refresh())
            else:
                self._wait()
        return self._standing.get(gauge, ())

    def _is_here(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _wait(self) -> None:
        refreshing = asyncio.run_coroutine_threadsafe(self._refresh(), self._loop)
        try:
            refreshing.result(WAIT_SECONDS)
        except TimeoutError:
            refreshing.cancel()

    async def _refresh(self) -> None:
        try:
            self._standing = await self._look()
        except Exception as error:  # noqa: BLE001 - whatever it is, those who work will find out
            self._standing = {}
            log.warning("it cannot be measured how the tasks stand: %s", error)


async def _look(
    broker: Keeping, plans: Sequence[Plan], owners: Mapping[str, Owner], clock: Clock, survey: Survey
) -> Standing:
    begun = [
        (plan, [(ledger, task.positions) for task in owners[plan.group].tasks.values() if (ledger := task.ledger)])
        for plan in plans
        if plan.group in owners
    ]
    ends = await broker.admin.topics({at.topic for _, tasks in begun for _, positions in tasks for at in positions})
    standing: dict[Gauge, list[Reading]] = {gauge: [] for gauge in GAUGES}
    for copy in broker.copies():
        labels = {GROUP: copy.group, PARTITION: str(copy.task)}
        standing[RESTORING if copy.state == "restoring" else STANDBY].append((copy.end - copy.position, labels))
    for plan, tasks in begun:
        group = {GROUP: plan.group}
        for ledger, positions in tasks:
            for at, position in positions.items():
                labels = {**group, TOPIC: at.topic, PARTITION: str(at.partition)}
                oldest = ledger.progress[at].oldest_ms
                standing[RECORDS].append((lag_behind(ends, at, position), labels))
                standing[AGE].append((0 if oldest is None else max(0, clock.now_ms() - oldest), labels))
        standing[TIMERS].append((sum(_pending(ledger) for ledger, _ in tasks), group))
        standing[OWNED].append((len(tasks), group))
        owned = owners[plan.group].tasks.values()
        standing[PAUSED].append((sum(bool(each.paused) for each in owned), group))
        standing[BREAKERS].append((sum(len(each.open_breakers) for each in owned), group))
        waiting = _waiting(plan, (await survey.look()).get(plan.group, {}))
        for gauge, reading in (*waiting, *_strained(plan, owners[plan.group].tasks)):
            standing[gauge].append(reading)
        standing[ALERTS].append((len((await survey.letters())[plan.group][1]), group))
    return standing


def _strained(plan: Plan, tasks: Mapping[int, Owned]) -> Iterator[tuple[Gauge, Reading]]:
    group, strains = {GROUP: plan.group}, {number: task.strain for number, task in tasks.items()}
    for handler in plan.giving_way:
        count = sum(handler in each.giving_way for each in strains.values())
        yield GIVING_WAY, (count, {**group, HANDLER: handler})
    for number, strain in strains.items():
        if strain.hot is not None:
            # Which key it is says health: as a label, each would be a series of its own for ever.
            labels = {**group, PARTITION: str(number)}
            yield HOT_SHARE, (strain.hot.share, labels)
            yield HOT_WAITING, (strain.hot.waiting, labels)


def _waiting(plan: Plan, found: Mapping[str, Letters]) -> Iterator[tuple[Gauge, Reading]]:
    for name, letters in sorted(found.items()):
        labels = {GROUP: plan.group, HANDLER: name}
        yield PARKED_KEYS, (letters.parked, labels)
        yield PARKED_AGE, (letters.parked_age_ms, labels)
        yield DEAD_KEYS, (letters.dead_letters, labels)
        yield DEAD_AGE, (letters.dead_letter_age_ms, labels)


def _pending(ledger: Ledger) -> int:
    """Those that handlers have set; the runtime has timers of its own."""
    found = timers.due_until(ledger.state, timers.LATEST_MS - 1, COUNTED_MOST)
    return sum(not each.name.startswith("$") for each in found)
