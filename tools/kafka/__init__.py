"""A real Apache Kafka on this machine, for tests, benchmarks and the demo."""

from tools.kafka.cluster import Cluster, NotStarted
from tools.kafka.jars import Missing, fetched

__all__ = ["Cluster", "Missing", "NotStarted", "fetched"]
