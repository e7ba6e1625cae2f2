"""Asking a cluster what is committed, in a way that the client survives.

``AdminClient.list_consumer_group_offsets`` ends the process when the coordinator of the group goes while the question
is under way (librdkafka issue 4605): its handler looks for a new one through a membership, which such a client has not.
So a consumer is asked, which has one, although it never joins.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as At

from mainstem.broker import TopicPartition
from mainstem.broker.kafka.calls import FIRST_PATIENCE_SECONDS, RETRY_SECONDS, Calls, failure, kafka_error
from mainstem.broker.kafka.options import ClientSettings
from mainstem.errors import BrokerAway

KEPT_MOST: Final = 8
"""So many consumers are kept for the next question: a process has a few groups, and a listing may be of hundreds."""
LATE_SECONDS: Final = 5.0
"""A call that does not come back although its time is over is given up then."""


class Committed:
    """Reads the committed positions of groups."""

    def __init__(self, settings: ClientSettings, calls: Calls) -> None:
        self._settings = settings
        self._calls = calls
        self._kept: dict[tuple[str, bool, int], Consumer] = {}

    async def read(self, group: str, of: Sequence[TopicPartition], *, stable: bool) -> list[At]:
        """What is committed of these inputs; each may have an error of its own.

        With ``stable`` a position that a transaction is just about to move is waited for. A client that has not
        answered is asked no more, and the next one is given longer. Raises :class:`~mainstem.errors.BrokerAway`.
        """
        loop = asyncio.get_running_loop()
        until, patience = loop.time() + self._settings.options.answer_seconds, FIRST_PATIENCE_SECONDS
        while True:
            # One that was idle while the cluster was away waits for the connections that it had before.
            name = group, stable, self._calls.outages
            consumer = self._kept.pop(name, None) or Consumer(self._settings.asker(group, stable=stable))
            seconds = min(patience, max(RETRY_SECONDS, until - loop.time()))
            try:
                found = await self._ask(consumer, of, seconds, f"group {group}", stable=stable)
            except BrokerAway as away:
                if loop.time() >= until and stable:
                    raise _in_vain(group, away) from away
                if loop.time() >= until:
                    raise
                patience *= 2
            else:
                await self._keep(name, consumer)
                return found
            await asyncio.sleep(RETRY_SECONDS)

    async def _ask(
        self, consumer: Consumer, of: Sequence[TopicPartition], seconds: float, where: str, *, stable: bool
    ) -> list[At]:
        def ask() -> list[At] | KafkaException:
            try:
                found: list[At] = consumer.committed([At(*at) for at in of], seconds)
            except KafkaException as raised:
                consumer.close()
                if stable and _is_late(raised):
                    return raised
                raise
            return found

        found = await self._calls.run(ask, where, seconds=seconds + LATE_SECONDS)
        if isinstance(found, KafkaException):
            # Not an outage: for a transaction that has not ended, every other client would be made anew.
            raise failure(found, where) from found
        return found

    async def _keep(self, name: tuple[str, bool, int], consumer: Consumer) -> None:
        self._kept[name] = consumer
        if len(self._kept) > KEPT_MOST:
            oldest = next(iter(self._kept))
            await self._calls.run(self._kept.pop(oldest).close, f"group {oldest[0]}")


def _is_late(raised: KafkaException) -> bool:
    error = kafka_error(raised)
    return error is not None and error.code() == KafkaError._TIMED_OUT


def _in_vain(group: str, away: BrokerAway) -> BrokerAway:
    """A client says alike that nobody answers, and that a transaction has not ended."""
    return BrokerAway(
        f"The positions of the group {group!r} were waited for in vain, to be there and to be stable",
        where=away.where,
        why=f"{away.why}; the cluster is away, or a transaction that moves them has not been ended",
        remedy=away.remedy,
    )
