"""What an error of Kafka is called here."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from mainstem.errors import (
    BrokerAway,
    BrokerError,
    Fenced,
    MembershipLost,
    NotAllowed,
    OffsetOutOfRange,
    RecordTooLarge,
    TopicExists,
    UnknownTopic,
)

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
STRANGERS: Final = frozenset(
    {
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
    }
)
STARTING: Final = frozenset(
    {KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR}
)
"""Whoever keeps the positions of a group has just begun to; the client does not ask again by itself."""
AWAY: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._PURGE_QUEUE,
        KafkaError._PURGE_INFLIGHT,
        KafkaError._RESOLVE,
        KafkaError._WAIT_COORD,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.NOT_CONTROLLER,
        *STARTING,
    }
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
LOOK: Final = (
    "look whether the brokers run, whether the addresses that they advertise can be reached from here, and whether "
    "they want another ?security.protocol="
)
_RIGHTS: Final = "docs/kafka.md lists the rights that are needed"
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
        STRANGERS,
        NotAllowed,
        "The cluster does not know who this is",
        "look at ?security.protocol=, sasl.mechanism=, sasl.username= and sasl.password= behind the broker's addresses",
    ),
    (
        {KafkaError.TOPIC_AUTHORIZATION_FAILED},
        NotAllowed,
        "The cluster refuses a topic to the user of this process",
        f"let the user read and write it, or create it with mainstem topics apply as another one: {_RIGHTS}",
    ),
    (
        {KafkaError.GROUP_AUTHORIZATION_FAILED},
        NotAllowed,
        "The cluster refuses a group to the user of this process",
        f"let the user read and describe the group: {_RIGHTS}",
    ),
    (
        {KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED},
        NotAllowed,
        "The cluster refuses transactions of this name to the user of this process",
        f"let the user write under transactional ids that begin with the group's name or with mainstem: {_RIGHTS}",
    ),
    (
        {KafkaError.CLUSTER_AUTHORIZATION_FAILED},
        NotAllowed,
        "The cluster refuses this to the user of this process",
        "let the user create topics; or let another user create them before, with mainstem topics apply",
    ),
    (
        NO_LEADER - {KafkaError._NOENT},
        BrokerAway,
        "A partition has no leader for the moment",
        "wait until one has been elected, which takes seconds; where it takes longer, look which brokers are down",
    ),
    (
        AWAY,
        BrokerAway,
        "The cluster does not answer",
        LOOK,
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
