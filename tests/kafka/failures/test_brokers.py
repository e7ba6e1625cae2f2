"""The cluster goes away and comes back: services go on, and no commit is lost or made twice.

A node that is alone is not killed under load here: between the two steps in which a broker ends a transaction a kill
can lose it, because the broker that starts again counts its partitions, which have no leader yet, as deleted.
"""

import signal
import time
from pathlib import Path

import pytest

from mainstem.service import OVERTIME_SECONDS
from tests.crash.crew import wait_until
from tests.crash.journal import read_journal
from tests.crash.page import Ask
from tests.kafka.failures.conftest import Clusters
from tests.kafka.failures.crew import KafkaCrew
from tests.kafka.failures.probes import SENT

AWAY_SECONDS = 5.0
GRACE_SECONDS = 5.0
"""That of the workload."""
SLACK_SECONDS = 3.0
"""Of a busy machine."""
QUICK_ANSWERS = "&answer_seconds=2"
"""So that what takes a minute by default, a commit that gets no answer, comes to pass within seconds."""


@pytest.mark.long
@pytest.mark.timeout(200)
def test_a_broker_is_restarted_in_the_middle_of_a_transaction(tmp_path: Path, start_cluster: Clusters) -> None:
    """Facts, changes and positions are sent, and the node is killed; after its restart each is there once."""
    cluster = start_cluster()
    (tmp_path / "mended").touch()
    with KafkaCrew(tmp_path, cluster) as crew:
        holding = crew.up("worker", "holding")
        crew.settle()
        holding.page.ask(Ask.WAIT, SENT)
        crew.run("producer", "producer-1", "--count", "30", "--pause", "0.005")
        holding.wait_at(Ask.WAIT, SENT)
        cluster.nodes[0].kill()
        cluster.nodes[0].start()
        cluster.wait()
        holding.page.withdraw()
        report = crew.finish()
    assert report.sound, str(report)


@pytest.mark.timeout(200)
def test_a_broker_that_is_away_for_a_while(tmp_path: Path, start_cluster: Clusters) -> None:
    """Five seconds without an answer under load: outcomes are unknown, tasks are taken anew, and nobody ends.

    The session outlasts the time that a commit has, so that this is what a task is lost by. The node's own one outlasts
    the pause: a node that is alone and thought dead ends no transaction, and its readers wait behind what is open.
    """
    cluster = start_cluster({"broker.session.timeout.ms": "60000"})
    (tmp_path / "mended").touch()
    with KafkaCrew(tmp_path, cluster, "--session-timeout", "6", options=QUICK_ANSWERS) as crew:
        crew.up("worker", "worker-1")
        crew.up("worker", "worker-2")
        producer = crew.up("producer", "producer-1", "--patient")
        wait_until(lambda: published(crew) > 100, "some load", producer)
        cluster.nodes[0].send(signal.SIGSTOP)
        back_at = time.monotonic() + AWAY_SECONDS
        wait_until(lambda: time.monotonic() > back_at and bool(lost(crew)), "a commit to be hit, and time to pass")
        crew.require_alive()
        cluster.nodes[0].send(signal.SIGCONT)
        before = published(crew)
        wait_until(lambda: published(crew) > before + 100, "the load to go on", producer)
        assert producer.end() == 0
        report = crew.finish()
    assert report.sound, str(report)


@pytest.mark.timeout(120)
def test_a_worker_ends_also_while_its_cluster_stands_still(tmp_path: Path, start_cluster: Clusters) -> None:
    """With commits on their way, and answers that would be waited for longer: the grace period, and ten seconds."""
    cluster = start_cluster()
    (tmp_path / "mended").touch()
    with KafkaCrew(tmp_path, cluster, "--session-timeout", "6", options="&answer_seconds=60") as crew:
        worker = crew.up("worker", "worker-1")
        producer = crew.up("producer", "producer-1", "--patient")
        wait_until(lambda: published(crew) > 100, "some load", producer)
        cluster.nodes[0].send(signal.SIGSTOP)
        worker.signal(signal.SIGTERM)
        worker.wait_for_end(GRACE_SECONDS + OVERTIME_SECONDS + SLACK_SECONDS)


def lost(crew: KafkaCrew) -> list[str]:
    """Who has lost a task because nobody knows what has become of its commit."""
    return [member.name for member in crew.members.values() if "is lost" in member.say()]


def published(crew: KafkaCrew) -> int:
    """How many events the producer has tried to publish."""
    return read_journal(crew.folder / "producer-1.journal").next_number
