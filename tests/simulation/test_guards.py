"""Each guard is needed: with one of them switched off, the search finds a violation within two hundred seeds."""

import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from mainstem import Context, IntegrationEvent, Service
from mainstem.broker.sqlite import transaction
from mainstem.database import Connection, Write, write_rows, writer
from mainstem.delivery.context import Incarnation
from mainstem.delivery.lanes import Progress
from mainstem.errors import CommitRefused
from mainstem.settings import Settings
from mainstem.state import timers
from mainstem.testing import SeedFailed, SimulationLoop, lose_ownership, search, simulate
from tests.simulation import bells
from tests.simulation.accounts import scenario

SEEDS = 200


def found() -> str:
    """What the search finds among the accounts. Fails when it finds nothing."""
    with pytest.raises(SeedFailed) as failed:
        search(scenario, SEEDS)
    return failed.value.error


def test_commits_are_fenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the owner epoch, an owner that was replaced overwrites what the new one has done."""
    monkeypatch.setattr(transaction, "check_epoch", lambda _connection, _owner: None)
    assert found()


def test_what_is_completed_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the completed set, events beyond the position are handled again by the next owner."""
    monkeypatch.setattr(Progress, "restore", lambda _self, _completed: None)
    assert "AssertionError" in found()


def test_a_firing_that_has_begun_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its row, what a firing still had to do behind its checkpoint is never done."""
    monkeypatch.setattr(timers, "begun", lambda _state: [])
    with pytest.raises(SeedFailed):
        search(bells.scenario, SEEDS)


class Interrupted:
    """Refuses now and then a task's changes when its facts are written already."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.left = 1

    def __call__(
        self, connection: Connection, group: int, task: int, store: str, changes: Sequence[tuple[bytes, bytes | None]]
    ) -> None:
        if self.left and store == "numbers" and self.random.random() < 0.1:
            self.left -= 1
            raise CommitRefused("refused in the middle")
        write_rows(connection, group, task, store, changes)


async def interrupted_scenario() -> None:
    """The accounts, with a commit that is refused in the middle."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulationLoop)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(transaction, "write_rows", Interrupted(loop.seed))
        await scenario()


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
    search(interrupted_scenario, 50)
    monkeypatch.setattr(writer.Writer, "_apply_one", without_savepoint)
    with pytest.raises(SeedFailed):
        search(interrupted_scenario, SEEDS)


# -- the incarnation


class Knocked(IntegrationEvent, topic="knocks", key="door"):
    door: str


async def stubborn_scenario() -> None:
    """A handler that keeps on after its task was lost; nothing it does then may be taken for done."""
    service = Service("stubborn")
    service.topic("knocks", partitions=1)
    knocks = service.store("knocks", int)
    written_late: list[str] = []

    @service.on(Knocked)
    async def knock(event: Knocked, context: Context) -> None:
        try:
            await asyncio.sleep(12)
        except asyncio.CancelledError:
            context.put(knocks, 1)
            written_late.append(event.door)

    faults = [lose_ownership("handler.begin")]
    async with simulate(service, workers=2, faults=faults, settings=Settings(session_timeout_seconds=5)) as world:
        await world.publish(Knocked("a"))
        await world.settle()
        assert written_late == [], "a context wrote after its task was lost"


def test_a_lost_task_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The contexts of an older incarnation refuse every write; without the check, they take it in silence."""
    search(stubborn_scenario, 20)
    monkeypatch.setattr(Incarnation, "check", lambda _self: None)
    with pytest.raises(SeedFailed, match="a context wrote after its task was lost"):
        search(stubborn_scenario, SEEDS)
