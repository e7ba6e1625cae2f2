"""Names that begin with ``$`` belong to the runtime: each is listed in the glossary, and nobody else can take one."""

import ast
import re

import pytest

from mainstem import Service, Topic
from mainstem.errors import DefinitionError
from tests.architecture.source import ROOT, modules

LISTED = re.compile(r"^\| `(\$[a-z]+:?)` \|", re.MULTILINE)
RESERVED = re.compile(r"\$[a-z]+:?")
# The keywords of JSON Schema and OpenAPI are those languages', and name nothing of the runtime's.
OTHER_LANGUAGES = re.compile("schemas/jsonschema|registry/http/description|ops/asyncapi|ops/schema/lint")


def written() -> set[str]:
    """Every such name in the library's code."""
    return {
        node.value
        for module in modules()
        if not OTHER_LANGUAGES.search(module.where)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and RESERVED.fullmatch(node.value)
    }


def test_every_reserved_name_is_listed() -> None:
    """The table in the glossary has the names that the code has, each once, and says what each is for."""
    listed = LISTED.findall((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(written())


def test_a_reserved_name_is_written_once() -> None:
    """The code has each in one place, by a name; so that nobody mistypes it, and it can be found."""
    places = [
        node.value
        for module in modules()
        if "testing" not in module.where and not OTHER_LANGUAGES.search(module.where)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and RESERVED.fullmatch(node.value)
    ]
    assert sorted(places) == sorted(set(places))


@pytest.mark.parametrize("name", ["$parked", "$mine", "$"])
def test_nobody_else_can_take_one(name: str) -> None:
    """No store, timer, topic or service of a user begins with it."""
    service = Service("shop")
    with pytest.raises(DefinitionError, match=r"\$"):
        service.store(name, int)
    with pytest.raises(DefinitionError, match=r"\$"):
        service.on_timer(name)
    with pytest.raises(DefinitionError, match=r"\$"):
        Topic(name, int, envelope=None)
    with pytest.raises(DefinitionError, match=r"\$"):
        Service(name)
