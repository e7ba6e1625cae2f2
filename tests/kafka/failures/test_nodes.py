"""A cluster of three nodes loses one of them: another leads its partitions, and services go on."""

from pathlib import Path

import pytest

from tests.crash.crew import wait_until
from tests.crash.journal import read_journal
from tests.kafka.failures.conftest import Clusters
from tests.kafka.failures.crew import KafkaCrew
from tools.kafka import Cluster

DEFAULTS = {
    "offsets.topic.num.partitions": "50",
    "transaction.state.log.num.partitions": "50",
    "group.initial.rebalance.delay.ms": "3000",
    "group.min.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "45000",
    "group.consumer.min.heartbeat.interval.ms": "5000",
    "broker.session.timeout.ms": "9000",
    "broker.heartbeat.interval.ms": "2000",
    "num.network.threads": "3",
    "num.io.threads": "8",
}
"""What brokers have of which nobody has changed anything, where those of the other tests differ."""


def lose_a_node(folder: Path, cluster: Cluster, session_seconds: str) -> None:
    """Kill the node that leads most under load; nothing is lost, and nothing is done twice."""
    (folder / "mended").touch()
    with KafkaCrew(folder, cluster, "--session-timeout", session_seconds) as crew:
        crew.up("worker", "worker-1")
        crew.up("worker", "worker-2")
        producer = crew.up("producer", "producer-1", "--patient")
        wait_until(lambda: published(crew) > 60, "some load", producer)
        cluster.nodes[leads_most(crew) - 1].kill()
        before = published(crew)
        wait_until(lambda: published(crew) > before + 60, "the load to go on", producer)
        assert producer.end() == 0
        report = crew.finish()
    print(report)
    assert report.sound, str(report)


def published(crew: KafkaCrew) -> int:
    """How many events the producer has tried to publish."""
    return read_journal(crew.folder / "producer-1.journal").next_number


def leads_most(crew: KafkaCrew) -> int:
    """The number of the node that leads the partitions of transactions and positions, or else of most topics."""
    leaders = crew.log.leaders()
    return max(set(leaders), key=leaders.count)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_one_of_three_nodes_is_killed(tmp_path: Path, start_cluster: Clusters) -> None:
    """Leaders and coordinators move to the others within seconds."""
    lose_a_node(tmp_path, start_cluster({}, nodes=3), "4")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_one_of_three_nodes_is_killed_on_default_settings(tmp_path: Path, start_cluster: Clusters) -> None:
    """The same where nobody has tuned the brokers: they notice after nine seconds that one is gone."""
    lose_a_node(tmp_path, start_cluster(DEFAULTS, nodes=3), "10")
