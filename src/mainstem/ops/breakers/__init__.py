"""``mainstem breakers``: list, close."""

from mainstem.ops.breakers.commands import breakers

__all__ = ["breakers"]
