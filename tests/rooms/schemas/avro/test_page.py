"""What is published about Avro is what the code does."""

import re
from pathlib import Path

from mainstem.schemas.avro.language.text import DEPTH_LIMIT, TEXT_LIMIT_BYTES
from mainstem.schemas.avro.resolution import differ
from tests.architecture.source import ROOT

PAGE = (ROOT / "docs" / "schemas" / "avro.md").read_text(encoding="utf-8")


def test_the_page_lists_every_rule() -> None:
    """And no other."""
    code = Path(str(differ.__file__)).read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE)) == set(re.findall(r'"([A-Z]+_[A-Z_]+)"', code))


def test_the_page_has_the_bounds() -> None:
    """As they are in the code."""
    assert f"At most {TEXT_LIMIT_BYTES // 2**20} MiB, and brackets {DEPTH_LIMIT} deep" in PAGE
    assert f"more than {differ.COMPARISONS:,} pairs" in PAGE
