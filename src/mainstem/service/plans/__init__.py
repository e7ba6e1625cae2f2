"""Services checked against what is there: every fault found at once, then plans that can run."""

from mainstem.service.plans.compiling import outputs_of, plan_of
from mainstem.service.plans.drafting import Draft, Existing, draft, groups_of, tasks_of, topics_of
from mainstem.service.plans.faults import check, unpinnable
from mainstem.service.plans.outline import Handled, Outline, outlines_of
from mainstem.service.plans.reserved import CATALOGUE

__all__ = [
    "CATALOGUE",
    "Draft",
    "Existing",
    "Handled",
    "Outline",
    "check",
    "draft",
    "groups_of",
    "outlines_of",
    "outputs_of",
    "plan_of",
    "tasks_of",
    "topics_of",
    "unpinnable",
]
