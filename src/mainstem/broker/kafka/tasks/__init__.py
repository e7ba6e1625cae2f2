"""Transactions and whose they are: producers that fence one another, members of groups, owners of tasks."""

from mainstem.broker.kafka.tasks.changelog import change_of, changelog_of, own_topics
from mainstem.broker.kafka.tasks.group import KafkaGroup
from mainstem.broker.kafka.tasks.groups import GroupAdmin, Groups
from mainstem.broker.kafka.tasks.producer import Slots
from mainstem.broker.kafka.tasks.restore import Copies, Copy, Restorer
from mainstem.broker.kafka.tasks.transaction import KafkaTransaction

__all__ = [
    "Copies",
    "Copy",
    "GroupAdmin",
    "Groups",
    "KafkaGroup",
    "KafkaTransaction",
    "Restorer",
    "Slots",
    "change_of",
    "changelog_of",
    "own_topics",
]
