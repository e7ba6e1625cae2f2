"""``mainstem schema lint``: each rule finds what it is for, and nothing else."""

import enum
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from mainstem import IntegrationEvent, NotificationEvent, Service
from mainstem.events import Personal, fallback
from mainstem.ops.schema.lint.rules import RULES
from tests.architecture.source import ROOT
from tests.rooms.ops.conftest import Shell

HERE = "tests.rooms.ops.test_schema_lint"


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


@fallback("OTHER")
class Shade(enum.StrEnum):
    DARK = "dark"
    OTHER = "other"


@dataclass
class Person:
    first_name: str
    friend: "Person | None" = None


class Regretted(IntegrationEvent, topic="regretted", key="id"):
    id: str
    phoneNumber: str  # noqa: N815 - that is what the rule is for
    price: float
    maybe: str | None
    colours: list[Colour]
    colour: Colour | None = None
    shade: Shade = Shade.DARK
    boss: Annotated[Person | None, Personal] = None
    people: dict[str, list[Person]] = msgspec.field(default_factory=dict)
    code: Annotated[str, msgspec.Meta(pattern="^(?=a)a+$")] = "a"


class Fine(IntegrationEvent, topic="fine", key="id", namespace="Shop", format="avro"):
    """Nothing is wrong with it."""

    id: str
    price_cents: int = 0
    prices: tuple[int, ...] = ()
    email: Annotated[str, Personal] = ""
    shades: tuple[Shade, ...] = ()
    notes: str | None = None


class Told(NotificationEvent, topic="told"):
    """It is private, and may be called as it likes."""

    who: str


shop = Service("shop", publishes=(Regretted, Fine, Told))

EXPECTED = [
    ("namespace", ""),
    ("field-name", "phoneNumber"),
    ("docstring", ""),
    ("optional-default", "maybe"),
    ("enum-fallback", "colours"),
    ("enum-fallback", "colour"),
    ("personal", "phoneNumber"),
    ("personal", "people{}[].first_name"),
    ("money", "price"),
    ("provable", "/properties/code"),
]


def test_each_rule_finds_what_it_is_for(shell: Shell) -> None:
    """And nothing in a type that is as it should be."""
    said = shell("schema", "lint", f"{HERE}:shop", "--json")
    assert said.exit_code == 3
    found = json.loads(said.stdout)
    assert [(each["rule"], each["path"]) for each in found] == EXPECTED
    assert {each["subject"] for each in found} == {"Regretted"}
    assert {rule for rule, _ in EXPECTED} == {name for name, rule in RULES.items() if rule.usual}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_can_be_left_out(shell: Shell, rule: str) -> None:
    """Or looked at alone; one that is not usual is looked at when it is named."""
    alone = json.loads(shell("schema", "lint", f"{HERE}:shop", "--only", rule, "--json").stdout)
    assert {each["rule"] for each in alone} == {rule}
    rest = json.loads(shell("schema", "lint", f"{HERE}:shop", "--without", rule, "--json").stdout)
    assert len(rest) == len(EXPECTED) - sum(each == rule for each, _ in EXPECTED)
    none = shell("schema", "lint", f"{HERE}:shop", "--only", rule, "--without", rule)
    assert (none.exit_code, none.stdout) == (0, "")


def test_every_rule_is_documented() -> None:
    """In the table of the page, in their order, and no other."""
    page = (ROOT / "docs/cli.md").read_text()
    section = page.partition("### `mainstem schema lint`")[2].partition("\n### ")[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE) == list(RULES)


def test_the_command_is_there(tmp_path: Path) -> None:
    """As it is typed: it needs nothing but the classes."""
    (tmp_path / "shop.py").write_text(
        "from mainstem import IntegrationEvent, Service\n"
        "class Paid(IntegrationEvent, topic='paid', key='id', namespace='Shop'):\n"
        "    '''Somebody has paid.'''\n"
        "    id: str\n"
        "shop = Service('shop', publishes=(Paid,))\n"
    )
    command = [sys.executable, "-m", "mainstem.ops", "schema", "lint", "shop:shop"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "1 type, 0 complaints\n")
