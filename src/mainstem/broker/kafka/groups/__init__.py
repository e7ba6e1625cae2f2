"""Groups: what each was made for, who is in it and owns which task, and the verbs that change it."""

from mainstem.broker.kafka.groups.group import KafkaGroup
from mainstem.broker.kafka.groups.group_admin import GroupAdmin
from mainstem.broker.kafka.groups.groups import Groups
from mainstem.broker.kafka.groups.own_topics import REGISTRY, own_topics

__all__ = ["REGISTRY", "GroupAdmin", "Groups", "KafkaGroup", "own_topics"]
