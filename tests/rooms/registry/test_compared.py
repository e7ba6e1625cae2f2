"""Comparing before the registry is asked to register: it spares time, and changes no verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from mainstem.registry.contents import (
    Changes,
    Config,
    Contents,
    DeleteVersion,
    MemoryRows,
    Register,
    RegistryError,
    SetConfig,
)
from mainstem.registry.contents.comparing import counting, rule_for
from mainstem.registry.contents.operations.registering import COMPARED_APART
from mainstem.registry.contents.tables import subject_named
from mainstem.registry.ledger.events import AnyOperation
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import Linked
from tests.rooms.registry.played import record

FIRST = record("A", "text")
MORE = record("A", "text", "more?")
OTHER = record("A", "text", "other?")
REFUSED = record("A", "text", "number:int")
BREAKS_OTHER = record("A", "text", "other:int")
FULL = SetConfig(Config(compatibility_level="FULL_TRANSITIVE"), "a")
BACKWARD = SetConfig(Config(compatibility_level="BACKWARD"), "a")


def contents_after(*operations: AnyOperation) -> Contents:
    """A registry in which these have been carried out."""
    found = Contents(MemoryRows())
    for each in operations:
        each.apply(found, 0)
    return found


def said(asked: Register, contents: Contents) -> tuple[int, object]:
    """What a registry would answer, which stays as it is."""
    try:
        found = asked.apply(Contents(Changes(contents.rows), contents.limits), 0)
    except RegistryError as refused:
        return refused.number, refused.message
    return found.id, found.version


@dataclass(frozen=True)
class Meanwhile:
    """What happens between comparing and registering."""

    schema: Schema
    operations: Sequence[AnyOperation]


@pytest.mark.parametrize(
    "meanwhile",
    [
        Meanwhile(MORE, ()),
        Meanwhile(MORE, (Register("a", OTHER),)),
        Meanwhile(MORE, (Register("a", MORE),)),
        Meanwhile(BREAKS_OTHER, (BACKWARD, DeleteVersion("a", "1"), Register("a", OTHER), FULL)),
        Meanwhile(MORE, (DeleteVersion("a", "1"),)),
        Meanwhile(MORE, (SetConfig(Config(compatibility_level="NONE"), "a"), Register("a", REFUSED), FULL)),
        Meanwhile(record("A", "text", "number?:int"), (BACKWARD, Register("a", OTHER))),
    ],
)
def test_what_happens_meanwhile_counts(meanwhile: Meanwhile) -> None:
    """Who has compared gets the answer that he would have got without, whatever has come between."""
    contents = contents_after(Register("a", FIRST), FULL)
    asked = Register("a", meanwhile.schema)
    try:
        compared = asked.comparing(contents)()
    except RegistryError:
        compared = asked
    for each in meanwhile.operations:
        each.apply(contents, 0)
    assert said(compared, contents) == said(asked, contents)


@pytest.mark.parametrize("schema", [FIRST, MORE, REFUSED, record("B", "text"), Schema("{"), record("A", "text", "x:X")])
def test_comparing_says_what_registering_would_say(schema: Schema) -> None:
    """A refusal comes with the same number and words; what is registered already needs no comparison."""
    contents = contents_after(Register("a", FIRST), FULL)
    asked = Register("a", schema)
    try:
        answer = said(asked.comparing(contents)(), contents)
    except RegistryError as refused:
        answer = refused.number, refused.message
    assert answer == said(asked, contents)


def test_what_has_been_compared_is_not_compared_again() -> None:
    """The registry takes the word of who has compared, for these versions, this level and this schema alone."""
    contents = contents_after(Register("a", FIRST), FULL)
    name = subject_named("a")
    config = contents.configured.config_for("a")
    earlier = counting(contents.tables, name, config)

    def claimed(schema: Schema) -> Register:
        rule = rule_for(contents.tables, name, config, schema, earlier, contents.limits)
        return Register("a", schema, compared=rule.compared(Linked(schema, {}), len(earlier)))

    claim = claimed(REFUSED)
    assert said(claim, contents) == (2, 2)
    assert said(replace(claim, schema=record("A", "text", "number:long")), contents)[0] == 40901
    assert said(replace(claim, compared=claimed(MORE).compared), contents)[0] == 40901
    assert claim.compared is not None
    assert said(replace(claim, compared=replace(claim.compared, versions=0)), contents)[0] == 40901
    SetConfig(Config(compatibility_level="FORWARD_TRANSITIVE", compatibility_policy="LENIENT"), "a").apply(contents, 0)
    assert said(replace(claim, schema=record("B", "text")), contents)[0] == 40901


def test_few_versions_are_compared_where_it_is_carried_out() -> None:
    """Nobody reads to the end of the log for a subject that has few versions, or whose level asks for the last one."""
    level = SetConfig(Config(compatibility_level="NONE"), "a")
    versions = [Register("a", record("A", f"field{number}")) for number in range(COMPARED_APART)]
    asked = Register("a", record("A", "new"))
    assert not asked.has_many(contents_after(level, *versions[1:], FULL))
    assert asked.has_many(contents_after(level, *versions, FULL))
    assert not asked.has_many(contents_after(level, *versions, BACKWARD))
