"""How a process is: what its groups and the broker say, and what follows from that."""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mainstem.broker import CopyProgress
from mainstem.clock import ManualClock
from mainstem.delivery import Counters, Letters, Strain
from mainstem.errors import BrokerAway, DefinitionError, DiskFull, StartRefused
from mainstem.service import Service, serve
from mainstem.service.process import Checkup, Entrance, checkup
from mainstem.service.process.exposition import Tally, exposition
from mainstem.telemetry import INSTRUMENTS, SECONDS, Counter, Gauge, Histogram, heard_by
from mainstem.web import Address
from tests.journeys.conditions import until

BOUND = 60.0


@dataclass
class Ledger:
    counters: Counters = field(default_factory=Counters)
    events: int = 0
    changed: bool = False


@dataclass
class Task:
    in_flight: int = 0
    paused: dict[str, float] = field(default_factory=dict)
    strain: Strain = field(default_factory=Strain)
    open_breakers: dict[str, float] = field(default_factory=dict)
    ledger: Ledger | None = field(default_factory=Ledger)


class Waits:
    """What a group waits for, since how many seconds."""

    def __init__(self) -> None:
        self.since: dict[str, float] = {}

    def longer_than(self, seconds: float) -> tuple[str, ...]:
        return tuple(what for what, waited in self.since.items() if waited >= seconds)


@dataclass
class Group:
    stands: bool = True
    draining: bool = False
    tasks: dict[int, Task] = field(default_factory=dict)
    waits: Waits = field(default_factory=Waits)


class Line:
    """A broker that answers, fails or says nothing."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()

    async def reach(self) -> None:
        self.asked += 1
        await self.answers.wait()
        if self.error is not None:
            raise self.error


class Process:
    """One group with one task, and the line to its broker."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.line = Line()
        self.task = Task()
        self.group = Group(tasks={0: self.task})
        self.checkup = Checkup(self, {"shop": self.group}, self.line.reach, self.clock, self.letters)

    async def letters(self) -> Mapping[str, tuple[Letters, tuple[str, ...]]]:
        """Nothing waits."""
        return {}

    name = "a broker"
    restoring: tuple[CopyProgress, ...] = ()

    def copies(self) -> Sequence[CopyProgress]:
        return self.restoring

    async def said(self, after_seconds: float = 1.0) -> tuple[str, bool, bool, tuple[str, ...]]:
        """State, ready, live, reasons."""
        self.clock.advance(after_seconds)
        health = await self.checkup.look(BOUND)
        return health.state, health.ready, health.live, health.reasons


async def test_a_group_must_stand() -> None:
    """Not ready before; ready afterwards; not ready again when it drains."""
    process = Process()
    process.group.stands = False
    assert await process.said() == ("running", False, True, ("group 'shop' has not taken over its tasks yet",))
    process.group.stands = True
    assert await process.said() == ("running", True, True, ())
    process.group.draining = True
    assert await process.said() == ("draining", False, True, ("it is draining",))


async def test_a_task_that_waits_on_purpose_is_not_stuck() -> None:
    """However long its inputs stand still; health says why, and it is ready and live."""
    process = Process()
    process.task.in_flight = 3
    process.task.paused = {"charge waits for what it needs": 3.25}
    await process.said()
    assert await process.said(10 * BOUND) == ("running", True, True, ())
    [task] = (await process.checkup.look(BOUND)).groups[0].tasks
    assert (task.stuck, task.paused) == (False, {"charge waits for what it needs": 3.25})
    process.task.paused = {}
    await process.said()
    assert (await process.said(10 * BOUND))[2] is False


async def test_what_a_group_waits_for_is_said() -> None:
    """Also of one that has stood before: a membership that was lost, and does not come back, is no longer ready."""
    process = Process()
    process.group.waits.since = {"it has waited for 1 s to be let in by the group": 1.0}
    assert await process.said() == ("running", True, True, ())
    process.group.waits.since = {"it has waited for 9 s to be let in by the group": 9.0}
    assert await process.said() == (
        "running",
        False,
        True,
        ("group 'shop': it has waited for 9 s to be let in by the group",),
    )


async def test_what_is_being_restored_is_said() -> None:
    """How far it has come is a reason for not being ready; once the group stands, it is a state and nothing more."""
    process = Process()
    process.group.stands = False
    process.restoring = (CopyProgress("shop", 3, "restoring", 250_000, 1_000_000),)
    state, ready, live, reasons = await process.said()
    assert (state, ready, live) == ("restoring", False, True)
    assert reasons[1:] == ("task 3 of 'shop' is being restored: 250,000 of 1,000,000",)
    process.group.stands = True
    assert await process.said() == ("restoring", True, True, ())
    process.restoring = (CopyProgress("shop", 3, "standby", 250_000, 1_000_000),)
    assert await process.said() == ("running", True, True, ())
    assert (await process.checkup.look(BOUND)).copies == process.restoring


async def test_a_task_that_gets_on_with_nothing_is_stuck() -> None:
    """From the bound on; anything that is finished begins a new count, and so does having nothing to do."""
    process = Process()
    process.task.in_flight = 2
    assert (await process.said())[2]
    assert (await process.said(BOUND - 1))[2]
    process.task.in_flight = 1
    assert (await process.said(BOUND))[2], "one of them is finished"
    assert not (await process.said(BOUND))[2]
    process.task.in_flight = 0
    assert (await process.said(BOUND))[2]
    process.task.in_flight = 1
    assert (await process.said(BOUND))[2], "it had nothing to do a moment ago"
    assert "task 0 of 'shop' has had 1 events in flight for 60 s" in (await process.said(BOUND))[3][0]


async def test_another_incarnation_begins_anew() -> None:
    """A task that was lost and taken over has not stood still since before."""
    process = Process()
    process.task.in_flight = 1
    await process.said()
    process.group.tasks[0] = Task(in_flight=1)
    assert (await process.said(BOUND))[2]
    assert not (await process.said(BOUND))[2]


async def test_a_commit_that_does_not_come_back_is_standing_still() -> None:
    """Also when every handler has finished."""
    process = Process()
    process.task.ledger = Ledger(events=5)
    await process.said()
    assert not (await process.said(BOUND))[2]


async def test_a_broker_that_fails_makes_a_process_not_ready_and_nobody_stuck() -> None:
    """What is wrong elsewhere is not mended by ending this process."""
    process = Process()
    process.task.in_flight = 1
    await process.said()
    process.line.error = BrokerAway("it is down", where="over there")
    for _ in range(3):
        state, ready, live, reasons = await process.said(BOUND)
        assert (state, ready, live) == ("running", False, True)
        assert reasons == ("the broker does not answer: it is down [broker-away]",)
    process.line.error = None
    assert await process.said() == ("running", True, True, ())


async def test_whoever_looks_does_not_wait_for_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is silent is asked once, and counts as gone after a while; it is not asked more often than it may."""
    monkeypatch.setattr(checkup, "PATIENCE_SECONDS", 0.001)
    process = Process()
    process.line.answers.clear()
    assert (await process.said())[1], "it was there a moment ago"
    assert (await process.said(checkup.ANSWER_SECONDS))[3][0].startswith("the broker does not answer: it was asked")
    assert process.line.asked == 1
    process.line.answers.set()
    assert await process.said(0) == ("running", True, True, ())
    assert await process.said(0.1) == ("running", True, True, ())
    assert process.line.asked <= 2
    await process.checkup.close()


async def test_an_old_answer_is_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks first after a long pause hears what the broker says now, or that it does not say anything."""
    monkeypatch.setattr(checkup, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(checkup, "ANEW_SECONDS", 0.01)
    process = Process()
    process.line.error = BrokerAway("gone")
    await process.said()
    await until(lambda: process.checkup._line._asking is None)  # the answer has come
    process.line.error = None
    process.line.answers.clear()
    assert (await process.said())[3] == ("the broker does not answer: gone [broker-away]",)
    said = (await process.said(checkup.OLD_SECONDS))[3]
    assert said == ("the broker does not answer: it was asked just now, and for a while nobody has asked it before",)
    monkeypatch.setattr(checkup, "ANEW_SECONDS", BOUND)
    looking = asyncio.create_task(process.said())
    process.line.answers.set()
    assert await looking == ("running", True, True, ())


async def test_nothing_is_asked_of_a_broker_that_is_being_closed() -> None:
    """And who waits for its answer is let go."""
    process = Process()
    process.line.answers.clear()
    looking = asyncio.create_task(process.said())
    await until(lambda: bool(process.line.asked))
    await process.checkup.close()
    await looking
    await process.said(BOUND)
    assert process.line.asked == 1


# --- before it has started


async def test_only_a_broker_that_does_not_answer_or_has_no_room_is_waited_for() -> None:
    """Anything else in the list of faults would be the same the next time; and who is told to stop, stops."""
    entrance, stopped = Entrance(lambda: 0.0), asyncio.Event()
    stopped.set()
    assert (await entrance.health()).reasons == ("it is starting",)
    away = BrokerAway("it is down", why="refused")
    await entrance.wait(StartRefused("no", (away,)), stopped)
    await entrance.wait(away, stopped)
    assert (await entrance.health()).reasons == ("it is starting", "the broker does not answer: refused")
    await entrance.wait(DiskFull("no room", why="0 bytes are free"), stopped)
    assert (await entrance.health()).reasons[1] == "the disk is full: 0 bytes are free"
    with pytest.raises(StartRefused):
        await entrance.wait(StartRefused("no", (away, DefinitionError("wrong"))), stopped)


async def test_without_the_extra_a_person_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing starts, and nothing has been listened to."""
    for name in [
        each for each in sys.modules if each.startswith(("mainstem.web.server", "mainstem.service.process.r"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(DefinitionError, match="not installed") as refused:
        await serve(Service("shop"), broker="sqlite:///:memory:", dev=True, http=Address("127.0.0.1", 0))
    assert "mainstem[http]" in refused.value.remedy


# --- what is measured


@contextmanager
def declared(*instruments: Counter | Gauge | Histogram) -> Iterator[Tally]:
    """What these say, and nothing else, is heard."""
    others = dict(INSTRUMENTS)
    INSTRUMENTS.clear()
    INSTRUMENTS.update((each.name, each) for each in instruments)
    tally = Tally()
    try:
        with heard_by(tally.hear):
            yield tally
    finally:
        INSTRUMENTS.clear()
        INSTRUMENTS.update(others)


def test_names_and_numbers_are_those_of_opentelemetrys_exporter() -> None:
    """Character by character, but for the labels about the library that has measured."""
    counter = Counter("messaging.client.consumed.messages", "{message}", "Records that were read.")
    age = Gauge("mainstem.lag.duration", "ms", "How old.")
    with declared(counter, age) as tally, age.told_by(lambda: [(4, {"p": "0"})]):
        counter.add(3, {"messaging.system": "mainstem", "g": 'a"b\\c\nd'})
        counter.add(2, {"g": 'a"b\\c\nd', "messaging.system": "mainstem"})
        counter.add(1.5, {"flag": True})
        assert exposition(tally).splitlines() == [
            "# HELP mainstem_lag_duration_milliseconds How old.",
            "# TYPE mainstem_lag_duration_milliseconds gauge",
            'mainstem_lag_duration_milliseconds{p="0"} 4.0',
            "# HELP messaging_client_consumed_messages_total Records that were read.",
            "# TYPE messaging_client_consumed_messages_total counter",
            'messaging_client_consumed_messages_total{flag="true"} 1.5',
            'messaging_client_consumed_messages_total{g="a\\"b\\\\c\\nd",messaging_system="mainstem"} 5.0',
        ]
    assert not counter.wanted


def test_durations_are_counted_in_buckets_that_grow() -> None:
    """Each bucket counts what is at most as long; the last one counts everything, and so does the count."""
    took = Histogram("messaging.process.duration", "s", "How long.")
    with declared(took) as tally:
        for seconds in (0.001, SECONDS[0], 0.3, 99.0):
            took.record(seconds, {})
        [family] = text_string_to_metric_families(exposition(tally))
    found = {(each.name.removeprefix(family.name), each.labels.get("le")): each.value for each in family.samples}
    assert (family.name, family.type) == ("messaging_process_duration_seconds", "histogram")
    assert [found["_bucket", str(bound)] for bound in SECONDS] == [2.0] * 6 + [2.0] + [3.0] * 7
    assert found["_bucket", "+Inf"] == found["_count", None] == 4
    assert found["_sum", None] == pytest.approx(0.001 + SECONDS[0] + 0.3 + 99.0)


def test_an_instrument_that_has_heard_nothing_is_described_all_the_same() -> None:
    """So that a dashboard can be made before anything has gone wrong."""
    with declared(Counter("mainstem.tasks.lost", "{task}", "Tasks that were lost.")) as tally:
        assert exposition(tally).splitlines() == [
            "# HELP mainstem_tasks_lost_total Tasks that were lost.",
            "# TYPE mainstem_tasks_lost_total counter",
        ]
