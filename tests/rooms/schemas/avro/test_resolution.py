"""Whether one Avro schema reads what another one writes."""

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from mainstem.errors import SchemaRefused
from mainstem.schemas.avro import GRAMMAR, differences
from mainstem.schemas.compatibility import Verdict
from mainstem.schemas.documents import Schema
from tests.rooms.schemas.avro.pairs import encode_json, pairs, values


def compared(writer: Any, reader: Any) -> Verdict:
    """The verdict on two schemas as plain data."""
    return differences(Schema(json.dumps(writer)), Schema(json.dumps(reader)), ({}, {}), "STRICT")


def record(*fields: Any, **more: Any) -> dict[str, Any]:
    """A record of these fields."""
    return {"type": "record", "name": "R", "fields": list(fields), **more}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    """A field."""
    return {"name": name, "type": kind, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    """An enum."""
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """A logical type."""
    return {"type": kind, "logicalType": name, **more}


FIXED = {"type": "fixed", "name": "F", "size": 4}
LIST = {"type": "record", "name": "L", "fields": [field("next", ["null", "L"])]}


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        *[
            (a, b)
            for a in ("int", "long", "float", "double")
            for b in ("float", "double")
            if (a, b) != ("double", "float")
        ],
        ("int", "long"),
        ("string", "bytes"),
        ("bytes", "string"),
        ("int", ["null", "long"]),
        (["int", "long"], "double"),
        (["null", "int"], ["string", "long", "null"]),
        ([], "int"),
        (record(field("a", "int"), field("b", "int")), record(field("b", "long"))),
        (record(), record(field("a", "int", default=1))),
        (record(field("a", "int")), record(field("b", "long", aliases=["a"]))),
        (record(), record(namespace="other")),
        (record(), record(name="S", aliases=["R"])),
        (record(namespace="x"), record(name="S", aliases=["x.R"])),
        (enum("A", "B"), enum("B", "A", "C")),
        (enum("A", "B"), enum("C", default="C")),
        (FIXED, {**FIXED, "namespace": "x"}),
        ({"type": "array", "items": "int"}, {"type": "array", "items": ["null", "long"]}),
        ({"type": "map", "values": "int"}, ["null", {"type": "map", "values": "long"}]),
        (LIST, {**LIST, "fields": [*LIST["fields"], field("n", "int", default=0)]}),
        (logical("long", "timestamp-millis"), "long"),
        ("long", logical("long", "timestamp-millis")),
        (logical("bytes", "decimal", precision=4, scale=2), logical("bytes", "decimal", precision=9, scale=2)),
    ],
)
def test_what_resolves_is_compatible(writer: Any, reader: Any) -> None:
    """By promotion, name, alias or default, as the specification's schema resolution has it."""
    assert compared(writer, reader).differences == ()


@pytest.mark.parametrize(
    ("writer", "reader", "rule", "path", "counterexample"),
    [
        ("long", "int", "TYPE_MISMATCH", "", 0),
        ("string", "int", "TYPE_MISMATCH", "", ""),
        (record(), {"type": "map", "values": "int"}, "TYPE_MISMATCH", "", {}),
        (["null", "int"], "int", "TYPE_MISMATCH", "", None),
        ("int", ["null", "string"], "MISSING_UNION_BRANCH", "", 0),
        (["int", "string"], ["null", "int"], "MISSING_UNION_BRANCH", "/1", {"string": ""}),
        (record(), record(name="S"), "NAME_MISMATCH", "/name", {}),
        (record(namespace="x"), record(name="S", aliases=["R"]), "NAME_MISMATCH", "/name", {}),
        (
            record(field("b", "string")),
            record(field("b", "string"), field("a", "int")),
            "READER_FIELD_MISSING_DEFAULT_VALUE",
            "/fields/1",
            {"b": ""},
        ),
        (
            record(field("b", "string"), field("a", {"type": "array", "items": ["null", enum("A", "B")]})),
            record(field("a", {"type": "array", "items": ["null", enum("A")]})),
            "MISSING_ENUM_SYMBOLS",
            "/fields/0/type/items/1/symbols",
            {"b": "", "a": [{"E": "B"}]},
        ),
        (FIXED, {**FIXED, "size": 8}, "FIXED_SIZE_MISMATCH", "/size", "\0\0\0\0"),
        (
            {"type": "map", "values": LIST},
            {"type": "map", "values": {**LIST, "fields": [field("next", ["null", "L"]), field("n", "int")]}},
            "READER_FIELD_MISSING_DEFAULT_VALUE",
            "/values/fields/1",
            {"key": {"next": None}},
        ),
        (logical("int", "date"), logical("int", "time-millis"), "LOGICAL_TYPE_MISMATCH", "/logicalType", UNSET),
        (
            logical("bytes", "decimal", precision=9, scale=2),
            logical("bytes", "decimal", precision=9, scale=4),
            "LOGICAL_TYPE_MISMATCH",
            "/logicalType",
            UNSET,
        ),
        (
            logical("bytes", "decimal", precision=9, scale=2),
            logical("bytes", "decimal", precision=8, scale=2),
            "LOGICAL_TYPE_MISMATCH",
            "/logicalType",
            UNSET,
        ),
    ],
)
def test_what_does_not_resolve_is_told(writer: Any, reader: Any, rule: str, path: str, counterexample: Any) -> None:
    """With the rule, the place in the reader's schema, and a value that it could not read."""
    [found] = compared(writer, reader).differences
    assert (found.rule, found.path, found.counterexample) == (rule, path, counterexample)
    assert found.outcome == "incompatible"
    assert found.message


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ([field("b", "int")], [field("a", "int", aliases=["b"]), field("b", "int")]),
        ([field("a", "int"), field("b", "int")], [field("a", "int", aliases=["b"])]),
    ],
)
def test_an_alias_that_libraries_take_differently_is_not_provable(written: Any, read: Any) -> None:
    """One renames the written field first, another looks for the name first."""
    verdict = compared(record(*written), record(*read))
    assert verdict.outcome == "not provable"
    assert {each.rule for each in verdict.differences} == {"AMBIGUOUS_ALIAS"}


def test_every_difference_is_told_and_each_once() -> None:
    """A type that two fields have is compared once."""
    inner = record(field("x", "int"), name="I")
    narrow = record(field("x", "string"), name="I")
    verdict = compared(
        record(field("a", inner), field("b", "I"), field("c", "long")),
        record(field("a", narrow), field("b", "I"), field("c", "int"), field("d", "int")),
    )
    assert {(each.path, each.rule) for each in verdict.differences} == {
        ("/fields/0/type/fields/0/type", "TYPE_MISMATCH"),
        ("/fields/2/type", "TYPE_MISMATCH"),
        ("/fields/3", "READER_FIELD_MISSING_DEFAULT_VALUE"),
    }


def test_long_chains_and_wide_unions_come_to_an_end() -> None:
    """However many types hold one another; and where it would take too long, nothing is claimed."""
    chain = [record(*([field("next", f"R{index - 1}")] if index else []), name=f"R{index}") for index in range(5000)]
    assert compared(chain, [*chain, "null"]).compatible
    verdict = compared(circle(601), circle(599))
    assert (verdict.outcome, [each.rule for each in verdict.differences]) == ("not provable", ["TOO_MANY_COMPARISONS"])


@pytest.mark.timeout(150)
def test_a_record_of_many_fields_costs_little() -> None:
    """Whether others want the same field is not looked for among all of them, each time."""
    fields = [field(f"f{index}", "int") for index in range(28_000)]
    assert compared(record(*fields), record(*fields, field("g", "int", default=1))).compatible


def circle(length: int) -> Any:
    """Records of one short name, each of which may hold the one before it, and the first one the last."""
    names = [f"n{(index - 1) % length}.R" for index in range(length)]
    links = [record(field("next", ["null", name]), namespace=f"n{index}") for index, name in enumerate(names)]
    last = links.pop()
    return {**last, "fields": [field("all", ["null", *links], default=None), *last["fields"]]}


def test_a_record_that_never_ends_has_no_example() -> None:
    """A counterexample is left out where there is none of moderate size."""
    endless = record(field("again", "R"))
    [found] = compared(endless, record(field("again", "R"), field("n", "int"))).differences
    assert found.counterexample is UNSET
    big = [
        record(*([field(each, f"R{index - 1}") for each in "ab"] if index else []), name=f"R{index}")
        for index in range(20)
    ]
    assert [each.counterexample for each in compared([*big, "int"], big).differences] == [{"int": 0}]
    assert compared({"type": "array", "items": big}, "int").differences[0].counterexample == []


def test_what_is_no_schema_is_refused() -> None:
    """On either side."""
    with pytest.raises(SchemaRefused):
        compared("int", "integer")
    with pytest.raises(SchemaRefused):
        compared("integer", "int")


def read_with(value: Any, writer: Any, reader: Any) -> Any:
    """Written and read by fastavro."""
    file = io.BytesIO()
    fastavro.schemaless_writer(file, writer, value)
    file.seek(0)
    return fastavro.schemaless_reader(file, writer, reader)


@settings(max_examples=300, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(pairs(), st.data())
def test_fastavro_reads_what_is_said_to_be_compatible(pair: tuple[Any, Any], data: st.DataObject) -> None:
    """No verdict is refuted: neither "compatible" by a value, nor "incompatible" by its counterexample."""
    writer, reader = pair
    try:
        verdict = compared(writer, reader)
    except SchemaRefused:
        assume(False)  # the change took away a name that is still used, or made two branches one
    event(verdict.outcome)
    before, after = fastavro.parse_schema(writer), fastavro.parse_schema(reader)
    if verdict.compatible:
        read_with(data.draw(values(writer)), before, after)
    for difference in verdict.differences:
        assert difference.counterexample is not UNSET
        encoded = encode_json(difference.counterexample, writer)
        fastavro.schemaless_reader(io.BytesIO(encoded), before, None)
        with pytest.raises(Exception):  # noqa: B017, PT011 - of whatever kind
            fastavro.schemaless_reader(io.BytesIO(encoded), before, after)


@settings(max_examples=100)
@given(pairs())
def test_a_schema_reads_itself_in_every_spelling(pair: tuple[Any, Any]) -> None:
    """Its normal form too."""
    schema = Schema(json.dumps(pair[0]))
    normal = Schema(GRAMMAR.normal(schema, {}))
    assert differences(schema, normal, ({}, {}), "LENIENT").compatible
    assert differences(normal, schema, ({}, {}), "LENIENT").compatible
