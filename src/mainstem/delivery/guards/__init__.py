"""What keeps a task from harm when what its handlers need is away: pauses."""

from mainstem.delivery.guards.pauses import Pauses, Turn

__all__ = ["Pauses", "Turn"]
