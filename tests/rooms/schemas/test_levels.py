"""Which pairs a level compares."""

import pytest

from mainstem.schemas.compatibility import Difference, Level, Outcome, Verdict, comparisons
from mainstem.schemas.documents import Schema

A, B, NEW = Schema('"int"'), Schema('"long"'), Schema('"double"')


@pytest.mark.parametrize(
    ("level", "pairs"),
    [
        ("NONE", []),
        ("BACKWARD", [(B, NEW)]),
        ("BACKWARD_TRANSITIVE", [(B, NEW), (A, NEW)]),
        ("FORWARD", [(NEW, B)]),
        ("FORWARD_TRANSITIVE", [(NEW, B), (NEW, A)]),
        ("FULL", [(B, NEW), (NEW, B)]),
        ("FULL_TRANSITIVE", [(B, NEW), (NEW, B), (A, NEW), (NEW, A)]),
    ],
)
def test_a_level_says_who_reads_what(level: Level, pairs: list[tuple[Schema, Schema]]) -> None:
    """As pairs of writer and reader, the newest first."""
    found = list(comparisons(level, NEW, [A, B]))
    assert [(each.writer, each.reader) for each in found] == pairs
    assert all([A, B][each.earlier] in each for each in found)
    assert not list(comparisons(level, NEW, []))


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ([], "compatible"),
        (["not provable"], "not provable"),
        (["not provable", "incompatible"], "incompatible"),
    ],
)
def test_a_verdict_is_the_worst_that_is_said(said: list[Outcome], outcome: Outcome) -> None:
    """What could not be shown is no compatibility."""
    verdict = Verdict(tuple(Difference("/", "TYPE_NARROWED", "", outcome=each) for each in said))
    assert verdict.outcome == outcome
    assert verdict.compatible == (outcome == "compatible")
