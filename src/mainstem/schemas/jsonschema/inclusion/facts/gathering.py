"""From claims to facts: each keyword that is understood adds what it says."""

from collections.abc import Callable, Iterator
from typing import Final

from mainstem.schemas.jsonschema.inclusion.facts.claims import (
    NOTHING,
    Claims,
    Contained,
    Facts,
    Not,
    Piece,
    Row,
    exact,
    literal,
)
from mainstem.schemas.jsonschema.inclusion.facts.closing import close, close_needs
from mainstem.schemas.jsonschema.inclusion.facts.statements import (
    as_claims,
    everything_said,
    listed,
    piece_of,
    range_of,
    row_of,
    types_of,
    whole,
    widened,
)
from mainstem.schemas.jsonschema.reading import REFERENCES, Place, written


def gathered(claims: Claims) -> Facts:
    """What follows from claims directly, without looking into the parts of the instance."""
    facts = Facts()
    waiting: list[Place | Not] = sorted(claims, key=_order)
    while waiting:
        for claim in waiting:
            if isinstance(claim, Not):
                facts.negatives[claim.place] = None
            else:
                facts.places[claim] = None
        further = [each for claim in waiting for each in _following(facts, claim)]
        close_needs(facts)
        if facts.types == {"object"}:
            further += [place for name, place in facts.when if name in facts.required]
        waiting = [each for each in dict.fromkeys(further) if not _known(facts, each)]
    held = {*facts.places, *(Not(each) for each in facts.negatives)}
    facts.choices = [each for each in facts.choices if not any(case <= held for case in each)]
    close(facts)
    return facts


def _known(facts: Facts, claim: Place | Not) -> bool:
    return claim.place in facts.negatives if isinstance(claim, Not) else claim in facts.places


def _following(facts: Facts, claim: Place | Not) -> Iterator[Place | Not]:
    return _denied(facts, claim.place) if isinstance(claim, Not) else _accepted(facts, claim)


def _order(claim: Place | Not) -> tuple[str, str, bool]:
    place = claim.place if isinstance(claim, Not) else claim
    return place.document, place.pointer, isinstance(claim, Not)


def _accepted(facts: Facts, place: Place) -> Iterator[Place | Not]:
    """Add what a place says; give what else it claims."""
    if place.value is False:
        facts.types.clear()
    for keyword in place.schema:
        if keyword in _READERS and place.has(keyword):
            _READERS[keyword](facts, place)
    for keyword in REFERENCES:
        if place.has(keyword):
            yield place.referred(keyword)
    yield from place.children("allOf")
    if place.has("not"):
        yield Not(place.child("not"))


def _denied(facts: Facts, place: Place) -> Iterator[Place | Not]:
    """What follows from a place not accepting, for the simple ones."""
    keywords = {each for each in place.schema if place.has(each) and each not in ("title", "description", "$comment")}
    if place.value is True or place.value == {}:
        facts.types.clear()
    elif keywords == {"type"}:
        facts.types -= types_of(place)
    elif keywords == {"not"}:
        yield place.child("not")
    elif keywords == {"$ref"}:
        yield Not(place.referred())
    elif keywords == {"anyOf"}:
        yield from map(Not, place.children("anyOf"))
    elif keywords == {"allOf"}:
        facts.choices.append(tuple(frozenset({Not(each)}) for each in place.children("allOf")))
    elif keywords and keywords <= {"required", "properties"}:
        _denied_object(facts, place)


def _denied_object(facts: Facts, place: Place) -> None:
    """An object, of which a required property is missing, or the one property is not as it should be."""
    stated = place.get("required")
    required = [str(each) for each in stated] if isinstance(stated, list) else []
    properties = place.named("properties")
    facts.types &= {"object"}
    if not properties:
        absent = [frozenset({literal({"properties": {name: False}})}) for name in required]
        facts.choices.append(tuple(absent))
    elif len(properties) == 1 and set(required) <= set(properties):
        ((name, each),) = properties.items()
        facts.pieces.append(Piece({name: frozenset({Not(each)})}))
        facts.required |= set() if required else {name}


def _type(facts: Facts, place: Place) -> None:
    facts.types &= types_of(place)


def _enum(facts: Facts, place: Place) -> None:
    stated = [place.get("const")] if place.has("const") else list(listed(place.get("enum")))
    admitted = None if place.has("const") else widened(place)
    if admitted is not None:
        facts.types &= admitted
    elif facts.values is None:
        facts.values = stated


def _multiple(facts: Facts, place: Place) -> None:
    facts.multiples.add(exact(place.get("multipleOf")))


def _range(facts: Facts, place: Place) -> None:
    lower, upper = range_of(place)
    if lower and not (facts.lower and facts.lower.above(lower)):
        facts.lower = lower
    if upper and not (facts.upper and facts.upper.below(upper)):
        facts.upper = upper


def _length(facts: Facts, place: Place) -> None:
    for keyword, name in _LEAST.items():
        if (count := whole(place.get(keyword))) is not None:
            facts.least(name, count)
    for keyword, name in _MOST.items():
        if (count := whole(place.get(keyword))) is not None:
            facts.most(name, count)


def _text(facts: Facts, place: Place) -> None:
    if place.has("pattern"):
        facts.patterns.add(str(place.get("pattern")))
    if place.has("format"):
        facts.formats.add((str(place.get("format")), place.draft < 2019))
    for keyword in ("contentEncoding", "contentMediaType"):
        if place.has(keyword):
            facts.contents.add((keyword, written(place.get(keyword)), place.draft < 2019))


def _properties(facts: Facts, place: Place) -> None:
    piece = piece_of(place)
    if piece not in facts.pieces:
        facts.pieces.append(piece)


def _unevaluated(facts: Facts, place: Place) -> None:
    """Whatever may be evaluated by another schema is left open."""
    names, patterns, of_all = everything_said(place)
    if not of_all and not (place.lens == "opened" and place.get("unevaluatedProperties") is False):
        rest = as_claims(place.child("unevaluatedProperties"))
        facts.pieces.append(Piece(dict.fromkeys(names, NOTHING), dict.fromkeys(patterns, NOTHING), rest))


def _required(facts: Facts, place: Place) -> None:
    facts.required |= {str(each) for each in listed(place.get("required"))}


def _dependencies(facts: Facts, place: Place) -> None:
    for keyword in ("dependencies", "dependentRequired"):
        stated = place.get(keyword)
        for name, each in stated.items() if isinstance(stated, dict) else ():
            if isinstance(each, list):
                facts.needs.append((name, frozenset(map(str, each))))
    for keyword in ("dependencies", "dependentSchemas"):
        facts.when += place.named(keyword).items()


def _items(facts: Facts, place: Place) -> None:
    row = row_of(place)
    if row not in facts.rows:
        facts.rows.append(row)


def _unevaluated_items(facts: Facts, place: Place) -> None:
    """Only where nothing else speaks of elements: they may be evaluated in too many ways."""
    inside = [place, *place.inside()]
    silent = not any(each.has(keyword) for each in inside for keyword in ("items", "contains", "additionalItems"))
    if silent and not any(list(each.inside()) for each in inside[1:]):
        longest = max(len(each.children("prefixItems")) for each in inside)
        facts.rows.append(Row((NOTHING,) * longest, as_claims(place.child("unevaluatedItems"))))


def _contains(facts: Facts, place: Place) -> None:
    least = whole(place.get("minContains"))
    most = whole(place.get("maxContains"))
    facts.contains.append(Contained(place.child("contains"), 1 if least is None else least, most))


def _choices(facts: Facts, place: Place) -> None:
    for keyword in ("anyOf", "oneOf"):
        if place.has(keyword):
            facts.choices.append(tuple(frozenset({each}) for each in place.children(keyword)))


def _condition(facts: Facts, place: Place) -> None:
    condition = place.child("if")
    then = as_claims(place.child("then")) if place.has("then") else NOTHING
    otherwise = as_claims(place.child("else")) if place.has("else") else NOTHING
    if then or otherwise:
        facts.choices.append((then | {condition}, otherwise | {Not(condition)}))


_LEAST: Final = {
    "minLength": "min_length",
    "minItems": "min_items",
    "minProperties": "min_properties",
}
_MOST: Final = {
    "maxLength": "max_length",
    "maxItems": "max_items",
    "maxProperties": "max_properties",
}

_READERS: Final[dict[str, Callable[[Facts, Place], None]]] = {
    "type": _type,
    "enum": _enum,
    "const": _enum,
    "multipleOf": _multiple,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _range),
    **dict.fromkeys((*_LEAST, *_MOST), _length),
    **dict.fromkeys(("pattern", "format", "contentEncoding", "contentMediaType"), _text),
    **dict.fromkeys(("properties", "patternProperties", "additionalProperties"), _properties),
    "unevaluatedProperties": _unevaluated,
    "required": _required,
    "propertyNames": lambda facts, place: facts.names.add(place.child("propertyNames")),
    **dict.fromkeys(("dependencies", "dependentRequired", "dependentSchemas"), _dependencies),
    **dict.fromkeys(("items", "prefixItems", "additionalItems"), _items),
    "unevaluatedItems": _unevaluated_items,
    "uniqueItems": lambda facts, place: setattr(facts, "unique", facts.unique or place.get("uniqueItems") is True),
    "contains": _contains,
    **dict.fromkeys(("anyOf", "oneOf"), _choices),
    "if": _condition,
}
