"""What follows from all that was said together: a closed writer leaves out what nobody declares."""

from mainstem.schemas.jsonschema.inclusion.facts.claims import IMPOSSIBLE, NOTHING, Facts, Piece
from mainstem.schemas.jsonschema.inclusion.facts.statements import everything_said, listed
from mainstem.schemas.jsonschema.reading import Place


def close(facts: Facts) -> None:
    """What a closed writer does not declare, it does not write; unless it says outright that it may."""
    closed = [each for each in facts.places if each.lens == "closed"]
    if not any(each.has("properties") for each in closed):
        return
    open_cases = [claim for case in facts.choices for claims in case for claim in claims if isinstance(claim, Place)]
    names: set[str] = set()
    patterns: set[str] = set()
    for each in [*closed, *(place for _, place in facts.when), *open_cases]:
        if each.lens == "closed" and each not in open_cases:
            said = set(each.named("properties")), set(each.named("patternProperties")), _says_of_all(each)
        else:
            said = everything_said(each)
        if said[2]:
            return
        names |= said[0] | _named_otherwise(each)
        patterns |= said[1]
    facts.pieces.append(Piece(dict.fromkeys(names, NOTHING), dict.fromkeys(patterns, NOTHING), frozenset({IMPOSSIBLE})))


def _named_otherwise(place: Place) -> set[str]:
    """Names that a place speaks of without saying what is under them."""
    maps = [place.get(each) for each in ("dependencies", "dependentRequired", "dependentSchemas")]
    return {str(each) for each in listed(place.get("required"))}.union(
        *(each for each in maps if isinstance(each, dict))
    )


def _says_of_all(place: Place) -> bool:
    return any(place.get(keyword) not in (None, False) for keyword in ("additionalProperties", "unevaluatedProperties"))


def close_needs(facts: Facts) -> None:
    """A required property brings with it those that it needs."""
    before = -1
    while before < len(facts.required):
        before = len(facts.required)
        for name, needed in facts.needs:
            if name in facts.required:
                facts.required |= needed
