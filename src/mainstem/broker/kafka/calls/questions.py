"""Questions to the cluster, and how an answer is awaited."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Final, TypeVar, cast

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from mainstem.broker import GROUPS_TOPIC
from mainstem.broker.kafka.calls.meanings import LOOK, STARTING, failure, kafka_error
from mainstem.broker.kafka.calls.threads import Calls
from mainstem.broker.kafka.options import Settings
from mainstem.errors import BrokerAway

T = TypeVar("T")

RETRY_SECONDS: Final = 0.1
UNHEARD_SECONDS: Final = 300.0
"""So long a client goes on with a question to a coordinator, unless it is dropped."""
FIRST_PATIENCE_SECONDS: Final = 1.0
"""A question is asked again of another client when the first has not answered in so long, the next in twice that."""


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

    async def ask(self, question: Callable[[AdminClient, float], Awaitable[T]]) -> T:
        """The answer to a question that changes nothing, of one client after the other; each is given longer.

        A client goes on asking a coordinator or a leader that has died, even when it is back, for as long as it has
        time for its answer; a new one asks who it is now. Raises :class:`~mainstem.errors.BrokerAway`.
        """
        loop = asyncio.get_running_loop()
        until, patience = loop.time() + self._seconds, FIRST_PATIENCE_SECONDS
        while True:
            client, left = self.client, max(RETRY_SECONDS, until - loop.time())
            try:
                return await question(client, min(patience, left))
            except BrokerAway as away:
                error = None if away.__cause__ is None else kafka_error(away.__cause__)
                if error is None or error.code() not in STARTING:
                    self.drop(client)
                    patience *= 2
                if loop.time() >= until:
                    raise
            await asyncio.sleep(RETRY_SECONDS)

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

    Where such a question has timed out in the client, and its answer comes after all, the client ends the process
    (librdkafka issue 4605). So it never does: the client has more time than anybody waits, and one that was left
    without an answer is dropped together with its question. It is asked first whether the cluster answers at all.
    """

    def __init__(self, settings: Settings, seconds: float, calls: Calls) -> None:
        """Each answer has so many ``seconds``."""
        self._asking = Asking(settings, seconds, calls)
        self._settings = settings
        self._calls = calls
        self._seconds = seconds
        self._as_of = 0

    async def ask(self, question: Callable[[AdminClient, float], "Future[T]"], where: str) -> T:
        """The answer to a question, which gets a client and how many seconds it may take.

        Raises :class:`~mainstem.errors.BrokerAway` where there is none in time.
        """
        if self._as_of != self._calls.outages:
            # One that was idle while the cluster was away waits for the connections that it had before.
            self._asking = Asking(self._settings, self._seconds, self._calls)
            self._as_of = self._calls.outages
        asking = self._asking

        async def asked(client: AdminClient, seconds: float) -> T:
            await asking.look(where, GROUPS_TOPIC)
            try:
                async with asyncio.timeout(seconds):
                    return await answered(question(client, UNHEARD_SECONDS), where)
            except TimeoutError:
                why = f"a coordinator has not answered within {seconds:g} s, and another client asks who it is now"
                raise BrokerAway("The cluster does not answer", where=where, why=why, remedy=LOOK) from None

        return await asking.ask(asked)


async def answered(future: "Future[T]", where: str) -> T:
    """The answer of an administrative request."""
    try:
        return await asyncio.wrap_future(future)
    except KafkaException as raised:
        raise failure(raised, where) from raised
