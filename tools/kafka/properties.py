"""The settings of the brokers: small, and quick to forget what a test waits for."""

from collections.abc import Mapping

# Limits are lowered, what applies when nobody says otherwise is not: a program that forgets to say waits here
# as it would anywhere.
SMALL_AND_QUICK = {
    "auto.create.topics.enable": "false",
    # Few internal partitions: they are created at the first use, and a test waits for it.
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # Members come and go within a second.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "group.consumer.min.session.timeout.ms": "500",
    "group.consumer.min.heartbeat.interval.ms": "50",
    # What the broker does in its own time, it does soon. Not so the sweep of transactions that timed out: within the
    # first second after a kill, a node that is alone counts the partitions of a transaction as deleted, because they
    # have no leader yet, and ends it without its marker. Readers of what is committed would wait there for ever.
    "log.retention.check.interval.ms": "500",
    "log.cleaner.backoff.ms": "200",
    "log.initial.task.delay.ms": "500",
    "log.segment.delete.delay.ms": "500",
    "offsets.retention.check.interval.ms": "1000",
    # Two cores, little memory.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.segment.bytes": "67108864",
    "log.index.size.max.bytes": "1048576",
}


def replicated(nodes: int) -> dict[str, str]:
    """Every topic on every node, up to three; one node may be away, where there are enough."""
    copies = min(nodes, 3)
    enough = max(1, copies - 1)
    return {
        "default.replication.factor": str(copies),
        "min.insync.replicas": str(enough),
        "offsets.topic.replication.factor": str(copies),
        "transaction.state.log.replication.factor": str(copies),
        "transaction.state.log.min.isr": str(enough),
        "share.coordinator.state.topic.replication.factor": str(copies),
        "share.coordinator.state.topic.min.isr": str(enough),
        # A node that was killed is missed after two seconds, not after nine.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
    }


def written(properties: Mapping[str, str]) -> str:
    """The text of a properties file."""
    return "".join(f"{name}={value}\n" for name, value in properties.items())
