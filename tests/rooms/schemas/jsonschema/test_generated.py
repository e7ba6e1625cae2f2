"""No verdict is refuted: neither by instances of our own making, nor by somebody else's."""

import json
import random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis_jsonschema import from_schema
from msgspec import UNSET

from mainstem.schemas.compatibility import Policy, Verdict
from mainstem.schemas.documents import Schema
from mainstem.schemas.jsonschema import GRAMMAR, differences
from tests.rooms.schemas.jsonschema.generated import URIS, Generator, Instances, closed, opened

POLICIES: tuple[Policy, ...] = ("STRICT", "LENIENT")
VALIDATORS: dict[str, type[jsonschema_rs.Validator]] = {
    URIS[4]: jsonschema_rs.Draft4Validator,
    URIS[6]: jsonschema_rs.Draft6Validator,
    URIS[7]: jsonschema_rs.Draft7Validator,
    URIS[2019]: jsonschema_rs.Draft201909Validator,
    URIS[2020]: jsonschema_rs.Draft202012Validator,
}


def accepts(schema: Any, instance: Any) -> bool:
    """Whether the validator of the schema's draft accepts an instance."""
    return VALIDATORS[schema["$schema"]](schema, pattern_options=jsonschema_rs.RegexOptions()).is_valid(instance)


def a_pair(chance: random.Random, drafts: tuple[int, ...] = (4, 6, 7, 2019, 2020)) -> tuple[Any, Any]:
    """A schema, and one that is almost the same, or not at all; sometimes of another draft."""
    generator = Generator(chance, chance.choice(drafts))
    one = generator.document()
    roll = chance.random()
    if roll < 0.8:
        two = generator.mutated(one)
    else:
        two = (generator if roll < 0.9 else Generator(chance, chance.choice(drafts))).document()
    return (one, two) if chance.random() < 0.6 else (two, one)


def verdict(writer: Any, reader: Any, policy: Policy) -> Verdict:
    """What is said about a pair."""
    return differences(Schema(json.dumps(writer), "JSON"), Schema(json.dumps(reader), "JSON"), ({}, {}), policy)


def well_formed(*schemas: Any) -> bool:
    """Whether they are schemas; a mutation may make one that refers to itself without end."""
    try:
        for each in schemas:
            GRAMMAR.check(Schema(json.dumps(each), "JSON"), {})
    except Exception:  # noqa: BLE001 - whatever it is, the tests of the grammar look at it
        return False
    return True


def refuted(writer: Any, reader: Any, policy: Policy, instance: Any) -> bool:
    """Whether an instance may be written, and is not read; closed and opened as the schemas themselves can say it.

    A reader that accepts it as it stands reads it too: opening the alternatives of a ``oneOf`` can make two fit.
    """
    if policy == "STRICT":
        return accepts(writer, instance) and not accepts(reader, instance)
    written = accepts(writer, instance) and accepts(closed(writer), instance)
    return written and not (accepts(opened(reader), instance) or accepts(reader, instance))


def look(seed: int) -> int:
    """Compare one pair, and look for what refutes the verdict. How many it has shown to be incompatible."""
    chance = random.Random(seed)
    writer, reader = a_pair(chance)
    if not well_formed(writer, reader):
        return 0
    shown = 0
    for policy in POLICIES:
        said = verdict(writer, reader, policy)
        case = f"seed {seed}, {policy}\n{json.dumps(writer)}\n{json.dumps(reader)}"
        if said.compatible:
            makers = [Instances(Generator(chance, 2020), writer), Instances(Generator(chance, 2020), reader)]
            for turn in range(25):
                maker = makers[turn % 3 == 0]
                instance = maker.one(maker.root)
                assert not refuted(writer, reader, policy, instance), f"{case}\n{instance}"
        for each in said.differences:
            if each.counterexample is not UNSET:
                shown += 1
                assert accepts(writer, each.counterexample), f"{case}\n{each}"
                assert not accepts(opened(reader) if policy == "LENIENT" else reader, each.counterexample), case
    return shown


def test_no_verdict_is_refuted_by_instances_of_our_own_making() -> None:
    """Neither a proof by an instance, nor a counterexample by the validators; and many are shown."""
    assert sum(look(seed) for seed in range(700)) > 200


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_no_verdict_is_refuted_in_the_long_run() -> None:
    """The same with many more pairs."""
    assert sum(look(seed) for seed in range(1_000, 200_000)) > 50_000


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 32), st.sampled_from(POLICIES), st.data())
def test_no_proof_is_refuted_by_instances_of_others(seed: int, policy: Policy, data: st.DataObject) -> None:
    """Instances of the writer's schema that a library has made; it knows the drafts up to 7."""
    writer, reader = a_pair(random.Random(seed), (4, 6, 7))
    assume(well_formed(writer, reader) and "$ref" not in json.dumps(writer))  # it knows no references that go round
    if verdict(writer, reader, policy).compatible:
        try:
            instance = data.draw(from_schema(closed(writer) if policy == "LENIENT" else writer))
        except InvalidArgument:  # it does not see that a schema has no instances
            reject()
        except (AttributeError, AssertionError):  # it makes no objects with the private names of today's hypothesis
            instance = Instances(Generator(random.Random(seed), 7), writer).one(writer)
        assert not refuted(writer, reader, policy, instance)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_schema_reads_what_it_writes(policy: Policy) -> None:
    """Whatever the schema, and however its members are arranged and its combinations put."""
    for seed in range(150):
        chance = random.Random(seed)
        schema = Generator(chance, chance.choice((4, 6, 7, 2019, 2020))).document()
        if well_formed(schema):
            turned = dict(reversed(schema.items()))
            assert verdict(schema, turned, policy).compatible


def test_proofs_follow_from_one_another() -> None:
    """Where a reads b, and b reads c, nothing that a writes is refused by c: no counterexample is found."""
    chains = 0
    for seed in range(400):
        chance = random.Random(seed)
        generator = Generator(chance, chance.choice((7, 2020)))
        first = generator.document()
        second = generator.mutated(first)
        third = generator.mutated(second)
        if not well_formed(first, second, third):
            continue
        if verdict(first, second, "STRICT").compatible and verdict(second, third, "STRICT").compatible:
            chains += 1
            assert verdict(first, third, "STRICT").outcome != "incompatible"
    assert chains > 50
