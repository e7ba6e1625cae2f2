"""Contracts: what handlers have said that they read, whom a change would break, and in which order to deploy it."""

from mainstem.ops.schema.contracts.commands import contracts
from mainstem.ops.schema.contracts.order import Direction, Step, direction_of, steps_of
from mainstem.ops.schema.contracts.readers import Contracts, KnowsForeignGroups, Reader, changed_fields
from mainstem.ops.schema.contracts.telling import tell_order, tell_readers

__all__ = [
    "Contracts",
    "Direction",
    "KnowsForeignGroups",
    "Reader",
    "Step",
    "changed_fields",
    "contracts",
    "direction_of",
    "steps_of",
    "tell_order",
    "tell_readers",
]
