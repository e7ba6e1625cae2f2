"""The schema registry: what it keeps and by which rules, the service that keeps it, and its HTTP API."""

from mainstem.registry import contents, http, ledger

__all__ = ["contents", "http", "ledger"]
