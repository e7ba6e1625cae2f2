"""Arrays: what each element may be, and how many there are."""

from collections.abc import Iterator

from mainstem.schemas.jsonschema.inclusion.facts import Claims, Contained, Facts, Row, as_claims, literal, row_of, whole
from mainstem.schemas.jsonschema.inclusion.proof import Case, Finding, Prover
from mainstem.schemas.jsonschema.reading import Json, Place


def elements(case: Case) -> Iterator[Finding]:
    """``items``, ``prefixItems`` and ``additionalItems``."""
    yield from _each_element(case, row_of(case.goal))


def unevaluated(case: Case) -> Iterator[Finding]:
    """``unevaluatedItems``: those that no other schema of the reader that is known to accept has spoken of."""
    listed = 0
    for place in case.evaluating(case.goal):
        row = row_of(place)
        if place.has("items") and (place.draft == 2020 or not isinstance(place.get("items"), list)):
            return
        behind_a_list = place.has("additionalItems") and isinstance(place.get("items"), list)
        if behind_a_list or (place is not case.goal and place.has("unevaluatedItems")):
            return
        listed = max(listed, len(row.prefix))
    yield from _each_element(case, Row((frozenset(),) * listed, as_claims(case.goal.child("unevaluatedItems"))))


def sizes(case: Case) -> Iterator[Finding]:
    """``minItems`` and ``maxItems``."""
    least, most = whole(case.goal.get("minItems")), whole(case.goal.get("maxItems"))
    facts = case.facts
    if least is not None and fewest(facts) < least:
        yield case.finding("min-items-raised", "minItems", facts.min_items, _examples(case, case.claims))
    if most is not None and (many := largest(facts)) is not None and many <= most:
        return
    if most is not None:
        longer = case.claims | {literal({"type": "array", "minItems": most + 1})}
        yield case.finding("max-items-lowered", "maxItems", facts.max_items, _examples(case, longer))


def unique(case: Case) -> Iterator[Finding]:
    """``uniqueItems``."""
    most = largest(case.facts)
    if case.goal.get("uniqueItems") is True and not case.facts.unique and (most is None or most > 1):
        tries: list[Json] = []
        for each in _examples(case, case.claims | {literal({"type": "array", "minItems": 1})}):
            tries += [[*each, each[-1]], [each[0], *each], each] if isinstance(each, list) and each else []
        yield case.finding("unique-items-added", "uniqueItems", False, tries)


def contains(case: Case) -> Iterator[Finding]:
    """``contains`` with ``minContains`` and ``maxContains``."""
    goal = case.goal.child("contains")
    least, most = whole(case.goal.get("minContains")), whole(case.goal.get("maxContains"))
    least = 1 if least is None else least
    if least and not _contains_enough(case, goal, least):
        yield case.finding("contains-changed", "contains", None, _examples(case, case.claims))
    elif most is not None and not _contains_few(case, goal, most):
        longer = case.claims | {literal({"type": "array", "minItems": most + 1})}
        tries = _examples(case, longer)
        tries += [[each] * (most + 1) for each in _examples(case, case.facts.element(case.facts.listed) | {goal})]
        yield case.finding("contains-changed", "maxContains", None, tries)


def without_arrays(prover: Prover, facts: Facts) -> bool:
    """Whether there can be neither so many elements nor so few, or one that has to be there can have no value."""
    least, most = fewest(facts), largest(facts)
    if most is not None and most < least:
        return True
    prover.level += 1
    try:
        if any(prover.void(facts.element(index)) for index in range(min(least, facts.listed + 1))):
            return True
        return any(each.least and _nowhere(prover, facts, each) for each in facts.contains)
    finally:
        prover.level -= 1


def fewest(facts: Facts) -> int:
    """How many elements there are at least."""
    return max([facts.min_items, *(each.least for each in facts.contains)])


def largest(facts: Facts) -> int | None:
    """How many elements there can be, as far as it is said."""
    ends = [] if facts.max_items is None else [facts.max_items]
    ends += [index for index in range(facts.listed + 1) if _shut(facts.element(index))][:1]
    return min(ends, default=None)


def _shut(claims: Claims) -> bool:
    return any(isinstance(each, Place) and each.value is False for each in claims)


def _nowhere(prover: Prover, facts: Facts, contained: Contained) -> bool:
    return all(prover.void(facts.element(index) | {contained.place}) for index in range(facts.listed + 1))


def _each_element(case: Case, row: Row) -> Iterator[Finding]:
    most = largest(case.facts)
    listed = max(case.facts.listed, len(row.prefix))
    for index in range(listed + 1):
        if most is not None and index >= most:
            return
        goals = sorted(row.of(index), key=lambda each: str(getattr(each, "pointer", "")))
        for found in case.below(case.facts.element(index), goals):
            yield _at_element(case, found, index)


def _at_element(case: Case, found: Finding, index: int) -> Finding:
    if case.quick:
        return found
    longer = case.claims | {literal({"type": "array", "minItems": index + 1})}
    tries: list[Json] = [
        [*each[:index], value, *each[index + 1 :]]
        for value in found.candidates
        for each in case.prover.examples(longer)
        if isinstance(each, list) and len(each) > index
    ]
    rule = "element-refused" if found.rule == "nothing-accepted" else found.rule
    return found._replace(rule=rule, candidates=case.prover.shown(case.claims, case.goal, tries))


def _contains_enough(case: Case, goal: Place, least: int) -> bool:
    """The writer says that it contains as many, or so many of the first elements are all accepted."""
    facts = case.facts
    everywhere = frozenset.intersection(*(facts.element(index) for index in range(facts.listed + 1)))
    for each in facts.contains:
        if each.least >= least and not any(case.below(everywhere | {each.place}, [goal])):
            return True
    sure = 0
    for index in range(min(facts.min_items, facts.listed + least)):
        sure += not any(case.below(facts.element(index), [goal]))
    return sure >= least


def _contains_few(case: Case, goal: Place, most: int) -> bool:
    """The writer says so, or too few elements can be accepted at all."""
    facts = case.facts
    many = largest(facts)
    if many is not None and many <= most:
        return True
    if any(each.most is not None and each.most <= most and _wider(case, goal, each.place) for each in facts.contains):
        return True
    case.prover.level += 1
    try:
        possible = [not case.prover.void(facts.element(index) | {goal}) for index in range(facts.listed + 1)]
    finally:
        case.prover.level -= 1
    return not possible[-1] and sum(possible) <= most


def _wider(case: Case, goal: Place, place: Place) -> bool:
    """Whether each element that the reader counts is counted by the writer too."""
    return not any(case.below(frozenset({goal}), [place]))


def _examples(case: Case, claims: Claims) -> list[Json]:
    return [] if case.quick else case.prover.examples(claims)
