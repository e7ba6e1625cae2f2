"""Whether what was written with one schema can be read with another, and the levels that ask for it."""

from mainstem.schemas.compatibility.levels import Compared, Level, comparisons
from mainstem.schemas.compatibility.verdict import Differ, Difference, Outcome, Policy, Verdict

__all__ = [
    "Compared",
    "Differ",
    "Difference",
    "Level",
    "Outcome",
    "Policy",
    "Verdict",
    "comparisons",
]
