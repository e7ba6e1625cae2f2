"""The keywords of JSON Schema: in which drafts each is known, where it holds other schemas, and what it means here."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from mainstem.schemas.jsonschema.reading.parsing import Json, refused

Draft: TypeAlias = Literal[4, 6, 7, 2019, 2020]

DRAFTS: Final[dict[str, Draft]] = {
    "http://json-schema.org/draft-04/schema": 4,
    "http://json-schema.org/draft-06/schema": 6,
    "http://json-schema.org/draft-07/schema": 7,
    "https://json-schema.org/draft/2019-09/schema": 2019,
    "https://json-schema.org/draft/2020-12/schema": 2020,
}

UNSTATED: Final[Draft] = 7
"""What a schema without ``$schema`` is taken for, as Confluent's registry does."""

Holds: TypeAlias = Literal["values", "schema", "schemas", "either", "named", "dependencies"]
Meaning: TypeAlias = Literal["compared", "equal", "identity", "annotation"]


class Keyword(NamedTuple):
    """``holds`` says where schemas are in its value; ``meaning`` how two schemas are compared by it.

    ``compared``: by its meaning. ``equal``: only with itself. ``identity`` and ``annotation`` accept every instance.
    """

    since: Draft = 4
    until: Draft = 2020
    holds: Holds = "values"
    meaning: Meaning = "compared"


KEYWORDS: Final[Mapping[str, Keyword]] = {
    "type": Keyword(),
    "enum": Keyword(),
    "const": Keyword(6),
    "multipleOf": Keyword(),
    "minimum": Keyword(),
    "maximum": Keyword(),
    "exclusiveMinimum": Keyword(),
    "exclusiveMaximum": Keyword(),
    "minLength": Keyword(),
    "maxLength": Keyword(),
    "pattern": Keyword(),
    "format": Keyword(),
    "contentEncoding": Keyword(7, meaning="equal"),
    "contentMediaType": Keyword(7, meaning="equal"),
    "prefixItems": Keyword(2020, holds="schemas"),
    "items": Keyword(holds="either"),
    "additionalItems": Keyword(4, 2019, holds="schema"),
    "contains": Keyword(6, holds="schema"),
    "minContains": Keyword(2019),
    "maxContains": Keyword(2019),
    "minItems": Keyword(),
    "maxItems": Keyword(),
    "uniqueItems": Keyword(),
    "unevaluatedItems": Keyword(2019, holds="schema"),
    "properties": Keyword(holds="named"),
    "patternProperties": Keyword(holds="named"),
    "additionalProperties": Keyword(holds="schema"),
    "propertyNames": Keyword(6, holds="schema"),
    "required": Keyword(),
    "minProperties": Keyword(),
    "maxProperties": Keyword(),
    "dependencies": Keyword(holds="dependencies"),
    "dependentRequired": Keyword(2019),
    "dependentSchemas": Keyword(2019, holds="named"),
    "unevaluatedProperties": Keyword(2019, holds="schema"),
    "allOf": Keyword(holds="schemas"),
    "anyOf": Keyword(holds="schemas"),
    "oneOf": Keyword(holds="schemas"),
    "not": Keyword(holds="schema"),
    "if": Keyword(7, holds="schema"),
    "then": Keyword(7, holds="schema"),
    "else": Keyword(7, holds="schema"),
    "$ref": Keyword(),
    "$recursiveRef": Keyword(2019, 2019),
    "$dynamicRef": Keyword(2020),
    "$schema": Keyword(meaning="identity"),
    "id": Keyword(4, 4, meaning="identity"),
    "$id": Keyword(6, meaning="identity"),
    "$anchor": Keyword(2019, meaning="identity"),
    "$recursiveAnchor": Keyword(2019, 2019, meaning="identity"),
    "$dynamicAnchor": Keyword(2020, meaning="identity"),
    "$vocabulary": Keyword(2019, meaning="identity"),
    "$defs": Keyword(holds="named", meaning="identity"),
    "definitions": Keyword(holds="named", meaning="identity"),
    "$comment": Keyword(meaning="annotation"),
    "title": Keyword(meaning="annotation"),
    "description": Keyword(meaning="annotation"),
    "default": Keyword(meaning="annotation"),
    "examples": Keyword(meaning="annotation"),
    "deprecated": Keyword(meaning="annotation"),
    "readOnly": Keyword(meaning="annotation"),
    "writeOnly": Keyword(meaning="annotation"),
    "contentSchema": Keyword(2019, meaning="annotation"),
}


def draft_of(schema: Json, where: str, inherited: Draft = UNSTATED) -> Draft:
    """The draft that a schema says it is written in. Refuses one that is not known here."""
    stated = schema.get("$schema") if isinstance(schema, dict) else None
    if not isinstance(stated, str):
        return inherited
    try:
        return DRAFTS[stated.removesuffix("#")]
    except KeyError:
        known = ", ".join(DRAFTS)
        raise refused(f"$schema names {stated[:200]!r}, which is no draft known here: {known}", where) from None


def knows(draft: Draft, keyword: str) -> bool:
    """Whether a keyword has a meaning in a draft; others are annotations, whatever their value."""
    found = KEYWORDS.get(keyword)
    return found is not None and found.since <= draft <= found.until


def escaped(token: str) -> str:
    """A member's name as a step of a JSON pointer."""
    return "/" + token.replace("~", "~0").replace("/", "~1")


def steps(pointer: str) -> list[str]:
    """The steps of a JSON pointer."""
    return [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]


def parts(schema: Mapping[str, Json]) -> Iterator[tuple[str, str, Json]]:
    """The schemas directly inside one: keyword, pointer from it, value. Of any draft; a walk loses nothing by it."""
    for keyword, value in schema.items():
        holds = KEYWORDS[keyword].holds if keyword in KEYWORDS else "values"
        here = escaped(keyword)
        if holds in ("schema", "either") and isinstance(value, dict | bool):
            yield keyword, here, value
        elif holds in ("schemas", "either") and isinstance(value, list):
            yield from ((keyword, f"{here}/{index}", each) for index, each in enumerate(value))
        elif holds in ("named", "dependencies") and isinstance(value, dict):
            yield from (
                (keyword, here + escaped(name), each) for name, each in value.items() if isinstance(each, dict | bool)
            )
