"""``mainstem schema lint``: what is allowed today, and will be regretted when it has to change."""

from mainstem.ops.schema.lint.command import lint

__all__ = ["lint"]
