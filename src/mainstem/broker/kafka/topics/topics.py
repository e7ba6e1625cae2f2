"""Topics as they are: what the cluster says, and what is remembered of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from confluent_kafka import OFFSET_INVALID, IsolationLevel, KafkaError, KafkaException, TopicCollection
from confluent_kafka import TopicPartition as At
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    ListOffsetsResultInfo,
    OffsetSpec,
    ResourceType,
)

from mainstem.broker import GROUPS_TOPIC, TopicPartition, TopicSpec
from mainstem.broker.kafka.calls import (
    AWAY,
    FIRST_PATIENCE_SECONDS,
    NO_LEADER,
    UNKNOWN_TOPIC,
    Asking,
    Calls,
    answered,
    failure,
    kafka_error,
    unknown_topic,
)
from mainstem.broker.kafka.options import ClientSettings
from mainstem.broker.kafka.topics.settings import MIN_INSYNC, config_of, spec_of
from mainstem.clock import Clock
from mainstem.errors import BrokerAway, UnknownTopic

INTERNAL: Final = "__"
RETRY_SECONDS: Final = 0.02


class Known(NamedTuple):
    """What is remembered of a topic."""

    partitions: int
    record_bytes_max: int
    topic_id: str


class Laid(NamedTuple):
    """A topic as it is laid out: the fewest copies of a partition, and how many of them must have a record."""

    spec: TopicSpec
    topic_id: str
    replication: int
    min_insync: int


def told(answer: ListOffsetsResultInfo) -> int:
    """The offset; -1 where a partition has none of that time.

    Raises KafkaException where there is none in the answer: a client that has lost its connection gives such answers
    without an error, and a changelog whose end was believed to lie there would not be read.
    """
    if answer.offset == OFFSET_INVALID:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "the answer has no offset", retriable=True))
    return answer.offset


class Topics:
    """Asks the cluster, and remembers what every append has to know."""

    def __init__(self, settings: ClientSettings, calls: Calls, clock: Clock) -> None:
        """Nothing is asked yet."""
        self._asker = Asking(settings.admin(), settings.options.answer_seconds, calls)
        self.options = settings.options
        self.calls = calls
        self.clock = clock
        self._known: dict[str, Known] = {}
        self._asking: dict[str, asyncio.Future[object]] = {}

    def config(self, spec: TopicSpec) -> dict[str, str]:
        """The settings of a topic, with those that the options say of every topic."""
        enough = self.options.min_insync
        return config_of(spec) if enough is None else {**config_of(spec), MIN_INSYNC: str(enough)}

    @property
    def client(self) -> AdminClient:
        """The client to ask; kept by whoever waits for an answer, because another one may take its place meanwhile."""
        return self._asker.client

    async def known(self, at: TopicPartition) -> Known:
        """What is to be known of a topic that has this partition. Raises :class:`~mainstem.errors.UnknownTopic`."""
        known = self._known.get(at.topic)
        if known is None or at.partition >= known.partitions:
            self._known.pop(at.topic, None)
            await self._described(at.topic)
            known = self._known.get(at.topic)
        if known is None or not 0 <= at.partition < known.partitions:
            raise unknown_topic(f"{at.topic}[{at.partition}]")
        return known

    async def _described(self, topic: str) -> None:
        """Describe it. Who asks while the answer is under way gets the same one, in turn: appends keep their order."""
        asking = self._asking.get(topic)
        if asking is None:
            asking = self._asking[topic] = asyncio.ensure_future(self.describe([topic]))
            asking.add_done_callback(lambda _: self._asking.pop(topic, None))
        await asyncio.shield(asking)

    def forget(self, topic: str) -> None:
        """It may have changed."""
        self._known.pop(topic, None)

    async def names(self) -> list[str]:
        """All topics but the cluster's own."""
        listed = await self._asker.look("the list of topics")
        return [name for name in listed.topics if not name.startswith(INTERNAL)]

    async def _look(self) -> None:
        """Let the client see who is there: it keeps asking the controller of yesterday until it has looked again."""
        await self._asker.look("who leads the cluster", GROUPS_TOPIC)

    async def describe(self, names: Iterable[str]) -> dict[str, tuple[TopicSpec, str]]:
        """Specification and id of those that are there."""
        return {name: (laid.spec, laid.topic_id) for name, laid in (await self.layout(names)).items()}

    async def layout(self, names: Iterable[str]) -> dict[str, Laid]:
        """How those are laid out that are there."""
        wanted = list(names)
        if not wanted:
            return {}
        return await self._asker.ask(partial(self._laid, wanted))

    async def _laid(self, wanted: list[str], client: AdminClient, seconds: float) -> dict[str, Laid]:
        await self._look()
        described = client.describe_topics(TopicCollection(wanted), request_timeout=seconds)
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in wanted]
        configured = client.describe_configs(resources, request_timeout=seconds)
        configs = {resource.name: future for resource, future in configured.items()}
        found: dict[str, Laid] = {}
        for name in wanted:
            try:
                description = await answered(described[name], name)
                config = await answered(configs[name], name)
            except UnknownTopic:
                self._known.pop(name, None)
                continue
            spec = spec_of(name, len(description.partitions), config)
            copies = min(len(each.replicas) for each in description.partitions)
            found[name] = Laid(spec, str(description.topic_id), copies, int(config[MIN_INSYNC].value or 1))
            self._known[name] = Known(spec.partitions, spec.record_bytes_max, str(description.topic_id))
        return found

    async def offsets(self, wanted: Mapping[TopicPartition, OffsetSpec]) -> dict[TopicPartition, int]:
        """Offsets by specification; what is not there is left out. Counts open transactions as well."""
        found: dict[TopicPartition, int] = {}
        loop = asyncio.get_running_loop()
        until, patience = loop.time() + self.options.answer_seconds, FIRST_PATIENCE_SECONDS
        while wanted:
            again: dict[TopicPartition, OffsetSpec] = {}
            client = self.client
            for at, future in self._ask_offsets(client, wanted, patience).items():
                try:
                    found[at] = told(await asyncio.wrap_future(future))
                except KafkaException as raised:
                    error = kafka_error(raised)
                    if error is not None and error.code() in UNKNOWN_TOPIC:
                        self._known.pop(at.topic, None)
                    elif loop.time() < until and self._may_pass(error, client):
                        # One is being elected, or has just been; or there is no such topic.
                        if at.topic in await self.describe([at.topic]):
                            again[at] = wanted[at]
                    else:
                        raise failure(raised, f"{at.topic}[{at.partition}]") from raised
            wanted, patience = again, min(2 * patience, self.options.answer_seconds)
            if wanted:
                # The client keeps asking the leader of yesterday until it has looked at the cluster again.
                await self.names()
                await asyncio.sleep(RETRY_SECONDS)
        return found

    def _may_pass(self, error: KafkaError | None, client: AdminClient) -> bool:
        """Whether it may be answered if it is asked again; a client that was left without an answer is replaced."""
        if error is None:
            return False
        if error.code() in AWAY:
            self._asker.drop(client)
        return error.code() in NO_LEADER | AWAY or error.retriable()

    def _ask_offsets(
        self, client: AdminClient, wanted: Mapping[TopicPartition, OffsetSpec], seconds: float
    ) -> dict[TopicPartition, "Future[ListOffsetsResultInfo]"]:
        asked = client.list_offsets(
            {At(at.topic, at.partition): spec for at, spec in wanted.items()},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=seconds,
        )
        return {TopicPartition(at.topic, at.partition): future for at, future in asked.items()}

    async def has(self, name: str) -> bool:
        """Whether the topic is known, and its partitions have leaders."""
        described = (await self.describe([name])).get(name)
        if described is None:
            return False
        partitions = [TopicPartition(name, number) for number in range(described[0].partitions)]
        return len(await self.bounds(partitions)) == len(partitions)

    async def ids(self, names: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Id and number of partitions of those that are there."""
        return await self._asker.ask(partial(self._identified, list(names)))

    async def _identified(self, wanted: list[str], client: AdminClient, seconds: float) -> dict[str, tuple[str, int]]:
        await self._look()
        asked = client.describe_topics(TopicCollection(wanted), request_timeout=seconds)
        found: dict[str, tuple[str, int]] = {}
        for name in wanted:
            with suppress(UnknownTopic):
                description = await answered(asked[name], name)
                found[name] = str(description.topic_id), len(description.partitions)
        return found

    async def until(self, done: Callable[[], Awaitable[bool]], what: str) -> None:
        """Ask until the cluster has done what it has promised."""
        loop = asyncio.get_running_loop()
        last = loop.time() + self.options.answer_seconds
        while not await done():
            if loop.time() > last:
                raise BrokerAway(f"The cluster has not managed it in time: {what}", remedy="try again")
            await asyncio.sleep(RETRY_SECONDS)

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """Start and end of those that are there."""
        wanted = list(partitions)
        starts, ends = await asyncio.gather(
            self.offsets({at: OffsetSpec.earliest() for at in wanted}),
            self.offsets({at: OffsetSpec.latest() for at in wanted}),
        )
        return {at: (starts[at], ends[at]) for at in wanted if at in starts and at in ends}
