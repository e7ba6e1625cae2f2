"""A worker is killed while it leaves, hands over, takes over or checkpoints: others finish what it has begun."""

import signal
from pathlib import Path

from tests.crash.crew import Crew, Member, wait_until
from tests.crash.logfile import Database
from tests.crash.page import ARRIVING_POINTS, CHECKPOINT_POINTS, LEAVING_POINTS, PREPARED, Ask

BUSY = ("--pause", "0.005")


def counted(crew: Crew) -> int:
    """How many steps were counted and committed."""
    with Database(crew.database) as database:
        return sum(1 for _ in database.records("tallied"))


def at_work(crew: Crew, worker: Member) -> Member:
    """The same worker, when it is up and something has been done since."""
    worker.wait_until_ready()
    before = counted(crew)
    wait_until(lambda: counted(crew) > before, "something to be done", worker)
    return worker


def caught(worker: Member, point: str) -> bool:
    """Whether the worker has come to a point where it was asked to wait, before it ended; it is killed there."""
    wait_until(lambda: worker.page.doing or not worker.alive, f"{worker.name} to reach {point}", worker)
    if there := worker.page.doing:
        worker.kill()
    return there


def killed_draining(crew: Crew, point: str) -> bool:
    """A worker is told to stop, and killed at a point of that; perhaps it does not come there."""
    worker = at_work(crew, crew.start("worker", "worker"))
    worker.page.ask(Ask.WAIT, "draining")
    worker.signal(signal.SIGTERM)
    wait_until(lambda: worker.page.doing, "the worker to drain", worker)
    worker.page.ask(Ask.WAIT, point)
    return caught(worker, point)


def test_a_worker_is_killed_while_it_drains(tmp_path: Path) -> None:
    """When it begins, at a commit, before a task is given back, before a group is left: nothing is lost."""
    (tmp_path / "mended").touch()
    with Crew(tmp_path) as crew:
        producer = crew.start("producer", "producer", *BUSY)
        for point in (PREPARED, *LEAVING_POINTS):
            while not killed_draining(crew, point):
                assert point == PREPARED, "only a commit may be unnecessary"
        crew.start("worker", "worker")
        assert producer.end() == 0
        report = crew.finish()
    assert report.sound, str(report)


def test_a_worker_is_killed_while_tasks_are_handed_over(tmp_path: Path) -> None:
    """Whether it is the one who gives or the one who takes: the other goes on, and nothing is lost or done twice."""
    (tmp_path / "mended").touch()
    with Crew(tmp_path) as crew:
        producer = crew.start("producer", "producer", *BUSY)
        owner = crew.start("worker", "worker-0")
        for number, point in enumerate(("draining", "releasing", *ARRIVING_POINTS), 1):
            at_work(crew, owner)
            gives = point in LEAVING_POINTS
            if gives:
                owner.page.ask(Ask.WAIT, point)
            newcomer = crew.start("worker", f"worker-{number}")
            if not gives:
                newcomer.page.ask(Ask.WAIT, point)
            assert caught(owner if gives else newcomer, point)
            owner = newcomer if gives else owner
        at_work(crew, owner)
        assert producer.end() == 0
        report = crew.finish()
    assert report.sound, str(report)


def test_a_worker_is_killed_while_it_checkpoints(tmp_path: Path) -> None:
    """With some pages copied, and with the write lock held: the file is whole, and others go on and checkpoint."""
    (tmp_path / "mended").touch()
    with Crew(tmp_path) as crew:
        producer = crew.start("producer", "producer", *BUSY)
        for point in CHECKPOINT_POINTS:
            worker = crew.up("worker", "worker", "--disk", "watched")
            worker.wait_at(Ask.WAIT, point)
            worker.kill()
            with Database(crew.database) as database:
                assert database.integrity() == [], f"after a kill at {point}"
        successor = crew.up("worker", "worker", "--disk", "watched")
        successor.wait_at(Ask.WAIT, "checkpoint-done")
        successor.page.withdraw()
        assert producer.end() == 0
        report = crew.finish()
    assert report.sound, str(report)


def test_a_process_that_is_waited_for_in_vain_says_where_it_stands(tmp_path: Path) -> None:
    """What a test prints of somebody who does not end names every task of its event loop, and what that waits for."""
    with Crew(tmp_path) as crew:
        said = crew.up("worker", "worker").stands()
    assert "_follow:" in said, said
