"""The examples on the page are run."""

import re
import shlex
import shutil
import subprocess

import pytest

from tests.architecture.source import ROOT
from tests.rooms.registry.http.live import listening

PAGE = (ROOT / "docs" / "registry.md").read_text(encoding="utf-8")


def examples() -> list[tuple[str, str]]:
    """The commands of the page, and what it says that each prints."""
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    parts = [part for block in blocks for part in block.split("$ ")[1:]]
    return [(command, printed.strip()) for command, _, printed in (part.partition("\n") for part in parts)]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are of curl")
def test_what_is_copied_from_the_page_does_what_it_says() -> None:
    """Each command, in the order of the page, prints what stands below it."""
    assert len(examples()) > 12
    with listening() as address:
        for command, printed in examples():
            words = [word.replace("localhost:8081", str(address)) for word in shlex.split(command)]
            done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
            assert done.stdout == printed, (command, done.stderr)
