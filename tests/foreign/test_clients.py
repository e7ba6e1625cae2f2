"""The client in Go on which consoles for Kafka are built, every call of it, against our registry."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.rooms.registry.http.live import listening

FRANZ = Path(__file__).parent / "franz"
REFUSED = {"create broken": "is incompatible with an earlier schema", "unknown": "Schema 9999 not found"}
SAID = {
    "types": "[AVRO PROTOBUF JSON]",
    "create": "notes 1 1",
    "create again": "notes 2 2",
    "check all": "{true []}",
    "lookup": "notes 1 1",
    "refers": "a/b 1 3",
    "references": "1",
    "subjects": "[a/b notes]",
    "versions by id": "[{notes 1}]",
    "versions": "[1 2]",
    "latest": "notes 2 2",
    "set level": "notes FULL",
    "set mode": "notes READONLY",
    "ids by guid": "[{. 1}]",
    "contexts": "[.]",
    "delete hard": "[1 2]",
}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go here")
def test_a_client_in_go_understands_every_answer(tmp_path: Path) -> None:
    """What it asks for it is given, and it reads the refusals."""
    program = tmp_path / "try"
    subprocess.run(["go", "build", "-o", program, "."], cwd=FRANZ, check=True)
    with listening() as address:
        ended = subprocess.run([program, f"http://{address}"], capture_output=True, text=True, check=True, timeout=60)
    told = [line.split("\t") for line in ended.stdout.splitlines()]
    said = {what: value for what, value, _ in reversed(told)}
    assert {what: said[what] for what in SAID} == SAID
    failed = {what: why for what, _, why in told if why != "<nil>"}
    assert set(failed) == set(REFUSED)
    assert all(REFUSED[what] in failed[what] for what in failed)
