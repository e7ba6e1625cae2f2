"""Whether what was written with one schema can be read with another, and the levels that ask for it."""

from mainstem.schemas.compatibility.fields import FIELDS_MOST, Fields, concerned, inner, innermost, touches
from mainstem.schemas.compatibility.levels import Compared, Level, comparisons
from mainstem.schemas.compatibility.telling import Objection, in_words, shown, told
from mainstem.schemas.compatibility.verdict import Differ, Difference, Outcome, Policy, Verdict

__all__ = [
    "FIELDS_MOST",
    "Compared",
    "Differ",
    "Difference",
    "Fields",
    "Level",
    "Objection",
    "Outcome",
    "Policy",
    "Verdict",
    "comparisons",
    "concerned",
    "in_words",
    "inner",
    "innermost",
    "shown",
    "told",
    "touches",
]
