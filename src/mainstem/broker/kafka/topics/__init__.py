"""Topics as they are, what is remembered of them, and the verbs that change them."""

from mainstem.broker.kafka.topics.topic_admin import TopicAdmin, set_config
from mainstem.broker.kafka.topics.topics import Laid, Topics

__all__ = ["Laid", "TopicAdmin", "Topics", "set_config"]
