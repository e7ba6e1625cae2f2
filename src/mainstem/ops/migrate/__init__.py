"""``mainstem migrate``: move everything to another broker, or come back."""

from mainstem.ops.migrate.command import migrate

__all__ = ["migrate"]
