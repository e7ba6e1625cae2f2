"""What one place of a schema says, by itself and as it is seen through its lens."""

from mainstem.schemas.annotations import FALLBACK
from mainstem.schemas.jsonschema.inclusion.facts.claims import (
    NOTHING,
    NUMBERS,
    Bound,
    Claims,
    Piece,
    Row,
    exact,
    kinds,
)
from mainstem.schemas.jsonschema.reading import Json, Place


def as_claims(place: Place) -> Claims:
    """That a place accepts; nothing where it accepts everything."""
    return NOTHING if place.value is True or place.value == {} else frozenset({place})


def types_of(place: Place) -> set[str]:
    """The types that ``type`` admits."""
    stated = place.get("type")
    names = [stated] if isinstance(stated, str) else stated if isinstance(stated, list) else []
    found: set[str] = set()
    for name in names:
        if name == "number":
            found |= NUMBERS
        elif name == "integer":
            found |= {"integer"} if place.draft == 4 else {"integer", "whole"}
        else:
            found.add(str(name))
    return found


def widened(place: Place) -> set[str] | None:
    """The types that an opened enum with a fallback member admits; nothing for any other enum."""
    members = place.get("enum")
    if place.lens != "opened" or FALLBACK not in place.schema or not isinstance(members, list):
        return None
    return {kind for each in members for kind in kinds(each)} if place.schema[FALLBACK] in members else None


def piece_of(place: Place) -> Piece:
    """What a place itself says of properties, as it is seen through its lens."""
    rest = as_claims(place.child("additionalProperties")) if place.has("additionalProperties") else None
    if place.lens == "opened" and place.get("additionalProperties") is False:
        rest = None
    return Piece(
        {name: as_claims(each) for name, each in place.named("properties").items()},
        {pattern: as_claims(each) for pattern, each in place.named("patternProperties").items()},
        rest,
    )


def row_of(place: Place) -> Row:
    """What a place itself says of elements."""
    if place.draft == 2020:
        return Row(tuple(map(as_claims, place.children("prefixItems"))), _optional(place, "items"))
    if isinstance(place.get("items"), list):
        return Row(tuple(map(as_claims, place.children("items"))), _optional(place, "additionalItems"))
    return Row((), _optional(place, "items"))


def range_of(place: Place) -> tuple[Bound | None, Bound | None]:
    """The numbers that a place admits; draft 4 says of its bounds apart whether they are excluded."""
    lower, upper = (
        Bound(exact(value)) if _is_number(value := place.get(name)) else None for name in ("minimum", "maximum")
    )
    below, above = place.get("exclusiveMinimum"), place.get("exclusiveMaximum")
    if lower and below is True:
        lower = Bound(lower.value, open=True)
    if upper and above is True:
        upper = Bound(upper.value, open=True)
    if _is_number(below):
        stated = Bound(exact(below), open=True)
        lower = lower if lower and lower.above(stated) else stated
    if _is_number(above):
        stated = Bound(exact(above), open=True)
        upper = upper if upper and upper.below(stated) else stated
    return lower, upper


def whole(value: Json) -> int | None:
    """A count; later drafts let it be written with a point."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def everything_said(place: Place) -> tuple[set[str], set[str], bool]:
    """The names and patterns of properties in a place and all that speaks of the same instance; and whether of all."""
    names: set[str] = set()
    patterns: set[str] = set()
    of_all = False
    seen, waiting = {place}, [place]
    while waiting:
        each = waiting.pop()
        names |= set(each.named("properties"))
        patterns |= set(each.named("patternProperties"))
        of_all |= each.has("additionalProperties") and not (
            each.lens == "opened" and each.get("additionalProperties") is False
        )
        of_all |= each is not place and each.has("unevaluatedProperties")
        further = [inner for inner in each.inside() if inner not in seen]
        seen.update(further)
        waiting += further
    return names, patterns, of_all


def listed(value: Json) -> list[Json]:
    """The elements of a list; none of what is no list."""
    return value if isinstance(value, list) else []


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _optional(place: Place, keyword: str) -> Claims:
    return as_claims(place.child(keyword)) if place.has(keyword) else NOTHING
