"""Every guard keeps a promise in a crash, and without it the checker sees that the promise is broken."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.crash.checker import Report, check, unsettled
from tests.crash.crew import Crew, Member, NotInTime, wait_until
from tests.crash.journal import read_journal
from tests.crash.logfile import Database
from tests.crash.page import PREPARED, Ask, Page

ATTEMPTS = 3
Scenario = Callable[[Crew], object]

ACKNOWLEDGED = "an acknowledged event is in the log, once"
COUNTED = "a step is counted once, in its order"
DONE_ONCE = (
    COUNTED,
    "a step that failed is handled once, and nothing of its key overtakes it",
    "an output is handled once, in its order",
    "what stands before a checkpoint is done once",
)


def guarded(folder: Path, scenario: Scenario) -> None:
    """With the guard, the scenario does no harm."""
    with Crew(folder) as crew:
        (folder / "mended").touch()
        scenario(crew)
        report = crew.finish()
    assert report.sound, str(report)
    assert report.counts["in the log"] > 0


def unguarded(folder: Path, scenario: Scenario, guard: str, *rules: str) -> None:
    """Without it, the checker says which promise was broken: one of these, depending on which task it hits.

    On a busy machine a scenario may miss its moment, and is played again.
    """
    for attempt in range(ATTEMPTS):
        report = _played_without(folder / str(attempt), scenario, guard, rules)
        if found := broken(report, rules):
            break
    assert found, f"without {guard} nothing went wrong:\n{report}"
    assert f"BROKEN: {found[0]}" in str(report)


def _played_without(folder: Path, scenario: Scenario, guard: str, rules: Iterable[str]) -> Report:
    folder.mkdir()
    with Crew(folder, without=guard) as crew:
        (folder / "mended").touch()
        scenario(crew)
        # Perhaps it never comes to rest; what the checker finds is what counts.
        with suppress(NotInTime):
            wait_until(lambda: bool(broken(check(folder), rules)), "harm", within_seconds=30, every_seconds=0.1)
    return check(folder)


def broken(report: Report, rules: Iterable[str]) -> list[str]:
    """Which rules are broken for good, whatever may still be done."""
    return [
        rule
        for rule in rules
        if any(rule == ACKNOWLEDGED or "too often" in what for what in report.differences.get(rule, ()))
    ]


def counted(crew: Crew) -> int:
    """How many steps were counted and committed."""
    with Database(crew.database) as database:
        return sum(1 for _ in database.records("tallied"))


def replaced_while_stopped(crew: Crew) -> Member:
    """A worker stops when it is about to commit, is replaced, and goes on; returns the one that has replaced it."""
    old = crew.up("worker", "old", *crew.careless)
    crew.run("producer", "producer-1", "--count", "40", "--pause", "0.005")
    crew.settle()
    old.page.ask(Ask.STOP, PREPARED)
    crew.run("producer", "producer-2", "--count", "40", "--pause", "0.005")
    wait_until(lambda: old.stopped, "the old owner to stop", old)
    successor = crew.up("worker", "successor")
    crew.settle()
    old.page.forget()
    old.go_on()
    answered = "before-acknowledge"
    wait_until(lambda: old.page.judged and old.page.reached == answered, "the old owner's commit to be answered", old)
    return successor


def test_the_owner_epoch_fences_an_owner_that_was_replaced(tmp_path: Path) -> None:
    """A worker that was stopped and replaced cannot commit what it had under way."""
    guarded(tmp_path, replaced_while_stopped)
    page = Page(tmp_path / "old.page")
    assert page.refused
    page.close()


def test_without_the_owner_epoch_it_commits(tmp_path: Path) -> None:
    """It counts what its successor has counted already."""
    unguarded(tmp_path, replaced_while_stopped, "owner_epoch", *DONE_ONCE)


def taken_back(crew: Crew) -> None:
    """A worker loses all tasks to another one, which does some work, and then gets them back."""
    successor = replaced_while_stopped(crew)
    crew.run("producer", "producer-3", "--count", "40", "--pause", "0.005")
    if crew.careless:
        # With what is wrong already, it may not come to rest.
        with suppress(NotInTime):
            crew.settle(within_seconds=5)
    else:
        crew.settle()
    successor.end()
    crew.run("producer", "producer-4", "--count", "40", "--pause", "0.005")


def test_an_incarnation_remembers_nothing_of_an_older_one(tmp_path: Path) -> None:
    """A worker that gets a task back reads what it is to remember, and goes on from there."""
    guarded(tmp_path, taken_back)


def test_without_incarnations_it_goes_on_from_memory(tmp_path: Path) -> None:
    """It counts on from what it remembers, and what was done meanwhile is lost."""
    unguarded(tmp_path, taken_back, "incarnation", *DONE_ONCE)


def refused_half_way(crew: Crew) -> None:
    """A commit fails after it has written some of its facts, because the topic of the next ones was deleted."""
    worker = crew.up("worker", "worker-1", *crew.careless)
    deletes = crew.up("delete-topic", "deletes")
    gate = crew.folder / "gate-doomed"
    gate.touch()
    crew.run("producer", "producer-1", "--count", "20", "--pause", "0.005")
    crew.run("producer", "producer-2", "--count", "20", "--keys", "doomed", "--pause", "0.005")
    wait_until(lambda: only_waits_at_the_gate(crew), "everything else to be worked off", worker)
    worker.page.ask(Ask.STOP, PREPARED)
    gate.unlink()
    wait_until(lambda: worker.stopped, "the worker to stop", worker)
    (crew.folder / "delete-now").touch()
    assert deletes.wait_for_end() == 0
    worker.go_on()
    assert crew.ends(worker) == 1
    assert "[unknown-topic]" in worker.say()
    crew.up("worker", "worker-2")


def only_waits_at_the_gate(crew: Crew) -> bool:
    """Whether all that is left to do is one partition of the ledger's."""
    left = unsettled(crew.database)
    return counted(crew) == 20 and len(left) == 1 and "ledger in steps" in left[0]


def test_a_savepoint_takes_back_what_a_refused_commit_has_written(tmp_path: Path) -> None:
    """Nothing of a commit that fails half-way is in the file."""
    guarded(tmp_path, refused_half_way)


def test_without_savepoints_half_a_commit_stays(tmp_path: Path) -> None:
    """The facts of the failed commit are there, and come again."""
    unguarded(tmp_path, refused_half_way, "savepoint", COUNTED)


def killed_before_the_sync(crew: Crew) -> None:
    """A producer is killed when its events are written and not yet durable."""
    producer = crew.up("producer", "producer-1", "--pause", "0.005", *crew.careless)
    journal = crew.folder / "producer-1.journal"
    wait_until(lambda: len(read_journal(journal).acknowledged) > 3, "some events to be acknowledged", producer)
    producer.wait_at(Ask.WAIT, "before-commit")
    before = journal.read_text()
    with suppress(NotInTime):
        seconds = 30 if crew.careless else 0.5
        wait_until(lambda: journal.read_text() != before, "an acknowledgement too soon", within_seconds=seconds)
    producer.kill()
    crew.up("worker", "worker-1")


def test_an_acknowledgement_waits_for_the_sync(tmp_path: Path) -> None:
    """What was not durable when its producer was killed had not been acknowledged."""
    guarded(tmp_path, killed_before_the_sync)
    assert len(read_journal(tmp_path / "producer-1.journal").in_doubt) == 1


def test_without_waiting_acknowledged_events_are_lost(tmp_path: Path) -> None:
    """The producer believed in events that are not there."""
    unguarded(tmp_path, killed_before_the_sync, "acknowledge_after_fsync", ACKNOWLEDGED)


def killed_with_a_slow_event(crew: Crew) -> None:
    """One event takes long; those behind it are done and committed when the worker is killed."""
    gate = crew.folder / "gate-slow"
    gate.touch()
    worker = crew.up("worker", "worker-1", *crew.careless)
    crew.run("producer", "producer-1", "--count", "1", "--keys", "slow")
    crew.run("producer", "producer-2", "--count", "60", "--pause", "0.005")
    wait_until(lambda: counted(crew) == 60, "everything else to be counted", worker)
    with Database(crew.database) as database:
        assert ("ledger", "$completed", 1) in database.stores()
    worker.kill()
    gate.unlink()
    crew.up("worker", "worker-2", *crew.careless)


def test_the_completed_set_tells_what_is_done_already(tmp_path: Path) -> None:
    """The next owner handles the slow event, and none of those behind it again."""
    guarded(tmp_path, killed_with_a_slow_event)


def test_without_the_completed_set_events_are_handled_again(tmp_path: Path) -> None:
    """Whatever was done behind the slow event is done twice."""
    unguarded(tmp_path, killed_with_a_slow_event, "completed_set", *DONE_ONCE)


@pytest.mark.parametrize("rule", [ACKNOWLEDGED, *DONE_ONCE])
def test_the_rules_have_names(rule: str) -> None:
    """What these tests look for is what the checker says."""
    assert rule in Path(check.__code__.co_filename).read_text()
