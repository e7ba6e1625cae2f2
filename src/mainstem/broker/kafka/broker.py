"""Apache Kafka as a broker: the clients of one process, and who uses which."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import Final, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from mainstem.broker import (
    GROUPS_TOPIC,
    Admin,
    Change,
    CopyProgress,
    ForeignGroups,
    Group,
    GroupDescription,
    GroupSpec,
    Log,
    Preparation,
    TopicDescription,
    TopicPartition,
    TopicSpec,
    changelog_of,
    read,
)
from mainstem.broker.kafka.calls import RETRY_SECONDS, STRANGERS, Calls, kafka_error, translated
from mainstem.broker.kafka.copies import Copies, Restorer, Standbys, change_of
from mainstem.broker.kafka.fetcher import Fetchers
from mainstem.broker.kafka.foreign import foreign_groups
from mainstem.broker.kafka.groups import GroupAdmin, Groups, KafkaGroup
from mainstem.broker.kafka.log import KafkaLog
from mainstem.broker.kafka.options import ClientSettings, KafkaOptions, Settings
from mainstem.broker.kafka.preparing import Preparer
from mainstem.broker.kafka.producers import Sharing, Slots
from mainstem.broker.kafka.topics import TopicAdmin, Topics
from mainstem.clock import Clock, SystemClock
from mainstem.errors import BrokerAway, BrokerError, DefinitionError, MainstemError
from mainstem.identifiers import Identifiers
from mainstem.telemetry import log

RESTORE_BYTES = 32_000_000
STANDBY_BYTES = 1_000_000
FIRST_SECONDS: Final = 1.0
ANSWERS_OF_A_CALL: Final = 3
"""A commit asks that often, one question after the other: each has its time, and then it is over."""


class KafkaBroker:
    """A cluster in four roles."""

    log: Log
    group: Group
    admin: Admin

    def __init__(
        self,
        servers: str,
        *,
        clock: Clock | None = None,
        identifiers: Identifiers | None = None,
        options: KafkaOptions | None = None,
        copies: Copies | None = None,
    ) -> None:
        """``servers`` are ``host:port``, separated by commas. Nothing is connected yet.

        ``copies`` keeps the rows of the stores on this machine; without it stores can be written, and not read.
        """
        clock = clock or SystemClock()
        self.name = f"kafka at {servers}"
        self._options = options or KafkaOptions()
        self._calls = Calls(self._options.commit_threads, self._options.answer_seconds * ANSWERS_OF_A_CALL)
        settings = self.settings = ClientSettings(servers, self._options)
        self._topics = Topics(settings, self._calls, clock)
        self._slots = Slots(settings, (identifiers or Identifiers(clock)).new())
        self._sharing = Sharing(self._slots, self._calls)
        self._log = KafkaLog(settings, self._topics, self._sharing)
        topic_admin = TopicAdmin(self._topics)
        groups = self._groups = Groups(settings, self._topics, topic_admin, self._log)
        self._restoring = Fetchers(settings.restorer(), RESTORE_BYTES)
        self._following = Fetchers(settings.follower(), STANDBY_BYTES)
        self._restorer: Restorer | None = None
        if copies is not None:
            standbys = Standbys(self._topics, self._following, copies)
            self._restorer = Restorer(self._topics, self._restoring, copies, standbys)
        self._group = KafkaGroup(groups, self._restorer)
        self.log, self.group = self._log, self._group
        preparer = Preparer(self._topics, topic_admin, groups)
        self.admin = KafkaAdmin(topic_admin, GroupAdmin(groups, topic_admin), preparer)

    async def open(self) -> None:
        """Ask the cluster who it is; raises what stands in the way."""
        try:
            await met(self.settings.admin(), self._options.answer_seconds, self._calls, self.name)
        except MainstemError:
            await self.close()
            raise

    async def changes(self, group: str, task: int) -> AsyncGenerator[Change, None]:
        """The committed changes of a task's stores, as far as compaction has left them; none for an unknown group."""
        at = TopicPartition(changelog_of(group), task)
        bounds = (await self._topics.bounds([at])).get(at)
        if bounds is None:
            return
        async with aclosing(read(self.log, {at: bounds[0]}, {at: bounds[1]})) as batches:
            async for batch in batches:
                for key, value in zip(batch.keys, batch.values, strict=True):
                    yield change_of(key or b"", value)

    async def foreign_groups(self, topics: Iterable[str]) -> ForeignGroups:
        """The consumer groups that are none of ours, and have committed something of these topics, or read them now."""
        return await foreign_groups(self._groups, topics)

    def copies(self) -> Sequence[CopyProgress]:
        """The local copies that are being restored, or stand by."""
        restorer = self._restorer
        return () if restorer is None else (*restorer.progress(), *restorer.standbys.progress())

    async def close(self) -> None:
        """Leave all groups, finish what was submitted, then close."""
        async with AsyncExitStack() as last:
            # The last one first. One that fails leaves none of the others open.
            last.callback(self._calls.close)
            last.push_async_callback(asyncio.to_thread, self._slots.close)
            last.push_async_callback(self._sharing.close)
            last.push_async_callback(self._following.close)
            last.push_async_callback(self._restoring.close)
            last.push_async_callback(self._log.close)
            last.push_async_callback(self._group.close)


class KafkaAdmin:
    """Topics and groups as they are."""

    def __init__(self, topics: TopicAdmin, groups: GroupAdmin, preparer: Preparer) -> None:
        self._topics = topics
        self._groups = groups
        self._preparer = preparer

    async def prepare(
        self, topics: Sequence[TopicSpec], groups: Sequence[GroupSpec], *, dry: bool = False
    ) -> Sequence[Preparation]:
        """Create and alter these topics, and what a first join of these groups would create; ``dry`` looks only."""
        return await self._preparer.prepare(topics, groups, dry=dry)

    async def create(self, spec: TopicSpec) -> None:
        """Create a topic; one that exists with the same specification is left alone, another is refused."""
        await self._topics.create(spec)

    async def alter(self, spec: TopicSpec) -> None:
        """Change retention, compaction or limits; the number of partitions never changes."""
        await self._topics.alter(spec)

    async def delete(self, topic: str) -> None:
        """Delete a topic and its records."""
        await self._topics.delete(topic)

    async def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicDescription]:
        """Describe these topics, or all."""
        return await self._topics.topics(names)

    async def groups(self, names: Iterable[str] | None = None) -> Mapping[str, GroupDescription]:
        """Describe these groups, or all."""
        return await self._groups.groups(names)

    async def reset(self, group: str, positions: Mapping[TopicPartition, int]) -> None:
        """Move positions of a group that has no live member, and drop the completed sets that belong to them."""
        await self._groups.reset(group, positions)

    async def delete_group(self, group: str) -> None:
        """Forget a group that has no live member: positions, stores and inbox."""
        await self._groups.delete_group(group)


class Objections:
    """What a client says while it cannot connect. It says so to its callback alone, and its calls just time out."""

    def __init__(self) -> None:
        """Nothing has been said."""
        self._said: KafkaError | None = None
        self._refused: KafkaError | None = None

    def hear(self, error: KafkaError) -> None:
        """The callback."""
        if error.code() in STRANGERS or " SSL " in error.str():
            self._refused = error
        elif error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._said = error

    def explained(self, away: BrokerError, where: str) -> BrokerError:
        """Why the cluster does not answer: it does not take us for who we say, or what the client has said last."""
        if self._refused is not None:
            return translated(_as_stranger(self._refused), where)
        if self._said is not None:
            away.why = f"{self._said.name()}: {self._said.str()}"
        away.where = where
        return away


def _as_stranger(error: KafkaError) -> KafkaError:
    return error if error.code() in STRANGERS else KafkaError(KafkaError._SSL, error.str())


def _asker(settings: Settings, objections: Objections, where: str) -> AdminClient:
    """A client whose objections are heard, and not logged as well."""
    heard = {**settings, "error_cb": objections.hear, "logger": _UNHEARD}
    try:
        return AdminClient(cast("dict[str, str | int | float | bool]", heard))
    except KafkaException as raised:
        error = kafka_error(raised)
        raise DefinitionError(
            "the client of Kafka does not take its options",
            where=where,
            why=str(raised) if error is None else error.str(),
            remedy="correct the option with a dot in its name behind the broker's addresses; "
            "CONFIGURATION.md of librdkafka lists them",
        ) from raised


_UNHEARD: Final = logging.Logger("mainstem.kafka.asker")  # noqa: LOG001 - one that has no parent, so nobody hears it
_UNHEARD.addHandler(logging.NullHandler())


async def met(settings: Settings, seconds: float, calls: Calls, where: str) -> None:
    """Wait until the cluster answers. Raises why it does not, and at once where waiting would be of no use."""
    objections = Objections()
    client = _asker(settings, objections, where)
    patience, loop = FIRST_SECONDS, asyncio.get_running_loop()
    told = False
    until = loop.time() + seconds
    while True:
        some = min(patience, max(RETRY_SECONDS, until - loop.time()))
        try:
            await calls.run(partial(client.list_topics, GROUPS_TOPIC, some), where)
        except BrokerAway as away:
            await calls.run(lambda: client.poll(0), where)
            explained = objections.explained(away, where)
            if loop.time() >= until or not isinstance(explained, BrokerAway):
                raise explained from away
            if not told:
                told = True
                log.warning("%s does not answer; it is waited for %g s: %s", where, seconds, explained.why)
        else:
            return
        patience *= 2
        await asyncio.sleep(RETRY_SECONDS)
