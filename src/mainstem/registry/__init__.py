"""The schema registry: what it keeps and by which rules, the service that keeps it, and its HTTP API."""

from mainstem.registry import contents, ledger

__all__ = ["contents", "ledger"]
