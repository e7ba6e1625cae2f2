"""Each guard is needed: with one of them switched off, the search finds a violation, through the fault it is there for.

With every guard on, the same faults do no harm.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

import pytest

from mainstem import Context, IntegrationEvent, Service
from mainstem.broker import Change, Ownership, Record, TopicPartition, Transaction
from mainstem.broker.sqlite import transaction
from mainstem.database import Connection, Write, write_rows, writer
from mainstem.delivery.commit import commit
from mainstem.delivery.context import Incarnation
from mainstem.delivery.desk.desk import Desk
from mainstem.delivery.gates.doubles import Doubles
from mainstem.delivery.lanes import Lanes, Progress
from mainstem.delivery.works import alarm
from mainstem.delivery.works.works import EventWork, SievedWork
from mainstem.errors import BrokerAway, CommitRefused, CommitUnknown
from mainstem.settings import Settings
from mainstem.state import timers
from mainstem.testing import (
    GUARANTEES,
    Fault,
    Simulation,
    World,
    assign_twice,
    crash,
    duplicate,
    fail,
    jump,
    lose_answer,
    lose_ownership,
    outage,
    rebalance,
    refuse_commit,
    slow,
)
from mainstem.testing.searching.plays import Failure, play
from tests.simulation import accounts, bells
from tests.simulation.till import JUMP_MS, Printer, simulation, tills_are_closed_in_time

SEEDS = 100

Off = Callable[[pytest.MonkeyPatch], None]


def no_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner that was replaced commits as if it were not."""
    monkeypatch.setattr(transaction, "check_epoch", lambda _connection, _owner: None)


def no_completed_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next owner does not know what was done beyond the position."""
    monkeypatch.setattr(Progress, "restore", lambda _self, _completed: None)


def no_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether an event was there before."""
    monkeypatch.setattr(Doubles, "is_double", lambda *_: False)


def no_parking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events pass by a letter of their key."""
    monkeypatch.setattr(Desk, "passed_by", lambda *_: False)


def no_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events of one key run beside each other."""
    add = Lanes.add

    def add_without_keys(self: Lanes, works: Sequence[Any]) -> None:
        for work in works:
            if isinstance(work, EventWork | SievedWork):
                work.key = None
        add(self, works)

    monkeypatch.setattr(Lanes, "add", add_without_keys)


def no_look_at_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer sleeps until it is due by the clock as it was."""
    monkeypatch.setattr(alarm, "LONGEST_SLEEP_SECONDS", 1e9)


class Obstinate:
    """A transaction whose commit ends well in any case, whatever the broker says."""

    def __init__(self, ownership: Ownership, *, again: bool) -> None:
        self.inner: Transaction = ownership.transaction()
        self.ownership = ownership
        self.again = again
        self.facts: list[tuple[TopicPartition, Sequence[Record]]] = []
        self.written: list[Change] = []
        self.moved: Mapping[TopicPartition, int] = {}

    def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
        self.facts.append((at, records))
        self.inner.append(at, records)

    def changes(self, changes: Sequence[Change]) -> None:
        self.written = [Change(*each) for each in changes]
        self.inner.changes(self.written)

    def positions(self, positions: Mapping[TopicPartition, int]) -> None:
        self.moved = positions
        self.inner.positions(positions)

    async def commit(self) -> Mapping[TopicPartition, int]:
        try:
            return await self.inner.commit()
        except (CommitUnknown, CommitRefused, BrokerAway):
            if not self.again:
                return {}
        retry = self.ownership.transaction()
        for at, records in self.facts:
            retry.append(at, records)
        retry.changes(self.written)
        retry.positions(self.moved)
        return await retry.commit()

    def abort(self) -> None:
        self.inner.abort()


class ObstinateOwnership:
    def __init__(self, inner: Ownership, *, again: bool) -> None:
        self.inner = inner
        self.task, self.epoch, self.positions, self.remembers = inner.task, inner.epoch, inner.positions, True
        self.again = again

    def transaction(self) -> Transaction:
        return Obstinate(self.inner, again=self.again)  # type: ignore[return-value]  # it is enough of one


def taken_for(monkeypatch: pytest.MonkeyPatch, *, again: bool) -> None:
    """A commit that did not end well is taken for done, or simply tried again."""
    monkeypatch.setattr(
        "mainstem.delivery.tasks.task.commit",
        lambda ledger, ownership, point: commit(ledger, ObstinateOwnership(ownership, again=again), point),
    )


GUARDS: list[tuple[str, Off, tuple[Fault, ...]]] = [
    ("crash", no_completed_set, (crash("commit.committed", times=3), slow(Printer.print, by="3s", times=2))),
    ("rebalance", no_completed_set, (rebalance("handler.end", times=2), slow(Printer.print, by="50s", times=2))),
    ("cut off", no_fence, (lose_ownership("handler.begin"), slow(Printer.print, by="20s", times=2))),
    ("standing still in a commit", no_fence, (lose_ownership("commit.*", stand_still=True),)),
    ("assigned twice", no_fence, (assign_twice("handler.*"), slow(Printer.print, by="3s", times=2))),
    ("refused", partial(taken_for, again=False), (refuse_commit(),)),
    ("unknown, has not happened", partial(taken_for, again=False), (lose_answer(happened=False),)),
    ("unknown, has happened", partial(taken_for, again=True), (lose_answer(happened=True),)),
    ("the broker is away", partial(taken_for, again=False), (outage(),)),
    ("sent twice", no_doubles, (duplicate(times=3),)),
    ("a dependency that fails", no_parking, (fail(Printer.print, ConnectionError, times=4),)),
    ("a dependency that is slow", no_lanes, (slow(Printer.print, by="3s", times=2),)),
    ("the clock jumps", no_look_at_the_clock, (jump(JUMP_MS / 1_000),)),
]


def found(simulation: Simulation, seeds: int = SEEDS) -> Failure | None:
    """The first failure, as it is; None where there is none."""
    failures = (play(simulation, seed).failure for seed in range(seeds))
    return next((each for each in failures if each is not None), None)


@pytest.mark.parametrize(("off", "faults"), [pytest.param(off, faults, id=name) for name, off, faults in GUARDS])
def test_a_guard_is_needed(off: Off, faults: tuple[Fault, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """With all guards on its fault does no harm; with the one that is there for it switched off, it does."""
    service = simulation(*faults, invariants=(tills_are_closed_in_time,))
    assert found(service, 5) is None
    off(monkeypatch)
    if off is not no_look_at_the_clock:  # also when time is skipped the clock jumps, and that happens in any case
        assert play(service, 0).failure is None, "without any fault, nobody misses the guard"
    assert found(service) is not None


def test_a_firing_that_has_begun_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its row, what a firing still had to do behind its checkpoint is never done."""
    monkeypatch.setattr(timers, "begun", lambda _state: [])
    assert found(bells.simulation) is not None


class Interrupted:
    """Refuses now and then a task's changes when its facts are written already."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.left = 1

    def __call__(
        self, connection: Connection, group: int, task: int, store: str, changes: Sequence[tuple[bytes, bytes | None]]
    ) -> None:
        if self.left and store == "numbers" and self.random.random() < 0.1:
            self.left -= 1
            raise CommitRefused("refused in the middle")
        write_rows(connection, group, task, store, changes)


async def interrupted_scenario(world: World) -> None:
    """The accounts, with a commit that is refused in the middle."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(transaction, "write_rows", Interrupted(world.random))
        await accounts.scenario(world)
        await world.settle()


def without_savepoint(self: writer.Writer, pending: writer._Pending) -> None:
    """A work that is refused leaves behind what it has written so far."""
    write = Write(self._connection)
    try:
        pending.result = pending.work.run(write)
        pending.touched = write.touched
    except Exception as error:  # noqa: BLE001
        pending.error = error


def test_a_refused_commit_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its savepoint, a commit that is refused in the middle never happened; without, its facts stay."""
    interrupted = Simulation(
        accounts.accounts,
        scenario=interrupted_scenario,
        invariants=GUARANTEES,
        faults=(),
        replace={accounts.Outside: accounts.open_outside},
    )
    assert found(interrupted, 8) is None
    monkeypatch.setattr(writer.Writer, "_apply_one", without_savepoint)
    assert found(interrupted) is not None


# -- the incarnation


class Knocked(IntegrationEvent, topic="knocks", key="door"):
    door: str


class Door:
    """Remembers what was written after the task of whoever wrote it was lost."""

    def __init__(self) -> None:
        self.written_late: list[str] = []


stubborn = Service("stubborn")
stubborn.topic("knocks", partitions=1)
stubborn.provide(Door, Door)
knocks = stubborn.store("knocks", int)


@stubborn.on(Knocked)
async def knock(event: Knocked, context: Context, door: Door) -> None:
    """Keep on after the task was lost; nothing it does then may be taken for done."""
    try:
        await asyncio.sleep(12)
    except asyncio.CancelledError:
        context.put(knocks, 1)
        door.written_late.append(event.door)


def nothing_is_written_late(world: World) -> None:
    """The contexts of an older incarnation refuse every write."""
    assert world.stand_in(Door).written_late == [], "a context wrote after its task was lost"


async def somebody_knocks(world: World) -> None:
    """Once."""
    await world.publish(Knocked("a"))


def test_a_lost_task_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check of its incarnation, a context takes what comes too late in silence."""
    lost = Simulation(
        stubborn,
        scenario=somebody_knocks,
        invariants=[nothing_is_written_late],
        faults=[lose_ownership("handler.begin", probability=1.0)],
        replace={Door: Door},
        workers=2,
        settings=Settings(session_timeout_seconds=5),
    )
    assert found(lost, 5) is None
    monkeypatch.setattr(Incarnation, "check", lambda _self: None)
    assert "a context wrote after its task was lost" in str(found(lost))
