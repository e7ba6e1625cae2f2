"""Registries that are not ours, fetched and started when the first test asks for one."""

from collections.abc import Iterator

import pytest

from tools.registries import running


@pytest.fixture(scope="session")
def apicurio() -> Iterator[str]:
    """The URL of an Apicurio Registry that was empty when the session began."""
    with running() as url:
        yield url
