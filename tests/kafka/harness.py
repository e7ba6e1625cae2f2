"""A real cluster, made ready for the conformance suite."""

import asyncio
import time
import uuid
from collections.abc import Mapping
from itertools import count

from msgspec.structs import replace

from mainstem.broker import Broker, GroupSpec, Membership
from mainstem.broker.kafka import KafkaBroker, KafkaOptions
from mainstem.broker.kafka.groups.membership import KafkaMembership
from mainstem.testing.conformance.broker import Capabilities
from tests.conformance.harnesses import RealTime

SESSION_SECONDS = 2.0
"""Rules wait for it again and again. A busy machine must still beat its heart within it, several times."""


class OnKafka(RealTime):
    """All rules share a cluster, so every name has something that no other harness has."""

    def __init__(self, servers: str, options: KafkaOptions) -> None:
        self.capabilities = Capabilities(
            durable=True,
            several_clients=True,
            virtual_time=False,
            silence=True,
            gaps=False,
            maintenance_on_demand=False,
            retention_waits=False,
            pinning=False,
            declining=False,
            session_timeout_seconds=SESSION_SECONDS,
            grace_seconds=0.5,
            wake_seconds=0.15,
            model_examples=3,
            patience_seconds=90.0,
        )
        self._servers = servers
        # A member that does not poll is expelled after the session timeout.
        self._options = replace(options, member={"max.poll.interval.ms": str(round(SESSION_SECONDS * 1_000))})
        self._mark = uuid.uuid4().hex[:8]
        self._names = count(1)
        self._brokers: list[KafkaBroker] = []

    def name(self, label: str) -> str:
        return f"{label}-{self._mark}-{next(self._names)}"

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def open(self) -> Broker:
        broker = KafkaBroker(self._servers, options=self._options)
        await broker.open()
        self._brokers.append(broker)
        return broker

    async def maintained(self) -> None:
        raise AssertionError("not claimed")

    async def silence(self, membership: Membership) -> None:
        assert isinstance(membership, KafkaMembership)
        thread = membership.thread
        thread.silent = True
        # The process wakes up when its tasks have gone.
        after = self.capabilities.session_timeout_seconds * 3
        asyncio.get_running_loop().call_later(after, setattr, thread, "silent", False)

    async def stored(self, group: GroupSpec, store: str, task: int) -> Mapping[bytes, bytes]:
        broker = self._brokers[-1]
        rows: dict[bytes, bytes] = {}
        async for change in broker.changes(group.name, task):
            if change.store == store and change.value is None:
                rows.pop(change.key, None)
            elif change.store == store and change.value is not None:
                rows[change.key] = change.value
        return rows
