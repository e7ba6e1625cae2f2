"""The page about events lists every keyword of a class line, and everything that a publisher may state."""

import inspect
import re
import types

import pytest

from mainstem import Context, IntegrationEvent, Service
from mainstem.errors import DefinitionError
from mainstem.service import PublishTransaction
from mainstem.testing import World
from tests.architecture.source import ROOT

PAGE = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[str]:
    """The words in the first column of the table that has this heading."""
    _, table = PAGE.split(f"| {heading} |", 1)
    return re.findall(r"^\| `(\w+)` \|", table.split("\n\n")[0], re.MULTILINE)


def test_every_keyword_of_the_class_line_is_documented() -> None:
    """What the error for an unknown keyword offers, and nothing else."""
    with pytest.raises(DefinitionError) as refused:
        types.new_class("Made", (IntegrationEvent,), {"frozen": False})
    offered = refused.value.remedy.removeprefix("choose from: ").split(", ")
    assert sorted(rows("in the class line")) == sorted(offered)


@pytest.mark.parametrize("publish", [Service.publish, PublishTransaction.publish, World.publish, Context.publish])
def test_everybody_publishes_with_the_same_words(publish: object) -> None:
    """What is stated from outside, in a transaction and in a test; a handler's events belong to what caused them."""
    assert callable(publish)
    parameters = inspect.signature(publish).parameters.values()
    words = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
    expected = rows("option")
    assert words == (expected[:-1] if publish is Context.publish else expected)
    assert expected[-1] == "correlation_id"
