"""Metadata and rules: stored as they are, part of what a schema is, and completed by what is configured."""

import asyncio

import pytest
from msgspec.structs import replace

from mainstem.clock import ManualClock
from mainstem.registry.contents import Config, InMemory, Register, SetConfig, guid_of
from mainstem.schemas.documents import Metadata, RuleSet, Schema
from tests.rooms.registry.played import play, record, refer

A = record("A", "text")
TAGGED = replace(A, metadata={"tags": {"A.text": ["PII"]}, "properties": {"owner": "shop"}, "sensitive": ["A.text"]})
RULED = replace(A, rule_set={"domainRules": [{"name": "short", "kind": "CONDITION", "mode": "WRITE", "type": "CEL"}]})


def deep(levels: int) -> object:
    """Lists in lists."""
    return [deep(levels - 1)] if levels else 0


def test_metadata_and_rules_are_part_of_what_a_schema_is() -> None:
    """The same text with others of them has another id, and comes back with its own; also when it is normalized."""
    said = play(
        [
            Register("a", A),
            Register("a", TAGGED),
            Register("b", RULED),
            Register("c", TAGGED, normalize=True),
            lambda c: c.schema(2).schema,
            lambda c: c.schema(3).schema,
            lambda c: c.schema(4).schema.metadata,
        ]
    )
    assert said == [(1, 1), (2, 2), (3, 1), (4, 1), TAGGED, RULED, TAGGED.metadata]


def test_a_schema_without_metadata_takes_that_of_the_version_before() -> None:
    """So a client that knows nothing of it does not take it away, and finds the version that is meant."""
    said = play(
        [
            Register("a", TAGGED),
            Register("a", A),
            Register("a", record("A", "text", "more?")),
            lambda c: c.version("a", "latest").schema.metadata,
            lambda c: c.find("a", A),
            lambda c: c.find("a", RULED),
        ]
    )
    assert said == [(1, 1), (1, 1), (2, 2), TAGGED.metadata, (1, 1), 40403]


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        (None, {"tags": {"a": ["X"]}, "properties": {"p": "default", "o": "over"}}),
        ({"properties": {"p": "own", "o": "own"}}, {"tags": {"a": ["X"]}, "properties": {"p": "own", "o": "over"}}),
        (
            {"tags": {"a": ["Y", "X"], "b": ["Z"]}, "sensitive": ["s"]},
            {
                "tags": {"a": ["X", "Y"], "b": ["Z"]},
                "properties": {"p": "default", "o": "over"},
                "sensitive": ["s"],
            },
        ),
    ],
)
def test_defaults_are_below_and_overrides_above(said: Metadata | None, stored: Metadata) -> None:
    """Properties are replaced by name, tags are gathered."""

    async def played() -> None:
        registry = InMemory(ManualClock())
        await registry.write(
            SetConfig(
                Config(
                    default_metadata={"tags": {"a": ["X"]}, "properties": {"p": "default", "o": "default"}},
                    override_metadata={"properties": {"o": "over"}},
                )
            )
        )
        version = await registry.write(Register("a", replace(A, metadata=said)))
        assert version.schema.metadata == stored
        assert await registry.write(Register("a", replace(A, metadata=said))) == version

    asyncio.run(played())


def test_rules_are_replaced_by_name() -> None:
    """A default rule gives way to the schema's of the same name, and that to an override."""

    def rules(*named: tuple[str, str]) -> RuleSet:
        return {"domainRules": [{"name": name, "type": kind} for name, kind in named]}

    async def played() -> None:
        registry = InMemory(ManualClock())
        config = Config(default_rule_set=rules(("a", "1"), ("b", "1")), override_rule_set=rules(("c", "3")))
        await registry.write(SetConfig(config))
        version = await registry.write(Register("s", replace(A, rule_set=rules(("b", "2"), ("c", "2")))))
        assert version.schema.rule_set == rules(("a", "1"), ("b", "2"), ("c", "3"))

    asyncio.run(played())


@pytest.mark.parametrize(
    ("schema", "number"),
    [
        (replace(A, metadata={"tags": {"a": "X"}}), 42201),
        (replace(A, metadata={"properties": {"a": 1}}), 42201),
        (replace(A, metadata={"sensitive": "a"}), 42201),
        (replace(A, rule_set={"domainRules": {}, "migrationRules": {"name": "a"}}), 42210),
        (replace(A, rule_set={"domainRules": [{"name": ""}]}), 42210),
        (replace(A, rule_set={"domainRules": [{"name": "a"}, {"name": "a"}]}), 42210),
        (replace(A, rule_set={"migrationRules": [{"name": "a", "mode": "SIDEWAYS"}]}), 42210),
        (replace(A, rule_set={"encodingRules": [{"name": "a", "kind": "WISH"}]}), 42210),
        (replace(A, rule_set={"encodingRules": [{"name": "a", "kind": ["CONDITION"]}]}), 42210),
        (replace(A, rule_set={"encodingRules": [{"name": "a", "mode": {"READ": 1}}]}), 42210),
        (replace(A, rule_set={"encodingRules": [{"name": "a", "type": ["CEL"]}]}), 42210),
        (replace(A, rule_set={"domainRules": [{"name": "a", "params": {"most": 2**64}}]}), 42210),
        (replace(A, rule_set={"enableAt": deep(40)}), 42210),
        (replace(A, metadata={"properties": {}, "other": -(2**63) - 1}), 42201),
        (replace(A, metadata={"other": deep(40)}), 42201),
    ],
)
def test_what_is_no_metadata_or_no_rule_is_refused(schema: Schema, number: int) -> None:
    """Before anything is stored, with the number that clients know."""
    assert play([Register("a", schema), lambda c: c.subjects(shown="all")]) == [number, []]


def test_only_versions_of_one_group_are_compared() -> None:
    """With a compatibility group a new major follows none of the old one's rules."""

    def major(schema: Schema, number: str) -> Schema:
        return replace(schema, metadata={"properties": {"major": number}})

    said = play(
        [
            SetConfig(Config(compatibility_group="major")),
            Register("a", major(A, "1")),
            Register("a", major(record("B", "number:int"), "1")),
            Register("a", major(record("B", "number:int"), "2")),
            Register("a", major(record("A", "text", "more?"), "1")),
        ]
    )
    assert said == [Config(compatibility_group="major"), (1, 1), 40901, (2, 2), (3, 3)]
    other = play(
        [
            SetConfig(Config(compatibility_group="major")),
            Register("a", major(A, "1")),
            Register("a", major(record("B", "number:int"), "2")),
            Register("a", major(record("C", "text"), "1")),
        ]
    )
    assert other[-1] == 40901, "the last version of the group counts, and not the last of all"


def test_a_guid_is_the_same_everywhere() -> None:
    """It says what a content is: whoever has that has this GUID, in every context and every registry."""
    schema = Schema('"string"', references=(refer("A", "a"),), metadata={"properties": {"z": "1", "a": "2"}})
    turned = replace(schema, metadata={"properties": {"a": "2", "z": "1"}})
    assert guid_of(schema) == guid_of(turned) == "cad22ecd-91a4-8ce7-9428-f5efb6c4a2f1"
    others = [replace(schema, references=()), replace(schema, metadata=None), replace(schema, format="JSON")]
    assert len({guid_of(each) for each in (schema, *others, replace(schema, rule_set={}))}) == 5


def test_the_latest_version_with_some_metadata_is_found() -> None:
    """By all properties that are asked for; there is none for what nobody has."""
    said = play(
        [
            Register("a", TAGGED),
            Register("a", replace(record("A", "text", "more?"), metadata={"properties": {"owner": "other"}})),
            lambda c: c.with_metadata("a", {"owner": "shop"}),
            lambda c: c.with_metadata("a", {}),
            lambda c: c.with_metadata("a", {"owner": "shop", "other": "x"}),
            lambda c: c.with_metadata("z", {}),
        ]
    )
    assert said == [(1, 1), (2, 2), (1, 1), (2, 2), 40402, 40401]
