"""Tasks and whose they are: the member that is given them, the owner that commits for them, and their transactions."""

from mainstem.broker.kafka.tasks.member import Life, MemberThread
from mainstem.broker.kafka.tasks.owner import OWNER_STORE, Owner, offsets_of
from mainstem.broker.kafka.tasks.steward import BY_MEMBER, Steward
from mainstem.broker.kafka.tasks.transaction import KafkaTransaction, LooseTransaction

__all__ = [
    "BY_MEMBER",
    "OWNER_STORE",
    "KafkaTransaction",
    "Life",
    "LooseTransaction",
    "MemberThread",
    "Owner",
    "Steward",
    "offsets_of",
]
