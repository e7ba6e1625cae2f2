"""What keeps a task from harm when what its handlers need is away, when too much waits, or when it is behind."""

from mainstem.delivery.guards.bound import COUNT_STORE, LetterCount
from mainstem.delivery.guards.giving_way import GIVES_WAY, GivingWay, Lateness, RightOfWay
from mainstem.delivery.guards.pauses import Pauses, Turn

__all__ = ["COUNT_STORE", "GIVES_WAY", "GivingWay", "Lateness", "LetterCount", "Pauses", "RightOfWay", "Turn"]
