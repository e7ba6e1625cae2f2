"""What is not ours: fetched and started when the first test asks for it."""

from collections.abc import Iterator

import pytest

from tools.kafka import Cluster, fetched
from tools.registries import running


@pytest.fixture(scope="session")
def apicurio() -> Iterator[str]:
    """The URL of an Apicurio Registry that was empty when the session began."""
    with running() as url:
        yield url


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``host:port`` of a Kafka that nobody else uses, as a console lists everything that is there."""
    started = Cluster(tmp_path_factory.mktemp("kafka"), fetched(), ends_with_us=True)
    try:
        started.start()
        yield started.address
    finally:
        for node in started.nodes:
            node.kill()
