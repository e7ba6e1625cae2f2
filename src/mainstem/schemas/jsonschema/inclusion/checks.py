"""Which keyword is looked at by which check; and the comparison of two places."""

import itertools
from collections.abc import Iterator
from typing import Final

from mainstem.schemas.jsonschema.inclusion import arrays, combined, objects, scalars
from mainstem.schemas.jsonschema.inclusion.facts import NUMBERS, TYPES, Facts
from mainstem.schemas.jsonschema.inclusion.proof import Check, Checks, Finding, Prover, TooLarge
from mainstem.schemas.jsonschema.inclusion.witnesses import Examples
from mainstem.schemas.jsonschema.reading import REFERENCES, Place


def _check(types: frozenset[str], check: Check, *keywords: str) -> tuple[frozenset[str], frozenset[str], Check]:
    return types, frozenset(keywords), check


_TEXT = frozenset({"string"})
_ARRAY = frozenset({"array"})
_OBJECT = frozenset({"object"})

CHECKS: Final[Checks] = (
    _check(TYPES, combined.references, "$ref", "$recursiveRef", "$dynamicRef"),
    _check(TYPES, scalars.types, "type"),
    _check(TYPES, scalars.enumeration, "enum", "const"),
    _check(NUMBERS, scalars.numbers, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    _check(NUMBERS, scalars.multiples, "multipleOf"),
    _check(_TEXT, scalars.lengths, "minLength", "maxLength"),
    _check(_TEXT, scalars.patterns, "pattern"),
    _check(_TEXT, scalars.formats, "format"),
    _check(_TEXT, scalars.contents, "contentEncoding", "contentMediaType"),
    _check(_ARRAY, arrays.elements, "items", "prefixItems", "additionalItems"),
    _check(_ARRAY, arrays.sizes, "minItems", "maxItems"),
    _check(_ARRAY, arrays.unique, "uniqueItems"),
    _check(_ARRAY, arrays.contains, "contains"),
    _check(_ARRAY, arrays.unevaluated, "unevaluatedItems"),
    _check(_OBJECT, objects.required, "required"),
    _check(_OBJECT, objects.properties, "properties", "patternProperties", "additionalProperties"),
    _check(_OBJECT, objects.sizes, "minProperties", "maxProperties"),
    _check(_OBJECT, objects.names, "propertyNames"),
    _check(_OBJECT, objects.dependencies, "dependencies", "dependentRequired", "dependentSchemas"),
    _check(_OBJECT, objects.unevaluated, "unevaluatedProperties"),
    _check(TYPES, combined.all_of, "allOf"),
    _check(TYPES, combined.any_of, "anyOf"),
    _check(TYPES, combined.one_of, "oneOf"),
    _check(TYPES, combined.exclusion, "not"),
    _check(TYPES, combined.condition, "if"),
)


MOST: Final = 50
"""After so many differences nobody reads on."""


def findings(writer: Place, reader: Place) -> list[Finding]:
    """What stands in the way of the reader accepting whatever the writer does; nothing where it is proved.

    The candidates that are left are accepted by the writer and refused by the reader.
    """
    if unclear := [*_unclear(writer), *_unclear(reader)]:
        return unclear[:MOST]
    prover = Prover(CHECKS, Examples(), _empty)
    claims = frozenset({writer})
    found: list[Finding] = []
    try:
        found += itertools.islice(prover.missing(claims, reader), MOST)
        found = [each._replace(candidates=prover.shown(claims, reader, each.candidates)) for each in found]
        if not found and not prover.holds(claims, reader):
            found.append(Finding(reader, "not-shown", None, None))
        if found and not any(each.candidates for each in found):
            found[0] = found[0]._replace(candidates=prover.shown(claims, reader, prover.examples(claims)))
    except (TooLarge, RecursionError):
        found.append(Finding(reader, "too-large", None, None))
    return found


def _unclear(root: Place) -> Iterator[Finding]:
    """What makes any answer about an instance doubtful, and so every proof and every counterexample."""
    for at in sorted(root.library.walked):
        place = root.library.place(*at, root.lens)
        if place.draft != root.library.draft(at[0], ""):
            yield Finding(place, "drafts-mixed", None, place.schema.get("$schema"), "$schema")
        for keyword in REFERENCES:
            if place.has(keyword) and not place.certain(keyword):
                yield Finding(place, "reference-uncertain", None, place.schema[keyword], keyword)


def _empty(prover: Prover, facts: Facts, kind: str) -> bool:
    """Whether facts leave no instance of a type."""
    if kind in NUMBERS:
        return scalars.without_numbers(facts, kind)
    if kind == "string":
        return facts.max_length is not None and facts.min_length > facts.max_length
    if kind == "array":
        return arrays.without_arrays(prover, facts)
    return kind == "object" and objects.without_objects(prover, facts)
