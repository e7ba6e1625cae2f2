"""A plain producer: bytes into a topic, durable when the answer is there."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Self

from mainstem.broker import NO_HEADERS, Record, TopicPartition
from mainstem.clock import Clock, SystemClock
from mainstem.errors import BrokerError, UnknownTopic
from mainstem.events import partition_for
from mainstem.identifiers import Identifiers
from mainstem.service.brokers import Backend, connected, named_broker
from mainstem.settings import Settings


class Producer:
    """Writes records to topics that are there, inside ``async with``.

    ``broker`` is a URL, or a broker that is open; without it the settings name one.
    """

    def __init__(self, broker: str | Backend | None = None, *, clock: Clock | None = None) -> None:
        self._named = broker
        self._clock = clock or SystemClock()
        self._stack = AsyncExitStack()
        self._broker: Backend | None = None
        self._partitions: dict[str, int] = {}
        self._asking: dict[str, asyncio.Future[int]] = {}
        self._turn = 0

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Mapping[str, bytes] = NO_HEADERS,
        timestamp_ms: int | None = None,
    ) -> tuple[int, int]:
        """Write a record; gives its partition and offset once it is durable.

        Records of one key go to one partition, the same that every service of Mainstem, and Java's default, would take;
        without a key, to one after the other. A value of None is a tombstone. To write many at once, start many sends:
        those that wait together are written together.

        Raises :class:`~mainstem.errors.UnknownTopic`, and what the broker refuses.
        """
        if self._broker is None:
            raise BrokerError("The producer is not open", remedy="use it inside async with Producer(...)")
        partitions = self._partitions.get(topic) or await self._look_up(topic)
        if key is None:
            self._turn += 1
        partition = self._turn % partitions if key is None else partition_for(key, partitions)
        now = self._clock.now_ms() if timestamp_ms is None else timestamp_ms
        record = Record(key, value, now, NO_HEADERS, headers)
        return partition, await self._broker.log.append(TopicPartition(topic, partition), [record])

    async def _look_up(self, topic: str) -> int:
        """Who asks while the answer is under way gets the same one, in turn: what was sent first is written first."""
        asking = self._asking.get(topic)
        if asking is None:
            asking = self._asking[topic] = asyncio.ensure_future(self._partitions_of(topic))
            asking.add_done_callback(lambda _: self._asking.pop(topic, None))
        return await asyncio.shield(asking)

    async def _partitions_of(self, topic: str) -> int:
        assert self._broker is not None
        found = (await self._broker.admin.topics([topic])).get(topic)
        if found is None:
            raise UnknownTopic(
                f"topic {topic!r} is not there",
                where=self._broker.name,
                remedy="create it: mainstem topics apply, or a tool of your broker",
            )
        self._partitions[topic] = found.spec.partitions
        return found.spec.partitions

    async def __aenter__(self) -> Self:
        named = self._named
        if named is None or isinstance(named, str):
            named = named_broker(named, Settings.load(), dev=False)
        opened = connected(named, self._clock, Identifiers(self._clock))
        self._broker = await self._stack.enter_async_context(opened)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._broker = None
        await self._stack.aclose()
