"""The numbered examples run, and print what they say."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

EXAMPLES = sorted(path for path in (ROOT / "examples").glob("[0-9][0-9]-*") if path.is_dir())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.name))
def test_an_example_prints_what_it_says(example: Path, tmp_path: Path) -> None:
    """``main.py`` of each example, run in an empty folder, prints ``output.txt``."""
    completed = subprocess.run(
        [sys.executable, example / "main.py"], check=False, capture_output=True, text=True, cwd=tmp_path, timeout=50
    )
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout == (example / "output.txt").read_text(encoding="utf-8")
