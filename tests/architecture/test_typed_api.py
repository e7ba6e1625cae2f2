"""Type checkers, both strict, find the mistakes that users make with events, and nothing else."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

SOURCE = ROOT / "tests" / "architecture" / "typed_api.py"
EXCUSE = re.compile(r"  # type: ignore\[.*")


@pytest.fixture
def inexcusable(tmp_path: Path) -> Path:
    """The examples of good and bad use, with every excuse taken away."""
    path = tmp_path / "typed_api.py"
    path.write_text(EXCUSE.sub("", SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
    return path


def excused_lines() -> set[int]:
    """The lines that say they are wrong."""
    lines = SOURCE.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if EXCUSE.search(line)}


def run(*command: str) -> str:
    """What a checker prints. It looks only: a fault is not a failure."""
    found = subprocess.run([sys.executable, "-m", *command], check=False, capture_output=True, text=True, cwd=ROOT)
    assert found.returncode in (0, 1), found.stdout + found.stderr
    return found.stdout


def test_mypy_refuses_every_bad_use_and_no_good_one(inexcusable: Path) -> None:
    """Wrong class keywords, wrong arguments, unknown fields and assignments: each on its own line."""
    output = run("mypy", "--strict", "--no-error-summary", str(inexcusable))
    lines = {int(found) for found in re.findall(r"typed_api\.py:(\d+): error:", output)}
    assert lines == excused_lines()


def test_pyright_refuses_every_bad_use_and_no_good_one(inexcusable: Path) -> None:
    """The same lines, read by the other checker."""
    output = run("pyright", "--outputjson", str(inexcusable))
    found = json.loads(output)["generalDiagnostics"]
    assert {fault["range"]["start"]["line"] + 1 for fault in found} == excused_lines()
