"""Recorded events through handlers again, from the command line."""

from mainstem.ops.replaying.command import replay

__all__ = ["replay"]
