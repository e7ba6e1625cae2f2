"""The cluster goes away and comes back: services go on, and no commit is lost or made twice."""

import time
from pathlib import Path

import pytest

from tests.crash.crew import wait_until
from tests.crash.journal import read_journal
from tests.crash.page import Ask
from tests.kafka.failures.conftest import Clusters
from tests.kafka.failures.crew import KafkaCrew
from tests.kafka.failures.probes import SENT

AWAY_SECONDS = 10.0
QUICK_ANSWERS = "&answer_seconds=2"
"""So that what takes a minute by default, a commit that gets no answer, comes to pass within seconds."""


@pytest.mark.timeout(200)
def test_a_broker_that_is_away_for_a_while(tmp_path: Path, start_cluster: Clusters) -> None:
    """Killed with a transaction open, and back after ten seconds: whatever became of it, tasks are taken over anew.

    The session outlasts the time that a commit has, so that this is what a task is lost by.
    """
    cluster = start_cluster()
    (tmp_path / "mended").touch()
    with KafkaCrew(tmp_path, cluster, "--session-timeout", "8", options=QUICK_ANSWERS) as crew:
        holding = crew.up("worker", "holding")
        crew.up("worker", "running")
        producer = crew.up("producer", "producer-1", "--patient")
        wait_until(lambda: published(crew) > 100, "some load", producer)
        holding.wait_at(Ask.WAIT, SENT)
        cluster.nodes[0].kill()
        holding.page.withdraw()
        away_until = time.monotonic() + AWAY_SECONDS
        wait_until(lambda: time.monotonic() > away_until, "time to pass")
        crew.require_alive()
        cluster.nodes[0].start()
        cluster.wait()
        before = published(crew)
        wait_until(lambda: published(crew) > before + 100, "the load to go on", producer)
        assert producer.end() == 0
        report = crew.finish()
        assert "is lost" in holding.say(), "no commit was hit"
    print(report)
    assert report.sound, str(report)


def published(crew: KafkaCrew) -> int:
    """How many events the producer has tried to publish."""
    return read_journal(crew.folder / "producer-1.journal").next_number
