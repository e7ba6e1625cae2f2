"""Transactions and whose they are: producers that fence one another, members of groups, owners of tasks."""

from mainstem.broker.kafka.tasks.group import KafkaGroup
from mainstem.broker.kafka.tasks.group_admin import GroupAdmin
from mainstem.broker.kafka.tasks.groups import Groups
from mainstem.broker.kafka.tasks.own_topics import REGISTRY, own_topics
from mainstem.broker.kafka.tasks.producer import Slots
from mainstem.broker.kafka.tasks.transaction import KafkaTransaction, Sharing

__all__ = [
    "REGISTRY",
    "GroupAdmin",
    "Groups",
    "KafkaGroup",
    "KafkaTransaction",
    "Sharing",
    "Slots",
    "own_topics",
]
