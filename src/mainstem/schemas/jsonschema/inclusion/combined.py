"""References and combinations of schemas: alternatives, exclusions, conditions."""

from collections.abc import Iterator
from typing import Final

from mainstem.schemas.jsonschema.inclusion.facts import TYPES, Claims, Not, types_of, widened
from mainstem.schemas.jsonschema.inclusion.proof import ALTERNATIVE, Case, Finding
from mainstem.schemas.jsonschema.reading import REFERENCES, Place

MANY_TAGS: Final = 100
"""An enum of more values is no tag."""

LONG_WAY: Final = 20
"""So many references in a row are followed to see what an alternative is."""


def references(case: Case) -> Iterator[Finding]:
    """``$ref``, and the dynamic ones; each leads to one place only."""
    for keyword in REFERENCES:
        if case.goal.has(keyword):
            yield from case.missing(case.claims, case.goal.referred(keyword))


def all_of(case: Case) -> Iterator[Finding]:
    """``allOf``."""
    for each in case.goal.children("allOf"):
        yield from case.missing(case.claims, each)


def any_of(case: Case) -> Iterator[Finding]:
    """``anyOf``: one of them takes everything; what is claimed is split into cases where none does."""
    branches = case.goal.children("anyOf")
    case.prover.spend(ALTERNATIVE * len(branches))
    if not any(case.prover.holds(case.claims, each) for each in branches if not _apart(case, each)):
        yield from _none_of(case, "anyOf", branches)


def one_of(case: Case) -> Iterator[Finding]:
    """``oneOf``: one takes everything, and no other takes any of it."""
    branches = case.goal.children("oneOf")
    case.prover.spend(ALTERNATIVE * len(branches))
    near = [each for each in branches if not _apart(case, each)]
    taking = [each for each in near if case.prover.holds(case.claims, each)]
    if not taking:
        yield from _none_of(case, "oneOf", branches)
        return
    for each in near:
        if each is not taking[0] and not case.prover.void(case.claims | {each}):
            tries = [] if case.quick else case.prover.examples(case.claims | {each})
            yield case.finding("one-of-ambiguous", "oneOf", None, tries)
            return


def exclusion(case: Case) -> Iterator[Finding]:
    """``not``."""
    excluded = case.goal.child("not")
    both = case.claims | {excluded}
    if Not(excluded) not in case.claims and not case.prover.void(both):
        yield case.finding("not-widened", "not", None, [] if case.quick else case.prover.examples(both))


def condition(case: Case) -> Iterator[Finding]:
    """``if`` with ``then`` and ``else``."""
    asked = case.goal.child("if")
    if case.goal.has("then"):
        yield from _where(case, case.claims | {asked}, case.goal.child("then"))
    if case.goal.has("else"):
        yield from _where(case, case.claims | {Not(asked)}, case.goal.child("else"))


def _where(case: Case, claims: Claims, goal: Place) -> Iterator[Finding]:
    yield from case.missing(claims, goal)


def _none_of(case: Case, keyword: str, branches: list[Place]) -> Iterator[Finding]:
    """Where only one alternative is of the right type, say what is wrong with it."""
    if case.quick:
        yield case.finding("any-of-narrowed", keyword, None)
        return
    fitting = [each for each in branches if not _types(each).isdisjoint(case.facts.types)]
    if len(fitting) == 1:
        found = list(case.missing(case.claims, fitting[0]))
        tries = [each for finding in found for each in finding.candidates]
        shown = case.prover.shown(case.claims, case.goal, tries)
        yield from (each._replace(candidates=tuple(one for one in each.candidates if one in shown)) for each in found)
        return
    tries = case.prover.examples(case.claims)
    for each in fitting:
        tries += [one for finding in case.missing(case.claims, each) for one in finding.candidates]
    yield case.finding("any-of-narrowed", keyword, sorted(case.facts.types), tries)


def _apart(case: Case, branch: Place) -> bool:
    """Whether a required property tells an alternative from what is claimed, as the tag of a union does."""
    branch = _led(branch)
    required = branch.get("required")
    if case.facts.types != {"object"} or not isinstance(required, list):
        return False
    for name, tag in branch.named("properties").items():
        if name in required and name in case.facts.required and (theirs := _tags(tag)) is not None:
            for mine in case.facts.of(name):
                known = _tags(mine) if isinstance(mine, Place) else None
                if known is not None and known.isdisjoint(theirs):
                    return True
    return False


def _tags(place: Place) -> set[str] | None:
    """The values that are admitted, spelled out, where they are a few texts and whole numbers."""
    stated = [place.get("const")] if place.has("const") else place.get("enum")
    if not isinstance(stated, list) or len(stated) > MANY_TAGS or widened(place) is not None:
        return None
    simple = all(isinstance(each, str | int) and not isinstance(each, bool) for each in stated)
    return {repr(each) for each in stated} if simple else None


def _led(place: Place) -> Place:
    """Where a place leads that is nothing but a reference."""
    seen = 0
    while place.has("$ref") and len(place.schema) == 1 and seen < LONG_WAY:
        place, seen = place.referred(), seen + 1
    return place


def _types(place: Place) -> set[str]:
    place = _led(place)
    if place.value is False:
        return set()
    return types_of(place) if place.has("type") else set(TYPES)
