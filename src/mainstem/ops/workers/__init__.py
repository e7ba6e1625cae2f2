"""``mainstem run``: one process, or several under a parent that looks after them."""

from mainstem.ops.workers.command import run

__all__ = ["run"]
