"""The embedded broker passes the public suite: in memory, on disk, and on a log with gaps in its offsets."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mainstem.testing.conformance.broker import RULES, Harness, Rule, WithGaps, check
from tests.conformance.harnesses import InMemory, OnDisk

FORMS: dict[str, Callable[[Path], Harness]] = {
    "memory": lambda _: InMemory(),
    "disk": OnDisk,
    "gaps": lambda _: WithGaps(InMemory()),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_sqlite(rule: Rule, form: str, tmp_path: Path) -> None:
    """The embedded broker keeps the rule in each of its forms."""
    check(rule, FORMS[form](tmp_path))
