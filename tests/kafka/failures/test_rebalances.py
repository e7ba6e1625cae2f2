"""Workers come and go in good order while there is work: tasks move with what they know, and nothing is done twice."""

from tests.crash.crew import wait_until
from tests.crash.journal import read_journal
from tests.kafka.failures.crew import KafkaCrew

WORKERS = ("worker-1", "worker-2")


def test_all_workers_are_restarted_one_by_one(crew: KafkaCrew) -> None:
    """Each drains, ends without complaint, and comes back; the load never stops."""
    for name in WORKERS:
        crew.up("worker", name)
    producer = crew.up("producer", "producer-rolling")
    for name in WORKERS:
        before = published(crew)
        assert crew.members[name].end() == 0, crew.members[name].say()[-3_000:]
        crew.up("worker", name)
        wait_until(lambda before=before: published(crew) > before, "the load to go on", producer)  # type: ignore[misc]
    assert producer.end() == 0
    require_sound(crew)


def test_a_task_moves_while_its_handlers_run(crew: KafkaCrew) -> None:
    """Whoever joins takes tasks over in which handlers stand still; what they had not committed is done once."""
    crew.up("worker", "first")
    crew.settle()
    (crew.folder / "gate-key-3").touch()
    (crew.folder / "gate-key-5").touch()
    (crew.folder / "gate-key-8").touch()
    crew.run("producer", "producer-moving", "--count", "60", "--pause", "0.005")
    wait_until(lambda: len(crew.unsettled()) > 0, "handlers to stand still")
    crew.up("worker", "second")
    for gate in crew.folder.glob("gate-*"):
        gate.unlink()
    require_sound(crew)


def published(crew: KafkaCrew) -> int:
    """How many events the producer has tried to publish."""
    return read_journal(crew.folder / "producer-rolling.journal").next_number


def require_sound(crew: KafkaCrew) -> None:
    """Let everything be worked off and everybody drain; then every promise is kept."""
    report = crew.finish(within_seconds=60)
    print(report)
    assert report.sound, str(report)
