"""Objects: what may be written under each name, and what the reader takes there."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Final

from mainstem.schemas.jsonschema.inclusion.facts import (
    IMPOSSIBLE,
    Claims,
    Facts,
    Not,
    Piece,
    Region,
    as_claims,
    literal,
    piece_of,
    whole,
)
from mainstem.schemas.jsonschema.inclusion.proof import Case, Finding, Prover
from mainstem.schemas.jsonschema.reading import Json, Place, matches, samples

PATTERNS: Final = 6
"""With more patterns of names than this, not every combination of them is looked at, but one after the other."""

PATTERN: Final = 0.01
"""What it costs to look whether a kind of names has a pattern."""

MATCH: Final = 10
"""So much more does it cost to find it in a name."""

EXAMPLES: Final = 100
"""So often every pattern is looked at for an object that has a name of one."""

_OTHER_NAMES = ("other", "x", "x-other", "X", "a", "1", "_", "a1", "", "other.name")


def properties(case: Case) -> Iterator[Finding]:
    """``properties``, ``patternProperties`` and ``additionalProperties``."""
    yield from _each_property(case, piece_of(case.goal))


def unevaluated(case: Case) -> Iterator[Finding]:
    """``unevaluatedProperties``: what no other schema of the reader that is known to accept has spoken of."""
    if case.goal.lens == "opened" and case.goal.get("unevaluatedProperties") is False:
        return
    spoken = Piece({}, {}, as_claims(case.goal.child("unevaluatedProperties")))
    for place in case.evaluating(case.goal):
        piece = piece_of(place)
        if piece.rest is not None or (place is not case.goal and place.has("unevaluatedProperties")):
            return
        spoken.properties.update(dict.fromkeys(piece.properties, frozenset()))
        spoken.patterns.update(dict.fromkeys(piece.patterns, frozenset()))
    yield from _each_property(case, spoken)


def required(case: Case) -> Iterator[Finding]:
    """``required``."""
    stated = case.goal.get("required")
    for name in stated if isinstance(stated, list) else []:
        if str(name) not in case.facts.required:
            tries = () if case.quick else _without(case, str(name))
            found = case.finding("required-added", "required", sorted(case.facts.required), tries)
            yield found._replace(reader=name)


def sizes(case: Case) -> Iterator[Finding]:
    """``minProperties`` and ``maxProperties``."""
    least, most = whole(case.goal.get("minProperties")), whole(case.goal.get("maxProperties"))
    facts = case.facts
    if least is not None and max(facts.min_properties, len(facts.required)) < least:
        yield case.finding("min-properties-raised", "minProperties", facts.min_properties, _examples(case))
    if most is not None and (facts.max_properties is None or facts.max_properties > most) and _count(facts) > most:
        tries = () if case.quick else _larger(case, most + 1)
        yield case.finding("max-properties-lowered", "maxProperties", facts.max_properties, tries)


def names(case: Case) -> Iterator[Finding]:
    """``propertyNames``."""
    goal = case.goal.child("propertyNames")
    for name in sorted(case.facts.declared):
        if _may_have(case, name) and not case.prover.accepts(goal, name, formats=True):
            tries = () if case.quick else _with(case, name, case.prover.examples(case.facts.of(name)))
            yield case.finding("property-names-narrowed", "propertyNames", name, tries)
    for found in _regions(case.facts, Piece({})):
        _spend(case, Piece({}))
        known = _naming(case.facts, Piece({}), found)
        values = case.facts.of_others(found)
        if not _shut(values) and next(case.below(known, [goal]), None) is not None:
            named = [] if case.quick else [*case.prover.examples(known), *_names(found, case.facts)]
            tries = [one for name in named for one in _with(case, str(name), case.prover.examples(values))]
            yield case.finding("property-names-narrowed", "propertyNames", None, tries)
            return


def dependencies(case: Case) -> Iterator[Finding]:
    """``dependencies``, ``dependentRequired`` and ``dependentSchemas``."""
    for keyword in ("dependencies", "dependentRequired", "dependentSchemas"):
        stated = case.goal.get(keyword)
        for name, each in stated.items() if isinstance(stated, dict) else ():
            claims = case.claims | {literal({"type": "object", "required": [name]})}
            if _shut(case.facts.of(name)):
                continue
            if not isinstance(each, list):
                yield from case.missing(claims, case.goal.child(keyword, name))
            elif not set(map(str, each)) <= case.prover.facts(claims).required and not case.prover.void(claims):
                tries = (
                    ()
                    if case.quick
                    else [one for other in each for one in _without_from(case.prover.examples(claims), str(other))]
                )
                yield case.finding("dependency-added", keyword, name, tries)._replace(reader=each)


def without_objects(prover: Prover, facts: Facts) -> bool:
    """Whether a required property can have no value, or there are too many of them or too few."""
    most = facts.max_properties
    if most is not None and most < max(facts.min_properties, len(facts.required)):
        return True
    if any(not prover.accepts(place, name) for place in facts.names for name in facts.required):
        return True
    prover.level += 1
    try:
        return any(prover.void(facts.of(name)) for name in sorted(facts.required))
    finally:
        prover.level -= 1


def _each_property(case: Case, piece: Piece) -> Iterator[Finding]:
    facts = case.facts
    if facts.max_properties == 0:
        return
    for name in sorted(facts.declared | set(piece.properties)):
        _spend(case, piece, MATCH)
        claims, goals = facts.of(name), piece.of(name)
        if goals and _may_have(case, name):
            for found in case.below(claims, sorted(goals, key=_order)):
                yield _at_property(case, found, name, is_declared=name in facts.declared or bool(claims))
    for region in _regions(facts, piece):
        _spend(case, piece)
        goals = piece.of_others(Region(region.patterns))
        claims = facts.of_others(region)
        if goals and not _shut(claims) and _may_be_named(case, piece, region):
            for found in case.below(claims, sorted(goals, key=_order)):
                yield _at_others(case, found, region)


def _spend(case: Case, piece: Piece, times: int = 1) -> None:
    looks = len(piece.patterns) + sum(len(each.patterns) for each in case.facts.pieces)
    case.prover.spend(PATTERN * looks * times)


def _at_property(case: Case, found: Finding, name: str, *, is_declared: bool) -> Finding:
    if case.quick:
        return found
    rule = found.rule
    if found.rule == "nothing-accepted":
        rule = "property-removed-from-closed-object"
        found = found._replace(
            place=case.goal, keyword=_closing(case.goal), reader=case.goal.schema.get(_closing(case.goal))
        )
    elif not is_declared:
        rule = "property-added-to-open-object"
    writer = name if rule == "property-removed-from-closed-object" else found.writer
    shown = case.prover.shown(case.claims, case.goal, _with(case, name, list(found.candidates)))
    return found._replace(rule=rule, writer=writer, candidates=shown)


def _closing(goal: Place) -> str:
    return "additionalProperties" if goal.has("additionalProperties") else "unevaluatedProperties"


def _at_others(case: Case, found: Finding, region: Region) -> Finding:
    if case.quick:
        return found
    _spend(case, Piece({}), EXAMPLES)
    tries = [one for name in _names(region, case.facts) for one in _with(case, name, list(found.candidates))]
    shown = case.prover.shown(case.claims, case.goal, tries)
    return found._replace(rule="additional-properties-narrowed", candidates=shown)


def _regions(facts: Facts, piece: Piece) -> Iterator[Region]:
    """The kinds of names that are in no list, by the patterns that are found in them: each name is of one at least."""
    patterns = sorted({pattern for each in (*facts.pieces, piece) for pattern in each.patterns})
    if len(patterns) > PATTERNS:
        yield Region(frozenset())
        for pattern in patterns:
            yield Region(frozenset({pattern}), exactly=False)
        return
    for size in range(len(patterns) + 1):
        for chosen in itertools.combinations(patterns, size):
            if not _excluding(chosen):
                yield Region(frozenset(chosen))


def _excluding(patterns: Iterable[str]) -> bool:
    """Whether no name has all patterns, as their fixed beginnings show."""
    starts = [start for pattern in patterns if (start := _start(pattern))]
    return any(not (one.startswith(two) or two.startswith(one)) for one, two in itertools.combinations(starts, 2))


def _start(pattern: str) -> str:
    if not pattern.startswith("^") or "|" in pattern:
        return ""
    plain = "".join(itertools.takewhile(lambda each: each.isalnum() or each in "-_", pattern[1:]))
    rest = pattern[1 + len(plain) :]
    return plain[:-1] if rest[:1] in ("*", "?", "{", "+") else plain


def _order(claim: object) -> str:
    return str(getattr(getattr(claim, "place", claim), "pointer", ""))


def _shut(claims: Claims) -> bool:
    return IMPOSSIBLE in claims or any(isinstance(each, Place) and each.value is False for each in claims)


def _may_have(case: Case, name: str) -> bool:
    if _shut(case.facts.of(name)):
        return False
    return all(case.prover.accepts(place, name) for place in case.facts.names)


def _may_be_named(case: Case, piece: Piece, region: Region) -> bool:
    return not case.facts.names or not case.prover.void(_naming(case.facts, piece, region))


def _naming(facts: Facts, piece: Piece, region: Region) -> Claims:
    """What is known of a name that is in no list, and has these patterns and no others."""
    every = {pattern for each in (*facts.pieces, piece) for pattern in each.patterns if region.exactly}
    without = [Not(literal({"pattern": each})) for each in sorted(every - region.patterns)]
    listed: list[Json] = [*sorted(facts.declared | set(piece.properties))]
    without += [Not(literal({"enum": listed}))] if listed else []
    with_these = [literal({"pattern": each}) for each in sorted(region.patterns)]
    return frozenset({literal({"type": "string"}), *facts.names, *with_these, *without})


def _count(facts: Facts) -> float:
    """How many properties there can be, where every other name is shut out."""
    shut = any(piece.rest is not None and _shut(piece.rest) and not piece.patterns for piece in facts.pieces)
    return len([name for name in facts.declared if not _shut(facts.of(name))]) if shut else float("inf")


def _names(region: Region, facts: Facts) -> list[str]:
    """Some names of a kind."""
    starts = [text for each in region.patterns for text in (_start(each), *samples(each))]
    tries = [*_OTHER_NAMES, *starts, *(start + name for start in starts for name in _OTHER_NAMES)]
    every = {pattern for piece in facts.pieces for pattern in piece.patterns if region.exactly} | region.patterns
    fitting = [
        name
        for name in tries
        if name not in facts.declared and all(matches(each, name) == (each in region.patterns) for each in every)
    ]
    return fitting[:3]


def _examples(case: Case) -> list[Json]:
    return [] if case.quick else case.prover.examples(case.claims)


def _with(case: Case, name: str, values: list[Json]) -> list[Json]:
    """Objects as claimed that have a property, with each of some values."""
    if not values:
        return []
    holders = case.prover.examples(case.claims | {literal({"type": "object"}), literal({"required": [name]})})
    holders += case.prover.examples(case.claims | {literal({"type": "object"})})
    return [{**each, name: value} for value in values[:3] for each in holders[:4] if isinstance(each, dict)]


def _without(case: Case, name: str) -> list[Json]:
    return _without_from(case.prover.examples(case.claims), name)


def _without_from(examples: list[Json], name: str) -> list[Json]:
    return [{key: value for key, value in each.items() if key != name} for each in examples if isinstance(each, dict)]


def _larger(case: Case, size: int) -> list[Json]:
    claims = case.claims | {literal({"type": "object", "minProperties": size})}
    return case.prover.examples(claims)
