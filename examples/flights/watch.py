"""Looks at running services from outside, as an operator would: positions, ends, owners and dead letters.

Nothing here is part of a service. What is shown is read from the broker: how far each group has come, how much lies
before it, and how long it took until an event that was there was handled and committed.
"""

import asyncio
import time
from array import array
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from mainstem.broker import Batch, GroupDescription, Reader, TopicPartition
from mainstem.delivery import Entry, audit_topic, decode_entry
from mainstem.service import Backend


@dataclass
class Sight:
    """What has been seen of one service. Latencies count events by milliseconds from published to committed."""

    handled: int = 0
    lag: int = 0
    latencies: Counter[int] = field(default_factory=Counter[int])
    retries: int = 0
    dead_letters: int = 0
    parked: dict[bytes, Entry] = field(default_factory=dict[bytes, Entry])
    """Sequences that wait now, those that will be tried again by themselves and those that will not."""


class Watch:
    """Looks at all groups at once; call :meth:`look` often, for a latency is only as sharp as the looks are close."""

    def __init__(self, broker: Backend, services: Iterable[str]) -> None:
        self.sights = {name: Sight() for name in services}
        self.groups: dict[str, GroupDescription] = {}
        self.published = 0
        self._broker = broker
        self._marks: dict[tuple[str, TopicPartition], deque[tuple[int, float]]] = {}
        self._handled: dict[tuple[str, TopicPartition], int] = {}
        self._audits: dict[str, Reader] = {}
        self._readers: list[Reader] = []
        self._offsets: dict[TopicPartition, array[int]] = {}

    @property
    def moves(self) -> int:
        """A number that grows as long as anything happens."""
        return self.published + sum(sight.handled + sight.retries for sight in self.sights.values())

    @property
    def settled(self) -> bool:
        """Whether nothing is under way: no lag, and nothing parked that will be tried again by itself."""
        return all(
            sight.lag == 0 and all(entry.status == "dead-lettered" for entry in sight.parked.values())
            for sight in self.sights.values()
        )

    async def look(self) -> None:
        """Look once."""
        # Positions first: what is published between the two looks is then lag, and not handled before it was there.
        self.groups = dict(await self._broker.admin.groups(self.sights))
        now = time.monotonic()
        await self._read_inputs()
        self.published = sum(map(len, self._offsets.values()))
        for name, group in self.groups.items():
            sight = self.sights[name]
            sight.handled = sight.lag = 0
            for topic, partitions in group.inputs.items():
                for partition in range(partitions):
                    at = TopicPartition(topic, partition)
                    end = len(self._offsets[at])
                    handled = bisect_left(self._offsets[at], group.positions.get(at, 0))
                    sight.handled += handled
                    sight.lag += end - handled
                    self._measure(name, at, handled, end, now)
            self._read_audit(name)

    def count(self, topic: str) -> int:
        """How many events a topic has that somebody listens to."""
        return sum(len(offsets) for at, offsets in self._offsets.items() if at.topic == topic)

    async def _read_inputs(self) -> None:
        """Note the offset of every event: on a cluster they have gaps, so how many there are is not where they end."""
        inputs = {topic: count for group in self.groups.values() for topic, count in group.inputs.items()}
        new = {TopicPartition(topic, n): 0 for topic, count in inputs.items() for n in range(count)}
        new = {at: 0 for at in new if at not in self._offsets}
        if new:
            self._offsets.update((at, array("q")) for at in new)
            self._readers.append(self._broker.log.reader(new))
        for reader in self._readers:
            while (batch := reader.take()) is not None:
                self._offsets[TopicPartition(batch.topic, batch.partition)].extend(batch.offsets)
            # A reader that is busy elsewhere gets its turn.
            await asyncio.sleep(0)

    def _measure(self, name: str, at: TopicPartition, position: int, end: int, now: float) -> None:
        marks = self._marks.setdefault((name, at), deque())
        if not marks or marks[-1][0] < end:
            marks.append((end, now))
        handled = self._handled.get((name, at), 0)
        while marks and marks[0][0] <= position:
            mark, seen = marks.popleft()
            if mark > handled:
                self.sights[name].latencies[round((now - seen) * 1_000)] += mark - handled
                handled = mark
        self._handled[name, at] = handled

    def _read_audit(self, name: str) -> None:
        group = self.groups[name]
        reader = self._audits.get(name)
        if reader is None:
            at = {TopicPartition(audit_topic(name), task): 0 for task in range(group.tasks)}
            reader = self._audits[name] = self._broker.log.reader(at)
        while (batch := reader.take()) is not None:
            self._take_in(self.sights[name], batch)

    def _take_in(self, sight: Sight, batch: Batch) -> None:
        for key, value in zip(batch.keys, batch.values, strict=True):
            assert key is not None
            if value is None:
                sight.parked.pop(key, None)
                continue
            entry = decode_entry(value)
            if entry.status == "discarded":
                continue
            sight.parked[key] = entry
            sight.retries += entry.status == "parked"
            sight.dead_letters += entry.status == "dead-lettered"

    def close(self) -> None:
        """Stop reading."""
        for reader in (*self._audits.values(), *self._readers):
            reader.close()
