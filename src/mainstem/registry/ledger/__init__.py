"""A registry as a log: requests, the handler that carries them out, and the rows that every process folds."""

from mainstem.registry.ledger.events import REQUESTS, ROWS, SERVICE, RegistryRequest, RegistryRow
from mainstem.registry.ledger.handler import Memory, carry_out
from mainstem.registry.ledger.ledger import Ledger, Patience
from mainstem.registry.ledger.view import View

__all__ = [
    "REQUESTS",
    "ROWS",
    "SERVICE",
    "Ledger",
    "Memory",
    "Patience",
    "RegistryRequest",
    "RegistryRow",
    "View",
    "carry_out",
]
