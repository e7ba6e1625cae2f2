"""Instances that are made of a schema: valid, some of every alternative, and never without end."""

import json
import random
from collections.abc import Callable
from contextlib import suppress

import jsonschema  # type: ignore[import-untyped]
import pytest

from mainstem.errors import SchemaRefused
from mainstem.schemas import schema_of
from mainstem.schemas.compatibility import FIELDS_MOST
from mainstem.schemas.documents import Schema
from mainstem.schemas.jsonschema import fields_of
from mainstem.schemas.jsonschema.instances import INSTANCES_MOST, instances_of
from tests.rooms.schemas import test_generated_versions as types
from tests.rooms.schemas.jsonschema.generated import Generator


def test_every_alternative_is_there() -> None:
    """Each member, each branch, each optional field with and without it; and an empty and a longer list."""
    found = instances_of(schema_of(types.first.declaration))
    assert {each.get("way") for each in found if isinstance(each, dict)} == {"www", "telex", None}
    assert {type(each["fax"]) for each in found if isinstance(each, dict) and "fax" in each} == {str, type(None)}
    assert {json.dumps(each["lines"]).count("sku") for each in found if isinstance(each, dict)} == {0, 1, 2}


@pytest.mark.parametrize("seed", range(0, 400, 20))
def test_what_is_made_is_valid(seed: int) -> None:
    """Another validator, which shares no code with the one that chose them, takes every instance."""
    made = 0
    for number in range(seed, seed + 20):
        document = Generator(random.Random(number), (4, 6, 7, 2019, 2020)[number % 5]).document()
        judge = jsonschema.validators.validator_for(document)(document)
        # Some of what the generator makes is no schema in its draft.
        with suppress(SchemaRefused):
            for each in instances_of(Schema(json.dumps(document), "JSON")):
                judge.validate(each)
                made += 1
    assert made


def forking(width: int, forks: Callable[[str, int], object]) -> Schema:
    """Definitions of which each uses the next one several times."""
    definitions = {f"d{number}": forks(f"#/$defs/d{number + 1}", width) for number in range(40)}
    draft = "https://json-schema.org/draft/2020-12/schema"
    return Schema(json.dumps({"$schema": draft, "$ref": "#/$defs/d0", "$defs": {**definitions, "d40": {}}}), "JSON")


def in_properties(reference: str, width: int) -> object:
    """An object whose properties are all of one definition."""
    return {"type": "object", "properties": {f"p{number}": {"$ref": reference} for number in range(width)}}


def in_alternatives(reference: str, width: int) -> object:
    """Alternatives that are all of one definition."""
    return {"anyOf": [{"$ref": reference} for _ in range(width)]}


@pytest.mark.timeout(150)
@pytest.mark.parametrize("forks", [in_properties, in_alternatives])
def test_what_forks_without_end_comes_to_an_end(forks: Callable[[str, int], object]) -> None:
    """Forty definitions of which each uses the next one many times have more places than there is time for."""
    assert len(instances_of(forking(70, forks))) <= INSTANCES_MOST
    assert len(fields_of(forking(70, forks))) <= FIELDS_MOST + 70
