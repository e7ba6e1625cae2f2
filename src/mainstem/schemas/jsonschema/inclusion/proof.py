"""Proves that a place accepts every instance of which something is claimed, or says what stands in the way.

A proof goes down the instance. What is being proved of an instance may be taken as proved of a smaller one, because
instances are finite: so a schema that refers to itself is compared in finitely many steps.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from mainstem.schemas.jsonschema.inclusion.facts import IMPOSSIBLE, NUMBERS, Claims, Facts, Not, gathered, literal
from mainstem.schemas.jsonschema.reading import KEYWORDS, Json, Judge, Library, Place, knows, written

STEPS: Final = 20_000
"""A comparison takes at most so many steps; then what is left counts as not provable."""

GATHERING: Final = 0.2
"""Steps for each schema that speaks of one instance, each time that they are put together."""

VALUE: Final = 0.001
"""Steps for each of these, and each listed value that is held against it."""

ALTERNATIVE: Final = 0.1
"""Steps for each alternative of a goal, each time that the right one is looked for."""

DEEP: Final = 80
"""Goals are nested at most so deep."""

_SPLITTING = ("anyOf", "oneOf", "not", "if")


RULES: Final[dict[str, str]] = {
    "type-narrowed": "the reader admits fewer types",
    "enum-narrowed": "the reader does not know every value that may be written",
    "value-refused": "one of the few values that may be written is refused",
    "minimum-raised": "the reader's least number is higher",
    "maximum-lowered": "the reader's greatest number is lower",
    "multiple-changed": "not every multiple that may be written is one for the reader",
    "min-length-raised": "the reader asks for longer texts",
    "max-length-lowered": "the reader asks for shorter texts",
    "pattern-changed": "the reader asks for a pattern that the writer does not keep",
    "format-changed": "the reader asks for a format that the writer does not keep",
    "content-changed": "the reader asks for a content that the writer does not keep",
    "min-items-raised": "the reader asks for more elements",
    "max-items-lowered": "the reader asks for fewer elements",
    "unique-items-added": "the reader asks for elements that all differ",
    "element-refused": "an element may be written that the reader does not have",
    "contains-changed": "the reader asks for elements that need not be there, or for fewer of them",
    "property-added-to-open-object": "the writer may write anything under this name, and the reader does not take all",
    "property-removed-from-closed-object": "the reader does not know this property, and takes no others",
    "additional-properties-narrowed": "the writer may write properties of other names that the reader does not take",
    "required-added": "the reader asks for a property that need not be there",
    "min-properties-raised": "the reader asks for more properties",
    "max-properties-lowered": "the reader asks for fewer properties",
    "property-names-narrowed": "the reader does not take every name",
    "dependency-added": "the reader asks for a property where another is there",
    "any-of-narrowed": "none of the reader's alternatives takes everything",
    "one-of-ambiguous": "more than one of the reader's alternatives takes the same",
    "not-widened": "the reader excludes what may be written",
    "nothing-accepted": "the reader takes nothing here",
    "keyword-of-another-draft": "the reader's keyword has no meaning in its draft, and some validators give it one",
    "reference-uncertain": "where a dynamic reference leads depends on who comes by",
    "drafts-mixed": "a part of the schema is in another draft than the whole",
    "not-shown": "it takes a proof that is not tried here",
    "too-large": "the comparison would take too long",
}
"""Every reason that a difference can have, by its stable name."""


class Finding(NamedTuple):
    """A reason why a place does not accept all that is claimed. ``candidates`` are instances that may show it."""

    place: Place
    rule: str
    writer: object
    reader: object
    keyword: str = ""
    candidates: tuple[Json, ...] = ()


class Spelling(NamedTuple):
    """A schema as text, whether it refers to another, and whether opening what is in it can make it refuse more."""

    text: str
    refers: bool
    ambiguous: bool


class TooLarge(Exception):
    """The budget is spent."""


@dataclass(frozen=True)
class Case:
    """One goal: that ``goal`` accepts whatever ``claims`` speak of. ``quick`` asks for yes or no alone."""

    prover: "Prover"
    claims: Claims
    facts: Facts
    goal: Place
    quick: bool

    def missing(self, claims: Claims, goal: Place) -> Iterator[Finding]:
        """What stands in the way of another goal about the same instance."""
        return self.prover.missing(claims, goal, quick=self.quick)

    def below(self, claims: Claims, goals: Iterable["Place | Not"]) -> Iterator[Finding]:
        """What stands in the way of goals about a part of the instance."""
        self.prover.level += 1
        try:
            for goal in goals:
                if isinstance(goal, Not):
                    yield from self.prover.missing(claims | {goal.place}, IMPOSSIBLE, quick=self.quick)
                else:
                    yield from self.prover.missing(claims, goal, quick=self.quick)
        finally:
            self.prover.level -= 1

    def evaluating(self, goal: Place) -> Iterator[Place]:
        """The reader's places that are known to accept, and so have spoken of properties and items."""
        yield goal
        inner = goal.children("allOf")
        inner += [goal.referred()] if goal.has("$ref") else []
        for keyword in ("anyOf", "oneOf"):
            inner += [each for each in goal.children(keyword) if self.prover.holds(self.claims, each)]
        for each in inner:
            yield from self.evaluating(each)

    def finding(self, rule: str, keyword: str, writer: object, candidates: Iterable[Json] = ()) -> Finding:
        """A reason; of the candidates those that show it are kept."""
        kept: tuple[Json, ...] = ()
        if not self.quick:
            kept = self.prover.shown(self.claims, self.goal, candidates)
        return Finding(self.goal, rule, writer, self.goal.schema.get(keyword), keyword, kept)


Check: TypeAlias = Callable[[Case], Iterator[Finding]]
Checks: TypeAlias = tuple[tuple[frozenset[str], frozenset[str], Check], ...]
"""Types, keywords, and what to do when a goal has one of the keywords and the instance may be of one of the types."""

Examples: TypeAlias = Callable[["Prover", Claims], list[Json]]

Empty: TypeAlias = Callable[["Prover", Facts, str], bool]
"""Whether facts leave no instance of a type."""


class Prover:
    """Holds what has been proved, and what is being proved, in one comparison."""

    def __init__(self, checks: Checks, examples: Examples, empty: Empty) -> None:
        self.level = 0
        self._checks = checks
        self._examples = examples
        self._empty = empty
        self._steps: float = STEPS
        self._decided: dict[tuple[Claims, Place], bool] = {}
        self._open: dict[tuple[Claims, Place], tuple[int, int]] = {}
        self._telling: set[tuple[Claims, Place]] = set()
        self._leant_on = DEEP
        self._facts: dict[Claims, Facts] = {}
        self._judges: dict[Library, Judge] = {}
        self._spellings: dict[Place, Spelling] = {}
        self._texts: dict[Library, str] = {}

    def missing(self, claims: Claims, goal: Place, *, quick: bool = False) -> Iterator[Finding]:
        """What stands in the way; nothing where it is proved."""
        if self.holds(claims, goal):
            return
        if quick:
            yield Finding(goal, "not-shown", None, None)
            return
        if (claims, goal) in self._telling:
            return
        self._telling.add((claims, goal))
        self.spend()
        cases = self._cases(claims, goal)
        for case in cases:
            yield from self.missing(case, goal)
        if not cases:
            yield from self._reasons(claims, goal, quick=False)
        self._telling.discard((claims, goal))

    def holds(self, claims: Claims, goal: Place) -> bool:
        """Whether it can be proved."""
        if self.evident(claims, goal):
            return True
        key = (claims, goal)
        if key in self._decided:
            return self._decided[key]
        if key in self._open:
            level, position = self._open[key]
            self._leant_on = min(self._leant_on, position)
            return level < self.level
        self.spend()
        position, outer = len(self._open), self._leant_on
        self._open[key], self._leant_on = (self.level, position), DEEP
        try:
            proved = self._holds(claims, goal)
        finally:
            del self._open[key]
        if self._leant_on >= position:
            self._decided[key] = proved
            self._leant_on = outer
        else:
            self._leant_on = min(outer, self._leant_on)
        return proved

    def evident(self, claims: Claims, goal: Place) -> bool:
        """Whether the goal is one of the claims, or says the same as one, or says nothing."""
        if goal.value is True or goal.value == {} or goal in claims or IMPOSSIBLE in claims:
            return True
        return any(self._same(place, goal) for place in self.facts(claims).places)

    def void(self, claims: Claims) -> bool:
        """Whether no instance can be as claimed."""
        return self.holds(claims, IMPOSSIBLE)

    def facts(self, claims: Claims) -> Facts:
        """What follows from claims."""
        if claims not in self._facts:
            self._facts[claims] = facts = gathered(claims)
            said = len(facts.places) + len(facts.negatives)
            self.spend(said * (GATHERING + VALUE * len(facts.values or ())))
            if facts.values is None and facts.types <= {"null", "boolean"}:
                facts.values = [None, True, False]
            if facts.values is not None:
                facts.values = [each for each in facts.values if self.fits(facts, each)]
        return self._facts[claims]

    def fits(self, facts: Facts, instance: Json) -> bool:
        """Whether an instance is as claimed."""
        if any(self.accepts(place, instance) for place in facts.negatives):
            return False
        return all(self.accepts(place, instance) for place in facts.places)

    def accepts(self, place: Place, instance: Json, *, formats: bool = False) -> bool:
        """Whether a place accepts an instance."""
        if place.library not in self._judges:
            self._judges[place.library] = Judge(place.library)
        return self._judges[place.library].accepts(place, instance, formats=formats)

    def examples(self, claims: Claims) -> list[Json]:
        """A few instances that are as claimed; none where none were found."""
        return self._examples(self, claims)

    def shown(self, claims: Claims, goal: Place, candidates: Iterable[Json]) -> tuple[Json, ...]:
        """Those of the candidates that are as claimed, and are not accepted; a few of them."""
        facts = self.facts(claims)
        kept: list[Json] = []
        for each in candidates:
            if len(kept) < 3 and each not in kept and not self.accepts(goal, each) and self.fits(facts, each):
                kept.append(each)
        return tuple(kept)

    def spend(self, steps: float = 1) -> None:
        """Take one step, or a part of one for what is small and may be done very often."""
        self._steps -= steps
        if self._steps < 0 or len(self._open) >= DEEP:
            raise TooLarge

    def cases(self, claims: Claims) -> list[Claims]:
        """The alternatives of the first choice that the claims leave open."""
        facts = self.facts(claims)
        return [claims | each for each in facts.choices[0]] if facts.choices else []

    def _holds(self, claims: Claims, goal: Place) -> bool:
        if next(self._reasons(claims, goal, quick=True), None) is None:
            return True
        if goal is not IMPOSSIBLE and self.void(claims):
            return True
        cases = self._cases(claims, goal)
        return bool(cases) and all(self.holds(case, goal) for case in cases)

    def _cases(self, claims: Claims, goal: Place) -> list[Claims]:
        cases = self.cases(claims)
        facts = self.facts(claims)
        if cases or facts.values is not None:
            return cases
        kinds = _grouped(facts.types)
        told_apart = facts.negatives if goal is IMPOSSIBLE else any(goal.has(each) for each in _SPLITTING)
        return [claims | {literal({"type": each})} for each in kinds] if len(kinds) > 1 and told_apart else []

    def _reasons(self, claims: Claims, goal: Place, *, quick: bool) -> Iterator[Finding]:
        facts = self.facts(claims)
        if not facts.types or facts.values == []:
            return
        case = Case(self, claims, facts, goal, quick)
        if facts.values is not None:
            yield from self._values(case, facts.values)
            return
        if goal.value is False:
            yield from self._nothing(case)
            return
        for types, keywords, check in self._checks:
            if any(goal.has(keyword) for keyword in keywords):
                yield from self._checked(case, facts.types & types, check)
        for keyword in goal.schema:
            known = KEYWORDS.get(keyword)
            if known and known.meaning in ("compared", "equal") and not knows(goal.draft, keyword):
                yield case.finding("keyword-of-another-draft", keyword, None)

    def _checked(self, case: Case, kinds: set[str], check: Check) -> Iterator[Finding]:
        """What a check finds, unless there are no instances of the types that it is about."""
        found = check(case) if kinds else iter(())
        first = next(found, None)
        if first and (kinds == case.facts.types or not self.empty(case.facts, kinds)):
            yield first
            yield from found

    def _values(self, case: Case, values: list[Json]) -> Iterator[Finding]:
        for each in values:
            if not self.accepts(case.goal, each, formats=True):
                keyword = next((name for name in ("enum", "const", "type") if name in case.goal.schema), "")
                rule = {"enum": "enum-narrowed", "const": "enum-narrowed", "type": "type-narrowed"}.get(keyword)
                yield case.finding(rule or "value-refused", keyword, each, [each])
                return

    def _nothing(self, case: Case) -> Iterator[Finding]:
        """That nothing at all is as claimed."""
        facts = case.facts
        if self.empty(facts, facts.types):
            return
        for place in facts.negatives:
            others = frozenset(each for each in case.claims if each != Not(place))
            if self.holds(others, place):
                return
        yield case.finding("nothing-accepted", "", None, [] if case.quick else self.examples(case.claims))

    def empty(self, facts: Facts, kinds: Iterable[str]) -> bool:
        """Whether facts leave no instance of any of these types."""
        return all(self._empty(self, facts, kind) for kind in sorted(kinds))

    def _same(self, claim: Place, goal: Place) -> bool:
        """Whether two places have one text, and all that the text refers to is the same as well."""
        mine, theirs = self._spelling(claim), self._spelling(goal)
        if mine.text != theirs.text or claim.draft != goal.draft or (goal.lens == "opened" and theirs.ambiguous):
            return False
        if not mine.refers:
            return True
        here = (claim.document, claim.pointer) == (goal.document, goal.pointer)
        return here and self._documents(claim.library) == self._documents(goal.library)

    def _spelling(self, place: Place) -> "Spelling":
        if place not in self._spellings:
            text = written(place.value)
            refers = any(f'"{each}"' in text for each in ("$ref", "$dynamicRef", "$recursiveRef"))
            self._spellings[place] = Spelling(text, refers, '"oneOf"' in text)
        return self._spellings[place]

    def _documents(self, library: Library) -> str:
        if library not in self._texts:
            self._texts[library] = written(library.documents)
        return self._texts[library]


def _grouped(types: set[str]) -> list[list[Json]]:
    """The types to tell apart in a proof; numbers are one."""
    others = sorted(types - NUMBERS)
    found: list[list[Json]] = [[each] for each in others]
    return [*found, ["number"]] if types & NUMBERS else found
