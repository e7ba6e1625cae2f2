"""Numbers and texts."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from mainstem.schemas.jsonschema.inclusion.facts import (
    NUMBERS,
    Bound,
    Facts,
    exact,
    kinds,
    range_of,
    types_of,
    whole,
    widened,
)
from mainstem.schemas.jsonschema.inclusion.proof import Case, Finding
from mainstem.schemas.jsonschema.reading import Json, written

WIDER_FORMATS: Final = {
    "uri": {"uri-reference", "iri", "iri-reference"},
    "uri-reference": {"iri-reference"},
    "iri": {"iri-reference"},
    "email": {"idn-email"},
    "hostname": {"idn-hostname"},
}
"""Every text of a format is also one of these."""

EVERYTHING: Final = frozenset({"", "^", "$", ".*", "^.*", ".*$", "(.*)"})
"""Patterns that are found in every text."""


def types(case: Case) -> Iterator[Finding]:
    """``type``."""
    more = case.facts.types - types_of(case.goal)
    if more and not _multiples_of_one(case.facts, more) and not case.prover.empty(case.facts, more):
        yield case.finding("type-narrowed", "type", sorted(_spoken(case.facts.types)), _of_types(case, more))


def enumeration(case: Case) -> Iterator[Finding]:
    """``enum`` and ``const``, where more than a few values may be written."""
    keyword = "const" if case.goal.has("const") else "enum"
    admitted = widened(case.goal) if keyword == "enum" else None
    if admitted is not None:
        more = case.facts.types - admitted
        if more:
            yield case.finding("type-narrowed", "enum", sorted(_spoken(case.facts.types)), _of_types(case, more))
        return
    yield case.finding("enum-narrowed", keyword, None, [] if case.quick else case.prover.examples(case.claims))


def numbers(case: Case) -> Iterator[Finding]:
    """``minimum``, ``maximum`` and their exclusive forms, which are a boolean in draft 4 and a number later."""
    lower, upper = range_of(case.goal)
    mine = tightened(case.facts)
    if lower and not (mine[0] and mine[0].above(lower)):
        keyword = "exclusiveMinimum" if lower.open and case.goal.draft > 4 else "minimum"
        tries = [lower.value, lower.value - 1, *_ends(case.facts), *_between(mine[0], lower)]
        yield case.finding("minimum-raised", keyword, _number_or_none(mine[0]), map(spelled, tries))
    if upper and not (mine[1] and mine[1].below(upper)):
        keyword = "exclusiveMaximum" if upper.open and case.goal.draft > 4 else "maximum"
        tries = [upper.value, upper.value + 1, *_ends(case.facts), *_between(mine[1], upper)]
        yield case.finding("maximum-lowered", keyword, _number_or_none(mine[1]), map(spelled, tries))


def multiples(case: Case) -> Iterator[Finding]:
    """``multipleOf``."""
    wanted = exact(case.goal.get("multipleOf"))
    known = case.facts.multiples | (set() if "fraction" in case.facts.types else {Fraction(1)})
    if not any((each / wanted).denominator == 1 for each in known):
        step = max(known, default=wanted / 2)
        tries = [step, step * 3, *_ends(case.facts), *(end + step for end in _ends(case.facts))]
        yield case.finding(
            "multiple-changed", "multipleOf", [spelled(each) for each in sorted(known)], map(spelled, tries)
        )


def lengths(case: Case) -> Iterator[Finding]:
    """``minLength`` and ``maxLength``."""
    least, most = whole(case.goal.get("minLength")), whole(case.goal.get("maxLength"))
    if least is not None and case.facts.min_length < least:
        tries = _texts(case, [case.facts.min_length, least - 1])
        yield case.finding("min-length-raised", "minLength", case.facts.min_length, tries)
    if most is not None and (case.facts.max_length is None or case.facts.max_length > most):
        tries = _texts(case, [most + 1, case.facts.max_length or 0, case.facts.min_length])
        yield case.finding("max-length-lowered", "maxLength", case.facts.max_length, tries)


def patterns(case: Case) -> Iterator[Finding]:
    """``pattern``: only the same one is known to be kept."""
    wanted = str(case.goal.get("pattern"))
    if wanted not in case.facts.patterns and wanted not in EVERYTHING:
        yield case.finding("pattern-changed", "pattern", sorted(case.facts.patterns), _texts(case, [1, 0, 3]))


def formats(case: Case) -> Iterator[Finding]:
    """``format``: the same one, or one that is known to be wider."""
    wanted = str(case.goal.get("format"))
    looked_at = {each for each, looks in case.facts.formats if looks or case.goal.draft >= 2019}
    if wanted not in looked_at.union(*(WIDER_FORMATS.get(each, ()) for each in looked_at)):
        known = sorted(each for each, _ in case.facts.formats)
        yield case.finding("format-changed", "format", known, _texts(case, [1, 0, 3]))


def contents(case: Case) -> Iterator[Finding]:
    """``contentEncoding`` and ``contentMediaType``: only the same ones are known to be kept."""
    for keyword in ("contentEncoding", "contentMediaType"):
        if not case.goal.has(keyword):
            continue
        wanted = (keyword, written(case.goal.get(keyword)))
        kept = {(name, text) for name, text, looks in case.facts.contents if looks or case.goal.draft >= 2019}
        if wanted not in kept:
            yield case.finding("content-changed", keyword, None, _texts(case, [1, 0, 3]))


def tightened(facts: Facts) -> tuple[Bound | None, Bound | None]:
    """The range of the numbers; where there are whole numbers only, it ends at some."""
    lower, upper = facts.lower, facts.upper
    if "fraction" not in facts.types:
        if lower:
            least = lower.value.__ceil__()
            lower = Bound(Fraction(least + (lower.open and least == lower.value)))
        if upper:
            most = upper.value.__floor__()
            upper = Bound(Fraction(most - (upper.open and most == upper.value)))
    return lower, upper


def spelled(number: Fraction) -> Json:
    """A number as JSON has it."""
    return int(number) if number.denominator == 1 else float(number)


def without_numbers(facts: Facts, kind: str) -> bool:
    """Whether the range has no number of a type."""
    if kind == "fraction" and any(each.denominator == 1 for each in facts.multiples):
        return True
    lower, upper = tightened(facts) if kind != "fraction" else (facts.lower, facts.upper)
    if not lower or not upper:
        return False
    if lower.value > upper.value or (lower.value == upper.value and (lower.open or upper.open)):
        return True
    step = max(facts.multiples, default=None)
    if step is None:
        return False
    first = -(-lower.value // step) * step
    first += step if lower.open and first == lower.value else 0
    return first > upper.value or (first == upper.value and upper.open)


def _multiples_of_one(facts: Facts, more: set[str]) -> bool:
    return more == {"fraction"} and any(each.denominator == 1 for each in facts.multiples)


def _spoken(kinds_: set[str]) -> set[str]:
    names = {each for each in kinds_ if each not in NUMBERS}
    return names | ({"number"} if "fraction" in kinds_ else {"integer"} if kinds_ & NUMBERS else set())


def _of_types(case: Case, more: set[str]) -> list[Json]:
    return [] if case.quick else [each for each in case.prover.examples(case.claims) if kinds(each) & more]


def _ends(facts: Facts) -> list[Fraction]:
    ends = [end for end in tightened(facts) if end]
    return [each.value for each in ends] + [each.value + shift for each in ends for shift in (1, -1)]


def _between(one: Bound | None, other: Bound) -> list[Fraction]:
    return [(one.value + other.value) / 2] if one else []


def _number_or_none(bound: Bound | None) -> Json:
    return spelled(bound.value) if bound else None


def _texts(case: Case, sizes: list[int]) -> list[Json]:
    if case.quick:
        return []
    made: list[Json] = ["a" * min(max(size, 0), 10_000) for size in sizes]
    return made + [each for each in case.prover.examples(case.claims) if isinstance(each, str)]
