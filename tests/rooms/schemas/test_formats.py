"""The table of formats: each has a grammar and a differ, and a level says which way they are asked."""

import time

import pytest

from mainstem.schemas.compatibility import Level, Policy
from mainstem.schemas.documents import Format, Reference, Schema
from mainstem.schemas.formats import FORMATS, Linked, compare, differ_of, grammar_of


def record(*fields: str) -> Linked:
    """An Avro record; a field with a default ends in a question mark."""
    written = [f'{{"name":"{each.rstrip("?")}","type":"string"{DEFAULT if "?" in each else ""}}}' for each in fields]
    return Linked(Schema(f'{{"type":"record","name":"R","fields":[{",".join(written)}]}}'), {})


DEFAULT = ',"default":""'


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_can_be_checked_and_compared(kind: Format) -> None:
    """Each has both, and a schema follows itself."""
    text = {"AVRO": '"string"', "JSON": '{"type":"string"}', "PROTOBUF": 'syntax = "proto3"; message A {}'}[kind]
    schema = Schema(text, kind)
    grammar_of(kind).check(schema, {})
    assert differ_of(kind)(schema, schema, ({}, {}), "STRICT").compatible
    assert compare("FULL_TRANSITIVE", "LENIENT", Linked(schema, {}), [Linked(schema, {})]) == []


@pytest.mark.parametrize(
    ("level", "earlier"),
    [("NONE", []), ("BACKWARD", [1]), ("FORWARD", []), ("FULL", [1]), ("BACKWARD_TRANSITIVE", [1, 0])],
)
def test_a_level_says_who_has_to_read_what(level: Level, earlier: list[int]) -> None:
    """A field without a default, added, is one that old data does not have, and that old readers pass over."""
    found = compare(level, "STRICT", record("a", "b"), [record("a"), record("a")])
    assert [each.earlier for each in found] == earlier


def test_another_format_is_a_difference() -> None:
    """What is written in one format is not read in another, in whichever direction."""
    new, old = Linked(Schema('{"type":"string"}', "JSON"), {}), Linked(Schema('"string"'), {})
    assert [each.difference.rule for each in compare("FULL", "STRICT", new, [old])] == ["format-changed"] * 2
    assert compare("NONE", "STRICT", new, [old]) == []


def test_each_schema_is_read_with_its_own_references() -> None:
    """The same name may mean two things in two versions, and is not mixed up."""
    text = '{"type":"record","name":"H","fields":[{"name":"inner","type":"R"}]}'
    holder = Schema(text, references=(Reference("R", "r", 1),))
    narrow, wide = record("a").schema, record("a", "b").schema
    assert compare("FORWARD", "STRICT", Linked(holder, {"R": wide}), [Linked(holder, {"R": narrow})]) == []
    assert compare("BACKWARD", "STRICT", Linked(holder, {"R": wide}), [Linked(holder, {"R": narrow})]) != []


@pytest.mark.parametrize("policy", ["STRICT", "LENIENT"])
def test_who_asks_again_gets_further(policy: Policy) -> None:
    """Of a pair that agrees it is remembered, and of no other: not with another policy, nor the other way round."""
    fields = [f"field{number}" for number in range(100)]
    earlier = [record(*fields, f"more{number}?") for number in range(20)]

    def seconds(new: Linked) -> float:
        before = time.thread_time()
        assert compare("FULL_TRANSITIVE", policy, new, earlier) == []
        return time.thread_time() - before

    new = record(*fields, f"{policy}?")
    assert seconds(new) > 5 * seconds(new)
    assert [each.reads for each in compare("FULL", policy, record(*fields, "needed"), [new])] == [True]
    assert [each.reads for each in compare("FULL", policy, record(*fields, "needed"), [new])] == [True]
    assert [each.reads for each in compare("FULL", policy, new, [record(*fields, "needed")])] == [False]


def test_what_is_remembered_is_of_one_policy() -> None:
    """Two objects with other fields: one reads the other only where unknown fields are passed over."""
    old, new = (
        Linked(Schema(f'{{"type":"object","properties":{{"{each}":{{"type":"string"}}}}}}', "JSON"), {})
        for each in "ab"
    )
    for _ in range(2):
        assert compare("BACKWARD", "LENIENT", new, [old]) == []
        assert compare("BACKWARD", "STRICT", new, [old]) != []
