"""What keeps a task from harm when what its handlers need is away, or too much waits: pauses."""

from mainstem.delivery.guards.bound import COUNT_STORE, LetterCount
from mainstem.delivery.guards.pauses import Pauses, Turn

__all__ = ["COUNT_STORE", "LetterCount", "Pauses", "Turn"]
