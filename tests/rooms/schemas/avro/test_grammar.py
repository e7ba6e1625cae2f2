"""What is an Avro schema, and which two are the same."""

import contextlib
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.errors import SchemaRefused
from mainstem.schemas.avro import GRAMMAR, differences
from mainstem.schemas.documents import Reference, Schema

MONEY = '{"type":"record","name":"Money","namespace":"shop","fields":[{"name":"cents","type":"long"}]}'
ORDER = """{ "namespace": "shop", "type": "record", "name": "Order", "doc": "One \\u00e9 order",
  "fields": [
    {"type": {"type": "string"}, "name": "id"},
    {"name": "total", "type": "Money"},
    {"name": "note", "type": ["null", "string"], "default": null, "aliases": ["remark"], "x": {"b": 1, "a": [2]}},
    {"name": "next", "type": ["null", "shop.Order"]} ] }"""
REFERENCES = (Reference("shop.Money", "money", 1),)
RESOLVED = {"shop.Money": Schema(MONEY)}


def record(*fields: Any) -> str:
    """A record of these fields."""
    return json.dumps({"type": "record", "name": "R", "fields": list(fields)})


def field(kind: Any, **more: Any) -> dict[str, Any]:
    """A field f."""
    return {"name": "f", "type": kind, **more}


def nested(depth: int) -> str:
    """Arrays of arrays."""
    return '{"type":"array","items":' * depth + '"int"' + "}" * depth


@pytest.mark.parametrize(
    "text",
    [
        '"string"',
        '["null","int",{"type":"array","items":"long"}]',
        "[]",
        record(),
        record(field(["null", "R"], default=None)),
        record(field(["int", "null"], default=None)),
        record(field("bytes", default="\u00ff")),
        record(field("float", default=1)),
        record(field({"type": "map", "values": "int"}, default={"a": 1})),
        record(field({"type": "record", "name": "S", "fields": [field("int", default=1)]}, default={})),
        record(
            field({"type": "enum", "name": "E", "symbols": ["A", "B"], "default": "A"}, default="B", order="ignore")
        ),
        '{"type":"fixed","name":"F","namespace":"a.b","size":16,"logicalType":"uuid"}',
        '{"type":"bytes","logicalType":"decimal","precision":-1}',
        nested(190),
    ],
)
def test_a_schema_is_taken(text: str) -> None:
    """As the specification has it: what is wrong with a logical type alone is passed over. So is its normal form."""
    schema = Schema(text)
    GRAMMAR.check(schema, {})
    normal = GRAMMAR.normal(schema, {})
    assert GRAMMAR.normal(Schema(normal), {}) == normal
    assert GRAMMAR.normal(Schema(GRAMMAR.plain(schema)), {}) == normal


@pytest.mark.parametrize(
    ("text", "words", "place"),
    [
        ("", "not JSON", "/"),
        ("int", "not JSON", "/"),
        ('{"type":"int"', "not JSON", "/"),
        ("NaN", "not JSON", "/"),
        ("9" * 5000, "not JSON", "/"),
        ('{"type":"int","x":1e999}', "larger than any number", "/"),
        ("7", "7 is no type", "/"),
        ("null", "None is no type", "/"),
        ('"Int"', "Int is not defined", "/"),
        ('{"name":"X"}', "has no type", "/"),
        ('{"type":["null","int"]}', "no word", "/"),
        ('{"type":"array"}', "None is no type", "/items"),
        ('["int",["null"]]', "union holds a union", "/1"),
        ('["int","int"]', "int twice", "/1"),
        ('[{"type":"map","values":"int"},{"type":"map","values":"long"}]', "map twice", "/1"),
        ('{"type":"record","fields":[]}', "has no name", "/name"),
        ('{"type":"record","name":"a-b","fields":[]}', "'a-b' cannot be the name", "/name"),
        ('{"type":"record","name":"int","fields":[]}', "'int' cannot be the name", "/name"),
        ('{"type":"record","name":"X","namespace":"a..b","fields":[]}', "no namespace", "/namespace"),
        ('{"type":"record","name":"X"}', "no list of fields", "/"),
        ('{"type":"record","name":"X","fields":[],"doc":1}', "doc is no text", "/doc"),
        ('{"type":"record","name":"X","fields":[],"aliases":"Y"}', "list of names", "/aliases"),
        ('{"type":"record","name":"X","fields":[],"fields":[]}', "says 'fields' twice", "/"),
        (record("f"), "no object", "/fields/0"),
        (record({"name": "f"}), "no type", "/fields/0"),
        (record({"type": "int"}), "has no name", "/fields/0/name"),
        (record(field("int"), field("int")), "two fields f", "/fields/1"),
        (record(field("int", order="up")), "no order", "/fields/0/order"),
        (record(field("int", default="1")), "does not fit its type int", "/fields/0/default"),
        (record(field("int", default=2**31)), "does not fit", "/fields/0/default"),
        (record(field("int", default=True)), "does not fit", "/fields/0/default"),
        (record(field("string", default=None)), "does not fit", "/fields/0/default"),
        (record(field(["null", "int"], default="null")), "does not fit", "/fields/0/default"),
        (record(field("bytes", default="\u0100")), "does not fit", "/fields/0/default"),
        (record(field({"type": "array", "items": "int"}, default=[1, "a"])), "does not fit", "/fields/0/default"),
        (record(field({"type": "fixed", "name": "F", "size": 2}, default="a")), "does not fit", "/fields/0/default"),
        (record(field("R", default={}), {"name": "g", "type": "int"}), "does not fit", "/fields/0/default"),
        ('{"type":"enum","name":"E"}', "no list of symbols", "/"),
        ('{"type":"enum","name":"E","symbols":["A","A"]}', "symbol twice", "/symbols"),
        ('{"type":"enum","name":"E","symbols":["A b"]}', "'A b' cannot be the name", "/symbols/0"),
        ('{"type":"enum","name":"E","symbols":["A"],"default":"B"}', "'B' is no symbol", "/default"),
        ('{"type":"fixed","name":"F","size":-1}', "-1 is no size", "/size"),
        (record(field({"type": "fixed", "name": "R", "size": 1})), "R is defined twice", "/fields/0/type"),
        ('{"type":"string","doc":"\\ud800"}', "half a surrogate", "/"),
        ('"\ud800"', "half a surrogate", "/"),
        (nested(201), "nests deeper", "/"),
        ("[" * 100_000, "nests deeper", "/"),
        (f'"{"a" * 2_000_000}"', "more than 1,048,576 bytes", "/"),
    ],
    ids=lambda value: value[:40],
)
def test_what_is_no_schema_is_refused(text: str, words: str, place: str) -> None:
    """With what is wrong, and a JSON pointer to where."""
    with pytest.raises(SchemaRefused, match=words) as caught:
        GRAMMAR.check(Schema(text), {})
    assert caught.value.where == f"Avro schema, at {place}"


def test_the_stored_text_is_the_written_one_without_its_spaces() -> None:
    """Spaces within texts stay, and so do order, numbers and escapes."""
    plain = GRAMMAR.plain(Schema(ORDER, references=REFERENCES))
    assert json.loads(plain) == json.loads(ORDER)
    assert plain.startswith('{"namespace":"shop","type":"record","name":"Order","doc":"One \\u00e9 order","fields":[')
    assert GRAMMAR.plain(Schema('{"type" : "int","a \\" b": 1e2}')) == '{"type":"int","a \\" b":1e2}'


def test_the_normal_form_is_one_for_every_spelling() -> None:
    """Order of members, short or full names, primitive types as words or objects: all the same. The rest stays."""
    normal = GRAMMAR.normal(Schema(ORDER, references=REFERENCES), RESOLVED)
    assert normal == (
        '{"name":"shop.Order","type":"record","fields":[{"name":"id","type":"string"},'
        '{"name":"total","type":"shop.Money"},'
        '{"name":"note","type":["null","string"],"aliases":["remark"],"default":null,"x":{"a":[2],"b":1}},'
        '{"name":"next","type":["null","shop.Order"]}],"doc":"One é order"}'
    )
    other = ORDER.replace('"Money"', '{"type": "shop.Money"}').replace('"namespace": "shop", ', "")
    other = other.replace('"Order"', '"shop.Order"').replace('"type": {"type": "string"}', '"type": "string"')
    assert GRAMMAR.normal(Schema(other, references=REFERENCES), RESOLVED) == normal


def test_the_normal_form_says_the_same() -> None:
    """Its fingerprint by another library is that of the text."""
    whole = ORDER.replace('"Money"', MONEY, 1)
    forms = [
        fastavro.schema.to_parsing_canonical_form(json.loads(text))
        for text in (whole, GRAMMAR.normal(Schema(whole), {}))
    ]
    assert forms[0] == forms[1]


@pytest.mark.parametrize("more", ['"doc":"d"', '"aliases":["S"]', '"x":1'])
def test_what_people_and_readers_need_is_kept(more: str) -> None:
    """Two schemas that differ in it are two."""
    bare = '{"type":"record","name":"R","fields":[]'
    assert GRAMMAR.normal(Schema(bare + "}"), {}) != GRAMMAR.normal(Schema(f"{bare},{more}}}"), {})


def test_a_reference_is_found_by_its_full_name() -> None:
    """Also through another reference; and only among those that are there."""
    outer = Schema(ORDER, references=REFERENCES)
    GRAMMAR.check(outer, RESOLVED)
    basket = (
        '{"type":"record","name":"Basket","fields":[{"name":"o","type":"shop.Order"},{"name":"m","type":"shop.Money"}]}'
    )
    refers = (Reference("shop.Order", "order", 1),)
    GRAMMAR.check(Schema(basket, references=refers), {"shop.Order": outer, **RESOLVED})
    with pytest.raises(SchemaRefused, match=r"reference shop\.Money is not there"):
        GRAMMAR.check(outer, {})
    with pytest.raises(SchemaRefused, match=r"reference shop\.Money is not there") as caught:
        GRAMMAR.check(Schema(basket, references=refers), {"shop.Order": outer})
    assert "in the reference shop.Order" in caught.value.why


def test_references_do_not_go_round() -> None:
    """Neither two that name one another, nor one that needs the schema it is named by."""
    there = Schema(record(field("B")).replace('"R"', '"A"'), references=(Reference("B", "b", 1),))
    back = Schema(record(field("A")).replace('"R"', '"B"'), references=(Reference("A", "a", 1),))
    with pytest.raises(SchemaRefused, match="circle: A > B > A"):
        GRAMMAR.check(Schema('"A"', references=(Reference("A", "a", 1),)), {"A": there, "B": back})
    with pytest.raises(SchemaRefused, match="A is not defined"):
        GRAMMAR.check(there, {"B": Schema(back.text)})


def test_a_long_chain_of_references_is_refused() -> None:
    """Not with a stack that has run over."""
    chain = {
        f"N{index}": Schema(
            record(field(f"N{index + 1}")).replace('"R"', f'"N{index}"'),
            references=(Reference(f"N{index + 1}", "s", 1),),
        )
        for index in range(2_000)
    }
    with pytest.raises(SchemaRefused, match="too deep"):
        GRAMMAR.check(Schema('"N0"', references=(Reference("N0", "s", 1),)), chain)


def test_a_default_of_unions_within_unions_is_looked_at_once() -> None:
    """And not as often as there are ways through them."""
    names = [f"R{index}" for index in range(12)]
    branches = [json.loads(record(field(names)).replace('"R"', f'"{name}"', 1)) for name in names]
    for index, branch in enumerate(branches):
        branch["fields"][0]["type"] = ["int", *names[: index + 1]]
    value: Any = "no"
    for _ in range(60):
        value = {"f": value}
    text = record({"name": "a", "type": [*branches]}, field(["int", *names], default=value))
    with pytest.raises(SchemaRefused, match="does not fit"):
        GRAMMAR.check(Schema(text), {})


WORDS = st.sampled_from(
    ["null", "int", "bytes", "record", "enum", "fixed", "array", "map", "R", "n.R", "decimal", "date", "", "a b", "A"]
)
MEMBERS = st.sampled_from(
    [
        *("type", "name", "namespace", "fields", "symbols", "items", "values", "size"),
        *("default", "aliases", "doc", "order", "logicalType", "precision", "scale", "x"),
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS | WORDS, inner, max_size=5),
    max_leaves=12,
)


@given(ANYTHING, ANYTHING, st.data())
def test_no_text_does_anything_else(found: Any, inside: Any, data: st.DataObject) -> None:
    """It is a schema, and its normal form is one too, or the error says why not."""
    kind = data.draw(st.sampled_from(["record", "enum", "fixed", "array", "map"]))
    parts = {"fields": [{"name": "f", "type": found, "default": inside}], "symbols": ["A"], "size": 1, "items": found}
    for document in (found, {"type": kind, "name": "R", "values": inside, **parts}, [found, inside]):
        schema = Schema(json.dumps(document))
        try:
            normal = GRAMMAR.normal(schema, {})
        except SchemaRefused:
            continue
        assert GRAMMAR.normal(Schema(normal), {}) == normal
        assert differences(schema, Schema(normal), ({}, {}), "LENIENT").compatible


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_no_text_that_is_not_json_does_anything_else(text: str) -> None:
    """The same for whatever somebody sends."""
    with contextlib.suppress(SchemaRefused):
        GRAMMAR.check(Schema(text), {})


def test_a_reference_is_in_avro() -> None:
    """A schema of another format cannot define an Avro type."""
    with pytest.raises(SchemaRefused, match="a schema in JSON"):
        GRAMMAR.check(Schema('"shop.Money"', references=REFERENCES), {"shop.Money": Schema("{}", format="JSON")})
