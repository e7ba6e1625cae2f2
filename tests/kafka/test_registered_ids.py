"""Events with the ids of their schemas on a real Kafka."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.test_registered_ids import Kinds, there_and_back


async def test_ids_go_from_service_to_service_and_to_other_clients(
    kafka: str, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as on the embedded broker: Avro, Protobuf and JSON, ids before the payload and in a header."""
    url = f"kafka://{kafka}?state_folder={tmp_path}/state"
    await there_and_back(url, Kinds(unique("ids")), tmp_path, monkeypatch)
