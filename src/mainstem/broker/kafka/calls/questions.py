"""Questions to the cluster, and how an answer is awaited."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar, cast

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from mainstem.broker import GROUPS_TOPIC
from mainstem.broker.kafka.calls.meanings import STARTING, failure, kafka_error
from mainstem.broker.kafka.calls.threads import Calls
from mainstem.broker.kafka.options import Settings
from mainstem.errors import BrokerAway

T = TypeVar("T")

RETRY_SECONDS: Final = 0.1


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
        await self._asking.look(where, GROUPS_TOPIC)
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
