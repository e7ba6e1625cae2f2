"""Questions to the cluster: how an answer is awaited, and what an error of Kafka is called here."""

import asyncio
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

from mainstem.errors import (
    BrokerAway,
    BrokerError,
    Fenced,
    MembershipLost,
    OffsetOutOfRange,
    RecordTooLarge,
    TopicExists,
    UnknownTopic,
)

T = TypeVar("T")

UNKNOWN_TOPIC: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.INCONSISTENT_TOPIC_ID,
    }
)
NO_LEADER: Final = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError._NOENT,
    }
)
FENCES: Final = frozenset(
    {KafkaError._FENCED, KafkaError._FATAL, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
)
DENIED: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,
    }
)
AWAY: Final = frozenset(
    {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._RESOLVE}
)


def kafka_error(raised: BaseException) -> KafkaError | None:
    """The error inside a KafkaException."""
    if isinstance(raised, KafkaException) and raised.args and isinstance(raised.args[0], KafkaError):
        return raised.args[0]
    return None


def translated(error: KafkaError, where: str) -> BrokerError:
    """What a user is told."""
    code, why = error.code(), f"{error.name()}: {error.str()}"
    for codes, kind, what, remedy in _MEANINGS:
        if code in codes:
            return kind(what, where=where, why=why, remedy=remedy)
    return BrokerError("The cluster has refused a request", where=where, why=why)


_NO_TOPIC: Final = "There is no such topic or partition"
_PLAN: Final = "mainstem topics plan shows what is missing, and mainstem topics apply creates it"
_MEANINGS: Final[Sequence[tuple[AbstractSet[int], type[BrokerError], str, str]]] = (
    (UNKNOWN_TOPIC, UnknownTopic, _NO_TOPIC, _PLAN),
    (
        {KafkaError.TOPIC_ALREADY_EXISTS},
        TopicExists,
        "The topic exists already",
        "mainstem topics plan shows how it differs from what is declared",
    ),
    (
        {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE},
        RecordTooLarge,
        "A record is larger than the cluster takes",
        "raise record_bytes_max of the topic, and message.max.bytes of the brokers where they set it lower",
    ),
    (
        FENCES,
        Fenced,
        "Another owner has taken the task over",
        "drop the pending work; the new owner goes on from the last commit",
    ),
    (
        {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE},
        OffsetOutOfRange,
        "The offset is not there",
        "mainstem groups reset moves the group's positions",
    ),
    (
        {KafkaError.FENCED_INSTANCE_ID, KafkaError.UNKNOWN_MEMBER_ID},
        MembershipLost,
        "The group has expelled this member",
        "join again",
    ),
    (
        DENIED,
        BrokerError,
        "The cluster refuses this to the service's user",
        "give the user the rights, or the client its credentials: ?security.protocol=...&sasl.username=...",
    ),
    (
        AWAY,
        BrokerAway,
        "The cluster does not answer",
        "look whether the brokers run, and whether the addresses that they advertise can be reached from here",
    ),
)


def failure(raised: KafkaException, where: str) -> BrokerError:
    """What a user is told of an exception of the client."""
    error = kafka_error(raised)
    if error is None:
        return BrokerError("The cluster has refused a request", where=where, why=str(raised))
    return translated(error, where)


def unknown_topic(where: str, why: str = "the cluster does not have it") -> UnknownTopic:
    """There is no such topic or partition."""
    return UnknownTopic(_NO_TOPIC, where=where, why=why, remedy=_PLAN)


class Calls:
    """Runs what blocks in a few threads, and awaits what answers with a future."""

    def __init__(self, threads: int) -> None:
        """At most ``threads`` calls run at once."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="mainstem kafka")

    async def run(self, call: Callable[[], T], where: str) -> T:
        """Call it in a thread. It runs to its end even when nobody waits any more."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, call)
        except KafkaException as raised:
            raise failure(raised, where) from raised

    def close(self) -> None:
        """Wait for nothing that runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)


async def answered(future: "Future[T]", where: str) -> T:
    """The answer of an administrative request."""
    try:
        return await asyncio.wrap_future(future)
    except KafkaException as raised:
        raise failure(raised, where) from raised
