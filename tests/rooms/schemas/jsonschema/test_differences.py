"""Whether one JSON Schema reads what another writes."""

import json
import time

import pytest
from msgspec import UNSET

from mainstem.errors import SchemaRefused
from mainstem.schemas.compatibility import Policy, Verdict
from mainstem.schemas.documents import Reference, Schema
from mainstem.schemas.jsonschema import differences

TEXT, WHOLE, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}


def compared(writer: object, reader: object, policy: Policy = "STRICT") -> Verdict:
    """The verdict on two schemas without references."""
    one, two = Schema(json.dumps(writer), "JSON"), Schema(json.dumps(reader), "JSON")
    return differences(one, two, ({}, {}), policy)


def record(properties: dict[str, object], *required: str) -> dict[str, object]:
    """The schema of an object."""
    return {"type": "object", "properties": properties, "required": list(required)}


def test_a_difference_says_where_it_is_and_shows_it() -> None:
    """Path, rule and both values; the counterexample is written by the one and refused by the other."""
    (found,) = compared(record({"a": record({"b": NUMBER})}), record({"a": record({"b": WHOLE})})).differences
    assert (found.path, found.rule) == ("/properties/a/properties/b/type", "type-narrowed")
    assert (found.writer, found.reader, found.outcome) == (["number"], "integer", "incompatible")
    assert found.counterexample == {"a": {"b": 0.5}}


def test_lenient_asks_what_a_closed_writer_writes_of_an_opened_reader() -> None:
    """An optional field may come and go; a required one may go, and not come."""
    old, new = record({"a": TEXT}), record({"a": TEXT, "b": WHOLE})
    assert compared(old, new).outcome == "incompatible"
    assert compared(old, new, "LENIENT").compatible
    assert compared(new, {**old, "additionalProperties": False}, "LENIENT").compatible
    assert compared(new, {**old, "additionalProperties": False}).outcome == "incompatible"
    (found,) = compared(old, record({"a": TEXT, "b": WHOLE}, "b"), "LENIENT").differences
    assert (found.rule, found.reader, found.counterexample) == ("required-added", "b", {})


def test_an_enum_grows_where_a_fallback_is_declared() -> None:
    """Only leniently, and only for values of the types that are there; it must be one of the members."""
    more, fewer = {"enum": ["a", "b", "c"]}, {"enum": ["a", "b"]}
    assert not compared(more, fewer, "LENIENT").compatible
    assert compared(more, {**fewer, "x-mainstem-fallback": "b"}, "LENIENT").compatible
    assert not compared(more, {**fewer, "x-mainstem-fallback": "b"}).compatible
    assert not compared(more, {**fewer, "x-mainstem-fallback": "z"}, "LENIENT").compatible
    assert not compared({"enum": ["a", 3]}, {**fewer, "x-mainstem-fallback": "b"}, "LENIENT").compatible


def test_a_schema_that_refers_to_itself_is_compared() -> None:
    """What is to be proved of a tree may be taken as proved of its branches."""

    def tree(value: object) -> object:
        kids = {"type": "array", "items": {"$ref": "#/definitions/node"}}
        return {"definitions": {"node": record({"v": value, "kids": kids}, "v")}, "$ref": "#/definitions/node"}

    assert compared(tree(WHOLE), tree(NUMBER)).compatible
    (found,) = compared(tree(NUMBER), tree(WHOLE)).differences
    assert (found.path, found.counterexample) == ("/definitions/node/properties/v/type", {"v": 0.5})


def test_references_of_both_sides_are_resolved_by_name() -> None:
    """Each side has its own; the path of a difference names the document that it is in."""
    text = '{"properties":{"m":{"$ref":"money"}},"required":["m"]}'
    schema = Schema(text, "JSON", (Reference("money", "money", 1),))
    old, new = Schema('{"type":"number"}', "JSON"), Schema('{"type":"integer"}', "JSON")
    assert differences(schema, schema, ({"money": new}, {"money": old}), "STRICT").compatible
    (found,) = differences(schema, schema, ({"money": old}, {"money": new}), "STRICT").differences
    assert (found.path, found.counterexample) == ("money#/type", {"m": 0.5})


def test_what_cannot_be_shown_either_way_is_refused_with_the_reason() -> None:
    """Neither a proof nor a counterexample: the verdict is not compatible, and says which keyword it is about."""
    verdict = compared({"type": "string", "pattern": "^a{7}b$"}, {"type": "string", "pattern": "^[ab]{8}$"})
    assert verdict.outcome == "not provable"
    assert not verdict.compatible
    (found,) = verdict.differences
    assert (found.path, found.rule, found.counterexample) == ("/pattern", "pattern-changed", UNSET)
    assert "not be ruled out" in found.message


def test_what_is_no_schema_is_refused() -> None:
    """On either side."""
    with pytest.raises(SchemaRefused):
        compared({"type": "text"}, {})
    with pytest.raises(SchemaRefused):
        compared({}, {"type": "text"})


def test_a_union_of_many_tagged_types_is_compared_by_its_tags() -> None:
    """Fifty alternatives on both sides, each with a field more: those of other tags cost next to nothing."""
    for keyword in ("anyOf", "oneOf"):

        def union(*more: str, keyword: str = keyword) -> object:
            fields: dict[str, object] = {"v": TEXT, **dict.fromkeys(more, WHOLE)}
            return {keyword: [record({"kind": {"enum": [f"t{n}"]}, **fields}, "kind") for n in range(50)]}

        assert compared(union(), union("n"), "LENIENT").compatible
        assert compared(union("n"), union(), "LENIENT").compatible


def test_hostile_schemas_are_answered_soon() -> None:
    """What branches at every level, repeats itself without end or asks for huge instances ends, if need be unproved."""

    def doubling(leaf: object) -> object:
        def level(n: int) -> object:
            return record(
                {"a": {"$ref": f"#/definitions/d{n + 1}"}, "b": {"$ref": f"#/definitions/d{n + 1}"}}, "a", "b"
            )

        return {
            "definitions": {**{f"d{n}": level(n) for n in range(30)}, "d30": leaf},
            "allOf": [{"$ref": "#/definitions/d0"}],
        }

    def product(ways: int) -> object:
        cases = [
            [{"properties": {f"p{n}": {"enum": [way]}}, "required": [f"p{n}"]} for way in range(ways)]
            for n in range(12)
        ]
        return {"allOf": [{"anyOf": each} for each in cases]}

    begun = time.process_time()
    assert compared(doubling(WHOLE), doubling(NUMBER)).compatible
    assert compared(doubling(NUMBER), doubling(WHOLE)).outcome == "not provable"
    assert not compared(product(3), product(2)).compatible
    assert not compared({"type": "string", "minLength": 10**9}, {"minLength": 10**9 + 1}).compatible
    assert not compared({"minItems": 10**9, "type": "array"}, {"minItems": 10**9 + 1}).compatible
    assert not compared({"minProperties": 10**9, "type": "object"}, {"minProperties": 10**9 + 1}).compatible
    assert compared({"enum": list(range(10_000))}, {"enum": list(range(9_999))}).outcome == "incompatible"
    assert time.process_time() - begun < 20


ALTERNATIVES = [record({"kind": {"const": each}}, "kind") for each in range(500)]
MANY_CONDITIONS = {"allOf": [{"minLength": each} for each in range(3_000)]}


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        ({"oneOf": ALTERNATIVES}, {"oneOf": ALTERNATIVES[::-1]}),
        (
            {
                "definitions": {"a": MANY_CONDITIONS},
                **record({f"p{n}": {"$ref": "#/definitions/a"} for n in range(80)}),
            },
            record({f"p{n}": {"minLength": 2_999} for n in range(80)}),
        ),
        ({"enum": list(range(20_000)), "allOf": [{"minimum": -n} for n in range(1_200)]}, {"maximum": 19_999}),
    ],
    ids=["every alternative with every other", "many conditions, at many places", "many values, many times"],
)
def test_small_steps_are_counted_too(writer: object, reader: object) -> None:
    """What is quick once has an end when it is done for everything that a schema can hold: an owner waits for it."""
    assert [each.rule for each in compared(writer, reader).differences] == ["too-large"]


@pytest.mark.timeout(150)
def test_examples_of_many_patterns_are_counted_too() -> None:
    """Each of them looks at every pattern: after a few, what is left is not shown any more."""
    writer, reader = (
        {"patternProperties": {f"^a{n}b*": {"type": each} for n in range(5_000)}} for each in ("number", "integer")
    )
    named = {"properties": {f"a{n}": {"type": "integer"} for n in range(5_000)}}
    assert [each.rule for each in compared(named, reader).differences] == ["too-large"]
    rules = [each.rule for each in compared(writer, reader).differences]
    assert (len(rules) < 10, rules[0], rules[-1]) == (True, "additional-properties-narrowed", "too-large")


def test_one_text_may_say_two_things() -> None:
    """A keyword has another meaning in another draft, and an alternative that is opened takes what another takes."""
    needy = {"properties": {"a": {"contains": TEXT, "minContains": 2}}}
    old, new = "http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"
    assert not compared({"$schema": old, **needy}, {"$schema": new, **needy}).compatible
    assert compared({"$schema": new, **needy}, {"$schema": new, "title": "B", **needy}).compatible
    one_of = {"oneOf": [{**record({name: TEXT}, name), "additionalProperties": False} for name in ("a", "b")]}
    two_of = {"oneOf": [{"properties": {"a": TEXT}, "additionalProperties": False}, *one_of["oneOf"][1:]]}
    assert compared(record({"p": one_of}), record({"p": one_of, "q": TEXT}), "LENIENT").compatible
    assert not compared(record({"p": two_of}), record({"p": two_of, "q": TEXT}), "LENIENT").compatible
