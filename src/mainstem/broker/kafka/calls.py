"""Questions to the cluster: how an answer is awaited, and what an error of Kafka is called here."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from mainstem.broker.kafka.options import Settings
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
from mainstem.telemetry import log

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
RETRY_SECONDS: Final = 0.1


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
_LOOK: Final = (
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
        _LOOK,
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


class _Call(Generic[T]):
    """Something that blocks, and its outcome."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self.future: Future[T] = Future()
        self.given_up = False

    def __call__(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._call()
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class _Threads:
    """So many threads, beside those that were given up. Python waits for none of them when the process ends."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._asked: SimpleQueue[_Call[T] | None] = SimpleQueue()  # type: ignore[valid-type]
        self._guard = threading.Lock()
        self._made = 0
        self._busy = 0

    def submit(self, call: _Call[T]) -> None:
        with self._guard:
            self._busy += 1
            self._asked.put(call)
            self._man()

    def give_up(self, call: _Call[T]) -> None:
        """Let another thread take the place of the one that this call holds."""
        with self._guard:
            if call.future.running():
                call.given_up = True
                self._made -= 1
                self._busy -= 1
                self._man()

    def _man(self) -> None:
        if self._made < min(self._busy, self._most):
            self._made += 1
            threading.Thread(target=self._run, name="mainstem kafka", daemon=True).start()

    def _run(self) -> None:
        while (call := self._asked.get()) is not None:
            call()
            with self._guard:
                if call.given_up:
                    return
                self._busy -= 1
            del call  # what it holds is let go of before the next one comes

    def close(self) -> None:
        with suppress(Empty):
            while (call := self._asked.get_nowait()) is not None:
                call.future.cancel()
        for _ in range(self._made):
            self._asked.put(None)


class Calls:
    """Runs what blocks in a few threads, and awaits what answers with a future.

    A call of the client may never return: with a lost connection ``send_offsets_to_transaction`` did not, whatever
    time it was given. So nobody waits for longer than ``seconds``, and the thread is replaced: soon all would hang.
    """

    def __init__(self, threads: int, seconds: float) -> None:
        """At most ``threads`` calls run at once, and each is waited for so long."""
        self._threads = _Threads(threads)
        self.seconds = seconds
        self.outages = 0
        """How often the cluster has not answered."""

    async def run(self, call: Callable[[], T], where: str, late: type[BrokerError] = BrokerAway) -> T:
        """Call it in a thread. It runs to its end even when nobody waits any more, and then holds up nobody else.

        Raises ``late`` where it has not returned in time.
        """
        asked = _Call(call)
        self._threads.submit(asked)
        limit = asyncio.timeout(self.seconds)
        try:
            async with limit:
                return await asyncio.wrap_future(asked.future)
        except KafkaException as raised:
            failed = failure(raised, where)
            self.outages += isinstance(failed, BrokerAway)
            raise failed from raised
        except TimeoutError:
            if not limit.expired():
                raise
            self._threads.give_up(asked)
            self.outages += 1
            why = f"a call of the client has not returned within {self.seconds:g} s, and is given up"
            raise late("The cluster does not answer", where=where, why=why, remedy=_LOOK) from None
        except asyncio.CancelledError:
            self._threads.give_up(asked)
            raise

    def close(self) -> None:
        """Wait for nothing that runs."""
        self._threads.close()


def background(work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
    """Begin what goes on for as long as its broker is open. Nobody waits for it, so what ends it before is logged."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell_end)
    return task


def _tell_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s: goes on no more, and is to be started again with its process: %r", task.get_name(), error)


class Asking:
    """The client that questions go through.

    Some never connect again when their broker has stood still for a while and goes on, although it would answer. So one
    that was left without an answer is dropped. Whoever waits for an answer of a client keeps it until it has come.
    """

    def __init__(self, settings: Settings, seconds: float, calls: Calls) -> None:
        """Each answer has so many ``seconds``. No client is made before it is needed."""
        self._settings = settings
        self._seconds = seconds
        self._calls = calls
        self._client: AdminClient | None = None

    @property
    def client(self) -> AdminClient:
        """The one that is asked now."""
        if self._client is None:
            self._client = AdminClient(cast("dict[str, str | int | float | bool]", self._settings))
        return self._client

    def drop(self, client: AdminClient) -> None:
        """Ask another one from now on."""
        if self._client is client:
            self._client = None

    async def look(self, where: str, *topic: str) -> ClusterMetadata:
        """What the cluster says of itself, and of one topic or all. Raises :class:`~mainstem.errors.BrokerAway`."""
        client = self.client
        try:
            return await self._calls.run(lambda: client.list_topics(*topic, timeout=self._seconds), where)
        except BrokerAway:
            self.drop(client)
            raise


class Coordinators:
    """Asks the coordinators of groups.

    Where such a question has timed out and its broker comes back, the client ends the process (librdkafka issue 4605).
    So it is asked first whether the cluster answers at all, and a client that was left without an answer is dropped.
    """

    def __init__(self, settings: Settings, seconds: float, calls: Calls) -> None:
        """Each answer has so many ``seconds``."""
        self._asking = Asking(settings, seconds, calls)
        self._settings = settings
        self._calls = calls
        self._seconds = seconds
        self._as_of = 0

    async def ask(self, question: Callable[[AdminClient], "Future[T]"], where: str) -> T:
        """The answer to a question. Raises :class:`~mainstem.errors.BrokerAway` where there is none in time."""
        if self._as_of != self._calls.outages:
            # One that was idle while the cluster was away waits for the connections that it had before.
            self._asking = Asking(self._settings, self._seconds, self._calls)
            self._as_of = self._calls.outages
        client = self._asking.client
        await self._asking.look(where, "mainstem.groups")
        loop = asyncio.get_running_loop()
        until = loop.time() + self._seconds
        while True:
            try:
                return await answered(question(client), where)
            except BrokerAway as away:
                error = None if away.__cause__ is None else kafka_error(away.__cause__)
                if error is None or error.code() not in STARTING or loop.time() > until:
                    self._asking.drop(client)
                    raise
            await asyncio.sleep(RETRY_SECONDS)


async def answered(future: "Future[T]", where: str) -> T:
    """The answer of an administrative request."""
    try:
        return await asyncio.wrap_future(future)
    except KafkaException as raised:
        raise failure(raised, where) from raised
