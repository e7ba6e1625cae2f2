"""What keeps a task from harm when what its handlers need is away, when too much waits, or when it is behind."""

from mainstem.delivery.guards.breaker import Breaker, Declared, Fuse, KillSwitch, fuse_of
from mainstem.delivery.guards.breakers import Breakers, RememberedBreaker, remembered_breakers
from mainstem.delivery.guards.gate import Shared, breaker_place
from mainstem.delivery.guards.giving_way import GIVES_WAY, GivingWay, Lateness, RightOfWay
from mainstem.delivery.guards.held import HeldSequences
from mainstem.delivery.guards.letter_count import COUNT_STORE, LetterCount
from mainstem.delivery.guards.notices import NOTICES_STORE, Notices
from mainstem.delivery.guards.passage import Passage
from mainstem.delivery.guards.pauses import Pauses, Turn

__all__ = [
    "COUNT_STORE",
    "GIVES_WAY",
    "NOTICES_STORE",
    "Breaker",
    "Breakers",
    "Declared",
    "Fuse",
    "GivingWay",
    "HeldSequences",
    "KillSwitch",
    "Lateness",
    "LetterCount",
    "Notices",
    "Passage",
    "Pauses",
    "RememberedBreaker",
    "RightOfWay",
    "Shared",
    "Turn",
    "breaker_place",
    "fuse_of",
    "remembered_breakers",
]
