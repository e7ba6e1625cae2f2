"""The tool that runs brokers for the tests."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tools.kafka import Cluster


@pytest.fixture
def clusters(tmp_path: Path, kafka_jars: Path) -> Iterator[list[Cluster]]:
    """One cluster of one node, seen twice: by who starts it, and by who finds it later."""
    clusters = [Cluster(tmp_path, kafka_jars, ends_with_us=True) for _ in range(2)]
    try:
        yield clusters
    finally:
        for cluster in clusters:
            for node in cluster.nodes:
                node.kill()


def test_a_cluster_goes_on_after_an_unclean_end(clusters: list[Cluster]) -> None:
    """A node that was killed starts again with what it held, and where it was unless somebody else listens there.

    Who did not start it finds it, and ends it.
    """
    first, second = clusters
    first.start()
    admin = AdminClient({"bootstrap.servers": first.address})
    admin.create_topics([NewTopic("kept", 1)])["kept"].result()
    before = first.address
    first.nodes[0].kill()
    assert (first.running, second.running) == (0, 0)
    second.start()
    assert second.address == before
    assert (first.running, second.running) == (1, 1)
    assert "kept" in AdminClient({"bootstrap.servers": first.address}).list_topics(timeout=20).topics
    first.stop()
    assert (first.running, second.running) == (0, 0)
    host, port = before.split(":")
    with socket.create_server((host, int(port))):
        first.start()
        assert first.address != before
