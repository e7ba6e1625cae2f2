"""The distributed broker: Apache Kafka."""

from mainstem.broker.kafka.broker import KafkaBroker
from mainstem.broker.kafka.options import KafkaOptions

__all__ = ["KafkaBroker", "KafkaOptions"]
