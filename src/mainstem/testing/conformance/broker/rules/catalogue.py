"""All rules, in the order in which they are best read."""

from types import ModuleType
from typing import Final

from mainstem.testing.conformance.broker.rules import (
    histories,
    membership,
    ownership,
    readers,
    records,
    topics,
    transactions,
    upkeep,
)
from mainstem.testing.conformance.broker.stage import Rule


def _of(*modules: ModuleType) -> tuple[Rule, ...]:
    return tuple(each for module in modules for each in vars(module).values() if isinstance(each, Rule))


RULES: Final = _of(topics, records, readers, transactions, membership, ownership, upkeep, histories)
"""Every rule of the suite."""
