"""What is published about the comparison is what the code does."""

import re
from pathlib import Path

from mainstem.schemas.jsonschema.inclusion import RULES
from mainstem.schemas.jsonschema.inclusion.checks import CHECKS
from mainstem.schemas.jsonschema.inclusion.proof import STEPS
from mainstem.schemas.jsonschema.reading import KEYWORDS
from mainstem.schemas.jsonschema.reading.parsing import DEPTH, NODES
from tests.architecture.source import ROOT

PAGE = (ROOT / "docs" / "schemas" / "json-compatibility.md").read_text(encoding="utf-8")
YEARS = {4: "4", 6: "6", 7: "7", 2019: "2019-09", 2020: "2020-12"}


def test_the_page_lists_every_keyword() -> None:
    """With its drafts and how it is treated, in the order of the code."""
    listed = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| (\w+) \| [^|]+\.\ \|$", PAGE, re.MULTILINE)
    drafts = {
        name: YEARS[each.since] if each.since == each.until else f"{YEARS[each.since]} to {YEARS[each.until]}"
        for name, each in KEYWORDS.items()
    }
    assert listed == [(name, drafts[name], each.meaning) for name, each in KEYWORDS.items()]


def test_the_page_lists_every_rule() -> None:
    """With the words of the message."""
    assert dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|$", PAGE, re.MULTILINE)) == RULES


def test_the_page_has_the_bounds() -> None:
    """As they are in the code."""
    bounds = PAGE.partition("## Bounds")[2]
    assert f"{DEPTH} levels and {NODES:,} values" in bounds
    assert f"{STEPS:,} steps" in bounds


def test_every_keyword_is_looked_at_or_says_nothing() -> None:
    """What is compared has a check, or belongs to a keyword that has one."""
    companions = {"then": "if", "else": "if", "minContains": "contains", "maxContains": "contains"}
    checked = {keyword for _, keywords, _ in CHECKS for keyword in keywords}
    compared = {name for name, each in KEYWORDS.items() if each.meaning in ("compared", "equal")}
    assert {companions.get(name, name) for name in compared} == checked


def test_every_rule_is_used() -> None:
    """No rule is listed that no comparison gives."""
    room = ROOT / "src" / "mainstem" / "schemas" / "jsonschema" / "inclusion"
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(room).glob("*.py")))
    assert [rule for rule in RULES if text.count(f'"{rule}"') < 2] == []
