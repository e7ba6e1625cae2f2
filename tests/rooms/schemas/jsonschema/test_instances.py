"""Instances that are made of a schema: valid, some of every alternative, and never without end."""

import json
import random
from contextlib import suppress

import jsonschema  # type: ignore[import-untyped]
import pytest

from mainstem.errors import SchemaRefused
from mainstem.schemas import schema_of
from mainstem.schemas.documents import Schema
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


@pytest.mark.timeout(20)
def test_what_refers_to_itself_comes_to_an_end() -> None:
    """A tree whose nodes have ten branches of their own kind."""
    branches = {f"branch_{number}": {"anyOf": [{"$ref": "#"}, {"type": "null"}]} for number in range(10)}
    tree = {"type": "object", "properties": branches, "$schema": "https://json-schema.org/draft/2020-12/schema"}
    assert 0 < len(instances_of(Schema(json.dumps(tree), "JSON"))) <= INSTANCES_MOST
