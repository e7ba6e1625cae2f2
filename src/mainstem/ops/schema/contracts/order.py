"""In which order a change is deployed: who has to go first is who could not read what the other one writes."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Literal, TypeAlias

from msgspec import Struct

Direction: TypeAlias = Literal["any", "readers", "writers", "neither"]
"""Who has to be deployed first: nobody in particular; readers, because what they have cannot read the new form;
writers, because the new form cannot read what was written before; or neither way is safe."""


class Step(Struct, frozen=True):
    """One service to be deployed, and those that have to be deployed before it."""

    service: str
    after: tuple[str, ...]


def direction_of(forward: Sequence[str] | None, backward: Sequence[str] | None) -> Direction:
    """Who goes first; ``forward`` are the fields that earlier readers lose, ``backward`` those that new ones miss."""
    if forward is None:
        return "any" if backward is None else "writers"
    return "readers" if backward is None else "neither"


def steps_of(before: Iterable[tuple[str, str]]) -> list[Step] | None:
    """The services of pairs (first, then) in an order that keeps all of them; None where there is no such order."""
    after: dict[str, set[str]] = {}
    for first, then in before:
        if first != then:
            after.setdefault(then, set()).add(first)
    try:
        order = list(TopologicalSorter(_sorted(after)).static_order())
    except CycleError:
        return None
    return [Step(each, tuple(sorted(after.get(each, ())))) for each in order]


def _sorted(after: Mapping[str, set[str]]) -> dict[str, list[str]]:
    """The same in the same order every time."""
    return {name: sorted(after[name]) for name in sorted(after)}
