"""What is a JSON Schema, and which texts say the same."""

import json
import time

import pytest

from mainstem.errors import SchemaRefused
from mainstem.schemas.documents import Reference, Schema
from mainstem.schemas.jsonschema import GRAMMAR

NEW = '"$schema":"https://json-schema.org/draft/2020-12/schema"'
OLD = '"$schema":"http://json-schema.org/draft-04/schema#"'


def schema(text: str, *references: str) -> Schema:
    """A JSON Schema that refers to others by these names."""
    return Schema(text, "JSON", tuple(Reference(each, each, 1) for each in references))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "true",
        "false",
        '{"properties":{"a":{"$ref":"#"}}}',
        '{"definitions":{"x":{"type":"string"}},"$ref":"#/definitions/x"}',
        '{"x":{"y":{"type":"string"}},"properties":{"a":{"$ref":"#/x/y"}}}',
        '{"$id":"http://a.example/b","definitions":{"x":{"$id":"c","type":"string"}},"items":{"$ref":"http://a.example/c"}}',
        "{" + NEW + ',"$defs":{"n":{"$anchor":"N","type":"string"}},"$ref":"#N"}',
        "{" + NEW + ',"$dynamicAnchor":"N","items":{"$dynamicRef":"#N"}}',
        "{" + OLD + ',"minimum":3,"exclusiveMinimum":true}',
        '{"pattern":"^(a+)+$"}',
        '{"connect.type":"int32","x-anything":[1,2]}',
    ],
)
def test_a_schema_of_any_draft_is_accepted(text: str) -> None:
    """References within the text may go anywhere, in circles too where they go into the instance."""
    GRAMMAR.check(schema(text), {})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nul", "no JSON"),
        ("{'a':1}", "no JSON"),
        ("3", "an object, or true or false"),
        ("{" + OLD, "no JSON"),
        ('{"type":"text"}', "no JSON Schema"),
        ("{" + OLD + ',"exclusiveMinimum":3}', "no JSON Schema"),
        ("{" + NEW + ',"items":[{}]}', "no JSON Schema"),
        ('{"$schema":"http://a.example/mine"}', "no draft known here"),
        ('{"title":"a","title":"b"}', "twice"),
        ('{"minimum":1e999}', "too large"),
        ('{"minimum":NaN}', "no number"),
        ('{"enum":["\\ud800"]}', "half a character"),
        ('{"\ud800":1}', "half a character"),
        ('{"$ref":"#"}', "refers to itself"),
        ('{"allOf":[{"$ref":"#/definitions/a"}],"definitions":{"a":{"anyOf":[{"$ref":"#"}]}}}', "refers to itself"),
        ('{"$ref":"#/definitions/a"}', "leads nowhere"),
        ('{"items":{"$ref":"#a"}}', "an anchor that is not there"),
        ('{"$ref":"#/enum/0","enum":[1]}', "no schema"),
        ('{"$ref":"https://a.example/b"}', "nothing that is known here"),
        ('{"pattern":"(?=a)b"}', "linear time|no JSON Schema"),
        ('{"patternProperties":{"(a)\\\\1":{}}}', "linear time|no JSON Schema"),
        ('{"pattern":"((a{1000}){1000}){1000}"}', "linear time|no JSON Schema"),
        ('{"definitions":{"unused":{"pattern":"(?!a)"}}}', "linear time|no JSON Schema"),
        ("[" * 100_000, "nested"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested"),
        ('{"enum":[' + ",".join(map(str, range(60_000))) + "]}", "more than"),
        ('{"title":"' + "a" * (1 << 20) + '"}', "bytes"),
    ],
)
def test_what_is_no_schema_is_refused_with_its_reason(text: str, why: str) -> None:
    """Nothing else than the documented error comes out, whatever the text, and soon."""
    begun = time.monotonic()
    with pytest.raises(SchemaRefused, match=why):
        GRAMMAR.check(schema(text), {})
    assert time.monotonic() - begun < 5


def test_references_are_by_name_and_in_no_circle() -> None:
    """A name that is not known is refused; so is a circle of documents, and a draft that differs is not."""
    money = schema("{" + NEW + ',"$defs":{"m":{"type":"integer"}}}')
    GRAMMAR.check(schema('{"items":{"$ref":"money.json#/$defs/m"}}', "money.json"), {"money.json": money})
    GRAMMAR.check(
        schema('{"$id":"http://a.example/x","items":{"$ref":"money.json"}}', "http://a.example/money.json"),
        {"http://a.example/money.json": money},
    )
    with pytest.raises(SchemaRefused, match="not known"):
        GRAMMAR.check(schema("{}", "money.json"), {})
    circle = {"a": schema('{"items":{"$ref":"b"}}', "b"), "b": schema('{"items":{"$ref":"a"}}', "a")}
    with pytest.raises(SchemaRefused, match="circle"):
        GRAMMAR.check(schema('{"items":{"$ref":"a"}}', "a"), circle)
    diamond = {"a": schema('{"items":{"$ref":"c"}}', "c"), "b": schema('{"items":{"$ref":"c"}}', "c"), "c": money}
    GRAMMAR.check(schema('{"items":[{"$ref":"a"},{"$ref":"b"}]}', "a", "b"), diamond)


@pytest.mark.timeout(150)
def test_a_chain_of_many_references_costs_little() -> None:
    """Thousands of definitions, each of which is the next: neither the stack nor the time runs out."""
    count = 8_000
    definitions = {str(n): {"$ref": f"#/definitions/{n + 1}"} for n in range(count)} | {str(count): {}}
    GRAMMAR.check(schema(json.dumps({"definitions": definitions, "$ref": "#/definitions/0"})), {})


def test_plain_text_keeps_everything_but_spaces() -> None:
    """Order and spelling stay, and so do spaces within strings."""
    text = ' {\n "title" : "a  \\" b" , "maximum": 1.50e1,\t"enum":[ 1 , "x y" ] } '
    assert GRAMMAR.plain(schema(text)) == '{"title":"a  \\" b","maximum":1.50e1,"enum":[1,"x y"]}'
    with pytest.raises(SchemaRefused):
        GRAMMAR.plain(schema("{"))


def test_the_normal_form_is_one_for_all_spellings() -> None:
    """Members and sets are in order; a list whose order means something stays, and so does what only looks like one."""
    one = (
        '{"type":["null","object"],"required":["b","a"],"properties":{"required":{"enum":[2,1]},"b":{"default":[2,1]}}}'
    )
    two = (
        '{"properties":{"b":{"default":[2,1]},"required":{"enum":[1,2]}},"type":["object","null"],"required":["a","b"]}'
    )
    assert GRAMMAR.normal(schema(one), {}) == GRAMMAR.normal(schema(two), {})
    assert '"default":[2,1]' in GRAMMAR.normal(schema(one), {})
    lists = '{"items":[{"type":"string"},{"enum":[3,2]}]}'
    assert GRAMMAR.normal(schema(lists), {}) == '{"items":[{"type":"string"},{"enum":[2,3]}]}'


@pytest.mark.timeout(150)
def test_the_normal_form_of_many_places_costs_little() -> None:
    """Each place is put in order once, however many stand beside it and above it."""
    nested: dict[str, object] = {"type": ["string", "null"]}
    for _ in range(2):
        nested = {"properties": dict.fromkeys(map(str, range(90)), nested)}
    assert GRAMMAR.normal(schema(json.dumps(nested)), {}).count('["null","string"]') == 90**2
