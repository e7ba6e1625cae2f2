"""``mainstem registry``: the schema registry, as a process of its own; and what stands in its file of accounts."""

from mainstem.ops.registry.commands import registry

__all__ = ["registry"]
