"""Tasks and whose they are: the member that is given them, the owner that commits for them, and their transactions."""

from mainstem.broker.kafka.tasks.member import Life, MemberThread
from mainstem.broker.kafka.tasks.owner import OWNER_STORE, Owner
from mainstem.broker.kafka.tasks.positions import BY_MEMBER, Positions, offsets_of, positions_of
from mainstem.broker.kafka.tasks.steward import Steward
from mainstem.broker.kafka.tasks.transaction import KafkaTransaction, LooseTransaction

__all__ = [
    "BY_MEMBER",
    "OWNER_STORE",
    "KafkaTransaction",
    "Life",
    "LooseTransaction",
    "MemberThread",
    "Owner",
    "Positions",
    "Steward",
    "offsets_of",
    "positions_of",
]
