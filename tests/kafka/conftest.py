"""A real Kafka broker for the session: one that is there already, or one of our own."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tools.kafka import Cluster, Missing, fetched


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """The jars of the broker. Without them the test is skipped, or fails where MAINSTEM_TEST_KAFKA_REQUIRED is set."""
    try:
        return fetched()
    except Missing as missing:
        if os.environ.get("MAINSTEM_TEST_KAFKA_REQUIRED"):
            pytest.fail(f"Kafka is required here: {missing}", pytrace=False)
        pytest.skip(f"NOT TESTED ON KAFKA. {missing}; or name a broker in MAINSTEM_TEST_KAFKA=host:port")


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``host:port`` of a broker: the one of MAINSTEM_TEST_KAFKA, or one that lives as long as the session."""
    address = os.environ.get("MAINSTEM_TEST_KAFKA")
    if address:
        yield address
        return
    cluster = Cluster(tmp_path_factory.mktemp("kafka"), request.getfixturevalue("kafka_jars"), ends_with_us=True)
    try:
        cluster.start()
        yield cluster.address
    finally:
        for node in cluster.nodes:
            node.kill()


@pytest.fixture(scope="session")
def kafka_admin(kafka: str) -> AdminClient:
    """A client for what a test has to arrange."""
    return AdminClient({"bootstrap.servers": kafka})


_numbers = count(1)


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Names that nothing else on the broker has, whoever used it before."""
    return lambda label: f"{label}-{os.getpid()}-{next(_numbers)}"
