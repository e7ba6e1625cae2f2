"""What only Kafka has, and the settings of its clients."""

import logging
import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from mainstem.broker import GroupSpec
from mainstem.telemetry import log

Settings: TypeAlias = dict[str, object]
"""Settings of a client, by the names that librdkafka gives them."""

REPEAT_SECONDS: Final = 30.0


class KafkaOptions(Struct, frozen=True, kw_only=True):
    """What only Kafka has. Those with a description can be said in the URL of the broker.

    ``client`` are settings of all clients by the names that librdkafka gives them, such as ``security.protocol``; they
    win over those that are set here. ``member`` are further ones, of the members of groups alone.
    """

    client: Mapping[str, str] = {}
    member: Mapping[str, str] = {}
    group_protocol: Annotated[
        Literal["classic", "consumer"],
        Meta(description="The group protocol; a process with a static id joins with the classic one"),
    ] = "classic"
    replication: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Copies of a topic that is created; by default as many as the cluster says"),
    ] = None
    min_insync: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="So many copies must have a record before it counts; by default what the cluster says"),
    ] = None
    linger_ms: Annotated[float, Meta(ge=0, description="How long a record outside a transaction waits for company")] = (
        1.0
    )
    compression: Annotated[
        Literal["none", "lz4", "zstd", "snappy", "gzip"], Meta(description="How batches are compressed")
    ] = "lz4"
    answer_seconds: Annotated[float, Meta(gt=0, description="Every question to the cluster has so long")] = 15.0
    transaction_seconds: Annotated[
        float, Meta(gt=0, description="A transaction that nobody ends holds up readers for so long at most")
    ] = 30.0
    watch_seconds: Annotated[
        float, Meta(gt=0, description="Every so many seconds it is looked whether what is read is still there")
    ] = 5.0
    prefetch_bytes: Annotated[int, Meta(ge=1_000, description="So much is read ahead in each partition")] = 4_000_000
    commit_threads: Annotated[int, Meta(ge=1, description="So many tasks commit at the same time")] = 8
    refresh_seconds: Annotated[
        float, Meta(gt=0, description="Positions that stand still are committed again so often: clusters forget them")
    ] = 43_200.0
    state_folder: Annotated[
        str, Meta(description="Where the local copies of stores are; processes of a machine share it")
    ] = "mainstem-state"


class ClientSettings:
    """The settings of each kind of client."""

    def __init__(self, servers: str, options: KafkaOptions) -> None:
        """``servers`` are ``host:port``, separated by commas."""
        self.options = options
        self._common: Settings = {
            "bootstrap.servers": servers,
            # What a cluster's logs, quotas and consoles call them; otherwise each is a "rdkafka".
            "client.id": "mainstem",
            "logger": _logger(),
            "log.connection.close": False,
            # On a connection that stands and is dead, an answer would be waited for a minute by default.
            # No longer than a transaction: the client refuses that.
            "socket.timeout.ms": max(1_000, round(min(options.answer_seconds, options.transaction_seconds) * 1_000)),
            "reconnect.backoff.ms": 5,
            "reconnect.backoff.max.ms": 500,
            # Who creates a topic waits until it is known; so what is unknown is an error at once, never a time-out.
            "topic.metadata.propagation.max.ms": 0,
            **options.client,
        }

    def admin(self) -> Settings:
        """Of the client that asks and creates."""
        return dict(self._common)

    def reader(self) -> Settings:
        """Of a consumer that is assigned to what readers read."""
        kilobytes = max(1, self.options.prefetch_bytes // 1_000)
        return {
            "group.id": "mainstem-readers",  # it commits nothing, and joins nothing
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            # By default a partition that has enough prefetched is not fetched again for a second.
            "fetch.queue.backoff.ms": 2,
            # An assignment and a seek wait for the fetch that is under way; new records do not.
            "fetch.wait.max.ms": 50,
            "queued.min.messages": 20_000,
            "queued.max.messages.kbytes": kilobytes,
            **self._common,
        }

    def asker(self, group: str, *, stable: bool) -> Settings:
        """Of a consumer that is asked what a group has committed, and neither joins it nor reads."""
        return {
            "group.id": group,
            "isolation.level": "read_committed" if stable else "read_uncommitted",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            **self._common,
        }

    def restorer(self) -> Settings:
        """Of a consumer that reads changelogs at full speed."""
        return {**self.reader(), "queued.min.messages": 200_000, "queued.max.messages.kbytes": 32_000, **self._common}

    def follower(self) -> Settings:
        """Of a consumer that follows changelogs for standbys: it may be late, and must not need much."""
        return {
            **self.reader(),
            "fetch.wait.max.ms": 500,
            "queued.min.messages": 10_000,
            "queued.max.messages.kbytes": 1_000,
            **self._common,
        }

    def member(self, spec: GroupSpec, static_id: str | None) -> Settings:
        """Of a consumer that is a member of a group, and reads nothing."""
        milliseconds = round(spec.session_timeout_seconds * 1_000)
        settings: Settings = {
            "group.id": spec.name,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            # Whoever drains does not poll; that the event loop is alive is watched elsewhere.
            "max.poll.interval.ms": round((spec.hand_over_seconds + spec.session_timeout_seconds) * 1_000) + 30_000,
        }
        if self.is_classic(static_id):
            settings["session.timeout.ms"] = milliseconds
            settings["heartbeat.interval.ms"] = max(1, milliseconds // 4)
            settings["partition.assignment.strategy"] = "cooperative-sticky"
        else:
            settings["group.protocol"] = "consumer"
        if static_id is not None:
            settings["group.instance.id"] = static_id
        return {**settings, **self._common, **self.options.member}

    def is_classic(self, static_id: str | None) -> bool:
        """Whether a member joins with the classic protocol: the newer one does not replace whoever has the same id."""
        return self.options.group_protocol == "classic" or static_id is not None

    def producer(self, batch_bytes: int) -> Settings:
        """Of a producer outside any task."""
        return {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": self.options.linger_ms,
            "compression.type": self.options.compression,
            "batch.size": batch_bytes,
            "message.max.bytes": MESSAGE_BYTES_MAX,
            "queue.buffering.max.messages": 1_000_000,
            "delivery.timeout.ms": 0,  # none: see who appends
            **self._common,
        }

    def transactional(self, transactional_id: str) -> Settings:
        """Of the producer of a task, or of transactions outside any task."""
        return {
            **self.producer(BATCH_BYTES),
            "transactional.id": transactional_id,
            "transaction.timeout.ms": round(self.options.transaction_seconds * 1_000),
            "delivery.timeout.ms": round(min(self.options.answer_seconds, self.options.transaction_seconds) * 1_000),
            # Just after a commit the broker answers that it is not done yet. With the default of 100 ms each
            # transaction takes 94 ms, with this 5.
            "retry.backoff.ms": 1,
            "retry.backoff.max.ms": 5,
            **self._common,
        }


BATCH_BYTES: Final = 900_000
MESSAGE_BYTES_MAX: Final = 1_000_000_000
_WHO: Final = re.compile(r"\[[^\]]*\](: \S+(?=: ))*")
_HOW_LONG: Final = re.compile(r"\d+ ms")


def _logger() -> logging.Logger:
    """What librdkafka says, each sentence once in a while: it repeats itself many times a second when it is alone."""
    child = log.getChild("kafka")
    if not any(isinstance(each, _Once) for each in child.filters):
        child.addFilter(_Once())
    return child


class _Once(logging.Filter):
    """Lets a sentence pass once in so many seconds, whichever of a process's many clients says it."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        # It begins with which client and connection it is, and ends with what changes from time to time.
        sentence = _HOW_LONG.sub("", _WHO.sub("", record.getMessage().partition(" (after ")[0]))
        before = self._said.get(sentence)
        if before is not None and record.created - before < REPEAT_SECONDS:
            return False
        if len(self._said) > 1_000:
            self._said.clear()
        self._said[sentence] = record.created
        return True
