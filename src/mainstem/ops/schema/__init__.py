"""``mainstem schema``: what services say about their events, what is registered, and whom a change would break."""

from mainstem.ops.schema.commands import schema

__all__ = ["schema"]
