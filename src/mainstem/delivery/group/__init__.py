"""A group in this process: its membership, its tasks from one owner to the next, and what they wait for."""

from mainstem.delivery.group.group import GroupRunner

__all__ = ["GroupRunner"]
