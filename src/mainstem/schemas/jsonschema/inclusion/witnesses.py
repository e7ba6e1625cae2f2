"""Instances that are as claimed: for counterexamples, and always looked at by the validator before they are shown."""

import itertools
from collections.abc import Iterator
from typing import Final

from mainstem.schemas.jsonschema.inclusion.arrays import fewest, largest
from mainstem.schemas.jsonschema.inclusion.facts import Claims, Facts, Region
from mainstem.schemas.jsonschema.inclusion.proof import Prover
from mainstem.schemas.jsonschema.inclusion.scalars import spelled, tightened
from mainstem.schemas.jsonschema.reading import Json, samples

MANY: Final = 12
"""So many are made for one set of claims."""

TRIES: Final = 300
"""So many sets of claims are looked at for one example."""

DEPTH: Final = 30
"""Instances are nested at most so deep."""

OPTIONAL: Final = 20
"""So many of the properties that need not be there are tried."""

NODES: Final = 1_000
"""An instance has at most so many values."""

LARGE: Final = 200
"""An object or array that has to have more is not made."""

_TEXTS: Final = (
    "", "a", "A", "0", "abc", "x-a", "a@b.example", "2024-02-29T12:00:00Z", "2024-02-29", "12:00:00Z", "P1D",
    "00000000-0000-4000-8000-000000000000", "https://a.example/b", "a.example", "192.0.2.1", "2001:db8::1", "/a", "1.0",
    "AAA", "EUR", "123", "a-b", "a b", "a1",
)  # fmt: skip


class _Ended:
    """Stands where a maker of examples has no more."""


_NONE_LEFT = _Ended()


class Examples:
    """Makes examples for one comparison, and remembers them."""

    def __init__(self) -> None:
        self._made: dict[Claims, list[Json]] = {}
        self._depth = 0
        self._left = TRIES

    def __call__(self, prover: Prover, claims: Claims) -> list[Json]:
        """Some instances that are as claimed; none where none were found."""
        if claims in self._made:
            return list(self._made[claims])
        if self._depth == 0:
            self._left = TRIES
        if self._depth >= DEPTH or self._left <= 0:
            return []
        self._left -= 1
        self._depth += 1
        try:
            facts = prover.facts(claims)
            tries = (each for each in self._tries(prover, claims, facts) if _is_small(each))
            fitting = (each for each in tries if prover.fits(facts, each))
            made = list(itertools.islice(fitting, MANY))
        finally:
            self._depth -= 1
        if made or self._depth == 0:
            self._made[claims] = made
        return list(made)

    def _tries(self, prover: Prover, claims: Claims, facts: Facts) -> Iterator[Json]:
        if facts.values is not None:
            yield from facts.values
            return
        cases = prover.cases(claims)
        if cases:
            self._depth -= 1  # the instance is not nested deeper for a choice
            try:
                for case in cases:
                    yield from self(prover, case)[: MANY // 2]
            finally:
                self._depth += 1
            return
        numeric = facts.types & {"integer", "whole", "fraction"}
        makers: list[Iterator[Json]] = [
            _numbers(facts) if numeric else iter(()),
            _texts(facts) if "string" in facts.types else iter(()),
            self._objects(prover, facts) if "object" in facts.types else iter(()),
            self._arrays(prover, facts) if "array" in facts.types else iter(()),
            iter([None]) if "null" in facts.types else iter(()),
            iter([True, False]) if "boolean" in facts.types else iter(()),
        ]
        for some in itertools.zip_longest(*makers, fillvalue=_NONE_LEFT):
            yield from (each for each in some if not isinstance(each, _Ended))

    def _objects(self, prover: Prover, facts: Facts) -> Iterator[Json]:
        smallest: dict[str, Json] = {}
        choices: dict[str, list[Json]] = {}
        others = sorted(facts.declared - facts.required)[:OPTIONAL]
        for name in (*sorted(facts.required), *others):
            choices[name] = self(prover, facts.of(name))[:4]
            if name in facts.required and choices[name]:
                smallest[name] = choices[name][0]
        optional = [name for name in choices if choices[name] and name not in smallest]
        if len(smallest) >= facts.min_properties:
            yield smallest
        full = {**smallest, **{name: choices[name][0] for name in optional}}
        found = self(prover, facts.of_others(Region(frozenset()))) if len(full) < facts.min_properties <= LARGE else []
        while found and len(full) < facts.min_properties:
            full[f"other{len(full)}"] = found[0]
        yield full
        for name in optional[:4]:
            yield {**smallest, name: choices[name][0]}
        for name in [*smallest, *optional][:8]:
            yield from ({**smallest, name: each} for each in choices[name][1:3])

    def _arrays(self, prover: Prover, facts: Facts) -> Iterator[Json]:
        least, most = fewest(facts), largest(facts)
        wanted = [each for one in facts.contains for each in self(prover, facts.element(0) | {one.place})[:1]]
        for size in dict.fromkeys((least, max(least, 1), least + 1, max(least, facts.listed))):
            if size > LARGE or (most is not None and size > most):
                continue
            made = [self(prover, facts.element(index)) for index in range(min(size, facts.listed + 1))]
            if all(made):
                last = made[-1] if made else []
                yield [(made[index] if index < len(made) else last)[0] for index in range(size)]
                yield [
                    (options := made[index] if index < len(made) else last)[index % len(options)]
                    for index in range(size)
                ]
                yield (wanted + [(made[index] if index < len(made) else last)[0] for index in range(size)])[
                    : max(size, 1)
                ]


def _is_small(instance: Json) -> bool:
    """Whether a person would look at it; two branches at each of thirty levels make a thousand million leaves."""
    waiting, count = [instance], 0
    while waiting and count <= NODES:
        each = waiting.pop()
        count += 1
        waiting += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
    return count <= NODES


def _numbers(facts: Facts) -> Iterator[Json]:
    lower, upper = tightened(facts)
    for step in sorted(facts.multiples)[-1:]:
        start = -(-lower.value // step) if lower else upper.value // step if upper else 0
        yield from (spelled(step * (start + shift)) for shift in (0, 1, -1, 2))
    ends = [end.value for end in (lower, upper) if end]
    yield from (spelled(end + shift) for end in ends for shift in (0, 1, -1))
    if "fraction" in facts.types:
        yield from (float(end) + shift for end in ends for shift in (0.5, -0.5))
        yield 0.5
    yield from (0, 1, -1, 7)


def _texts(facts: Facts) -> Iterator[Json]:
    sizes = [facts.min_length, facts.max_length or 0]
    yield from ("a" * size for size in sizes if size <= 10_000)
    yield from (text for pattern in sorted(facts.patterns) for text in samples(pattern))
    yield from _TEXTS
    yield from (each * max(facts.min_length, 1) for each in ("A", "0", "a1") if facts.min_length <= 10_000)
