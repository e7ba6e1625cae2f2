"""Clusters to be mistreated: each test, or each file of tests, that wants one has it for itself."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kafka.failures.crew import KafkaCrew
from tools.kafka import Cluster

SHORT_SESSION = ("--session-timeout", "1")
"""Whoever was killed is replaced soon; too soon for a busy machine on which nobody is killed."""

Clusters = Callable[..., Cluster]


@contextmanager
def clusters(folder: Path, jars: Path) -> Iterator[Clusters]:
    """Gives a function that starts a cluster, with settings over those of all tests; all end with the block."""
    started: list[Cluster] = []

    def start(settings: Mapping[str, str] | None = None, nodes: int = 1) -> Cluster:
        cluster = Cluster(folder / f"kafka-{len(started)}", jars, nodes=nodes, settings=settings, ends_with_us=True)
        started.append(cluster)
        cluster.start()
        return cluster

    try:
        yield start
    finally:
        for node in (node for cluster in started for node in cluster.nodes):
            node.kill()


@pytest.fixture
def start_cluster(tmp_path: Path, kafka_jars: Path) -> Iterator[Clusters]:
    """Starts a cluster that ends with the test."""
    with clusters(tmp_path, kafka_jars) as start:
        yield start


@pytest.fixture(scope="session")
def session_crew(tmp_path_factory: pytest.TempPathFactory, kafka_jars: Path) -> Iterator[KafkaCrew]:
    """A cluster for all tests, one after the other: each checks everything that is in it by then."""
    folder = tmp_path_factory.mktemp("crew")
    (folder / "mended").touch()
    with clusters(folder, kafka_jars) as start, KafkaCrew(folder, start(), *SHORT_SESSION) as crew:
        yield crew


@pytest.fixture
def crew(session_crew: KafkaCrew) -> Iterator[KafkaCrew]:
    """The same, of which nobody is left when the test is over."""
    yield session_crew
    for member in session_crew.members.values():
        if member.alive:
            member.kill()
    session_crew.members.clear()
