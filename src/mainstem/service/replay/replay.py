"""Run recorded events through handlers again, beside the live group and without touching it."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from random import Random
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mainstem.broker import TopicDescription, TopicPartition, read_all
from mainstem.clock import SystemClock
from mainstem.delivery import Registration, Runnable, audit_topic, decode_entry, is_notice
from mainstem.errors import UnknownTopic
from mainstem.events import declaration_of
from mainstem.identifiers import Derivation, Identifiers
from mainstem.service.brokers import Backend
from mainstem.service.definition import Definition
from mainstem.service.plans import Existing, draft, topics_of
from mainstem.service.promises import writers_of
from mainstem.service.replay.clock import EventClock
from mainstem.service.replay.comparing import Comparing, Comparison, Difference, Seen, publish_new
from mainstem.service.replay.picking import picked, refusals
from mainstem.service.replay.player import Player
from mainstem.service.replay.recording import Recording, Span
from mainstem.service.replay.stage import Stage
from mainstem.service.replay.watching import FailedRun, HandlerRuns, Watcher
from mainstem.service.runtime import Floor, Running, running
from mainstem.settings import Settings
from mainstem.state import TaskState, schedules, timers

LETTERS_MOST: Final = 1_000_000_000
"""What fails must not bring a replay to a standstill."""
PENDING_MOST: Final = 1_000_000
"""So many timers that are not due are counted."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be replayed: these handlers of the service, or all; with the ``outside`` they reach, or without.

    Time goes on to ``end_ms``, wall-clock milliseconds, when the last event has been handled. With ``publish``, what
    was never published live is published in the end.
    """

    only: tuple[str, ...] = ()
    outside: bool = False
    publish: bool = False
    end_ms: int = 0


class Replayed(Struct, frozen=True, kw_only=True):
    """What came of a replay.

    ``waiting`` counts the events that were not handled, because one before them of their key had failed. Timers are
    counted by name: ``unheard`` rang and have no handler among those that were run, ``pending`` are not due by the end.
    ``publications_pending`` are those that wait for a later time. ``refused`` are calls to the outside, by name.
    """

    service: str
    events: int
    from_ms: int | None
    to_ms: int
    handlers: list[HandlerRuns]
    failures: list[FailedRun]
    waiting: int
    refused: dict[str, int]
    unheard: dict[str, int]
    pending: dict[str, int]
    publications_pending: int
    topics: list[Comparison]
    differences: list[Difference]
    published: int
    stopped: str | None
    seconds: float


def replayed_topics(service: Definition, only: Collection[str]) -> list[str]:
    """The topics whose events these handlers take. Raises as :func:`replay` does for handlers that are not there."""
    service = picked(service, only, outside=False)
    types = (each for group in service.groups for registration in group.registered for each in registration.types)
    return sorted({declaration_of(each).topic for each in types})


async def replay(
    service: Definition, live: Backend, scratch: Backend, spans: Mapping[TopicPartition, Span], wanted: Wanted
) -> Replayed:
    """Hand the events of ``spans`` to handlers again, which write to ``scratch`` alone.

    ``live`` is read; groups, positions, stores and topics there stay as they are, unless something is to be published.
    ``scratch`` is open, and has nothing of this service. Event ids, idempotency keys and the ids of what is published
    are those of the live group. Time is that of the events: timers ring when the events have come so far. Each event is
    tried once. Raises what :func:`~mainstem.running` raises.
    """
    monotonic = SystemClock().monotonic
    began = monotonic()
    chosen = picked(service, wanted.only, outside=wanted.outside)
    performance = _Performance(chosen, live, scratch, Recording(live.log, spans), wanted)
    await performance.build()
    await performance.play()
    return await performance.tell(lambda: round(monotonic() - began, 3))


class _Performance:
    """One replay, from its empty stage to its report."""

    def __init__(
        self, service: Definition, live: Backend, scratch: Backend, recording: Recording, wanted: Wanted
    ) -> None:
        self._service = service
        self._live = live
        self._scratch = scratch
        self._recording = recording
        self._wanted = wanted
        self._drafted = draft([service], Existing())
        self._outputs = sorted({each.topic for each in self._drafted.outputs[service.name]})
        self._described: Mapping[str, TopicDescription] = {}
        self._watcher = Watcher(frozenset(wanted.only or (each.name for each in _registrations(service))))
        self._refused: dict[str, int] = {}
        self._tasks: dict[str, int] = {}
        self._letters = 0
        self._now_ms = wanted.end_ms
        self._stopped: str | None = None

    async def build(self) -> None:
        """Make the topics of the replay, as those of the live broker are."""
        self._described = await self._live.admin.topics(self._drafted.topics)
        missing = sorted(set(self._outputs) - self._described.keys())
        if missing and self._wanted.publish:
            raise UnknownTopic(
                f"topic {missing[0]!r} is not there, and what is new is to be published",
                where=self._live.name,
                why=f"{self._service.name!r} declares that it publishes there, and nobody has created it",
                remedy="mainstem topics apply, with the service; then replay again",
            )
        for spec in topics_of([self._service], Existing(self._described)):
            await self._scratch.admin.create(spec)

    async def play(self) -> None:
        """Run the handlers, up to the end of the recording and of time."""
        recording, wanted = self._recording, self._wanted
        try:
            first_ms = await recording.look_ahead()
            time = EventClock(wanted.end_ms if first_ms is None else first_ms)
            settings = replace(
                Settings.load(), parked_events_most=LETTERS_MOST, pinned_tasks=None, static_id=None, registry="none"
            )
            replaced = {} if wanted.outside else refusals(self._service, self._refused)
            stage = Stage(recording, self._scratch, f"a replay of {self._live.name}")
            async with AsyncExitStack() as stack:
                floor = self._floor(time, stack)
                process = await stack.enter_async_context(
                    running(self._service, broker=stage, settings=settings, floor=floor, replaced=replaced)
                )
                player = Player(recording, time, lambda: _tasks(process))
                await player.play(wanted.end_ms)
                self._letters = sum(each.ledger.letters.count for each in _tasks(process) if each.ledger is not None)
                self._tasks = {plan.group: plan.tasks for plan in process.plans if plan.processors}
            self._now_ms, self._stopped = time.now_ms(), player.stopped
        finally:
            recording.close()

    def _floor(self, time: EventClock, stack: AsyncExitStack) -> Floor:
        clock = SystemClock()
        return Floor(
            clock=time,
            identifiers=Identifiers(clock),
            chance=Random(0),  # noqa: S311 - nothing is spread by it: each event is tried once
            around=self._watcher.around,
            later=time.later,
            # Nothing is registered by a replay; what was written is read with the registry of those who wrote it.
            writers=writers_of(self._drafted, self._live, Settings.load(), clock, stack, recorded=True),
        )

    async def tell(self, seconds: Callable[[], float]) -> Replayed:
        """Compare, publish where that is wanted, and say what came of it."""
        watcher, recording = self._watcher, self._recording
        comparing = Comparing(f"/{self._service.name}", self._seen())
        published = 0
        for topic in self._outputs:
            described = self._described.get(topic)
            await comparing.compare(topic, self._scratch, self._live, described, recording.first_ms or 0)
            if self._wanted.publish:
                published += await publish_new(topic, self._scratch, self._live, comparing.new)
        pending = self._pending()
        later = pending.pop(schedules.PUBLISH, 0)
        return Replayed(
            service=self._service.name,
            events=recording.events,
            from_ms=recording.first_ms,
            to_ms=self._now_ms,
            handlers=list(watcher.runs.values()),
            failures=watcher.failures,
            waiting=await self._waiting(),
            refused=self._refused,
            unheard=watcher.unheard,
            pending={name: count for name, count in pending.items() if not name.startswith("$")},
            publications_pending=later,
            topics=comparing.comparisons,
            differences=comparing.differences,
            published=published,
            stopped=self._stopped,
            seconds=seconds(),
        )

    def _seen(self) -> Seen:
        causes = self._recording.causes | self._watcher.firings
        timed = {each.name for each in _registrations(self._service) if each.timer is not None}
        ids = {name: Derivation(self._service.name, runs.group, name) for name, runs in self._watcher.runs.items()}
        handlers = tuple(derivation for name, derivation in ids.items() if name not in timed)
        timers = tuple(derivation for name, derivation in ids.items() if name in timed)
        return Seen(causes, self._watcher.correlations, handlers, timers, self._now_ms)

    def _pending(self) -> Counter[str]:
        """Timers that are set and not due, by name."""
        return Counter(
            timer.name
            for group, tasks in self._tasks.items()
            for task in range(tasks)
            for timer in timers.due_until(TaskState(self._scratch.rows(group, task)), timers.LATEST_MS, PENDING_MOST)
        )

    async def _waiting(self) -> int:
        """Events that wait behind one that has failed."""
        stopped = 0
        for group in self._tasks:
            last: dict[bytes | None, bytes | None] = {}
            async for batch in read_all(self._scratch, audit_topic(group)):
                last.update(zip(batch.keys, batch.values, strict=True))
            entries = [decode_entry(value) for key, value in last.items() if value is not None and not is_notice(key)]
            stopped += sum(each.status == "dead-lettered" for each in entries)
        return self._letters - stopped


def _registrations(service: Definition) -> list[Registration]:
    return [each for group in service.groups for each in group.registered]


def _tasks(process: Running) -> list[Runnable]:
    return [task for runner in process.runners.values() for task in runner.tasks.values()]
