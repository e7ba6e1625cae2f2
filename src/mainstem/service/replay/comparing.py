"""What a replay has published, beside what was published live: ids are derived, so each fact finds its own."""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import aclosing
from hashlib import blake2b
from typing import Final, Literal, NamedTuple, TypeAlias

from msgspec import Struct

from mainstem.broker import Batch, Record, TopicDescription, TopicPartition, read
from mainstem.events import CE_CAUSATIONID, CE_CORRELATIONID, CE_ID, CE_TYPE
from mainstem.identifiers import Derivation
from mainstem.service.brokers import Backend

OUTPUTS_MOST: Final = 1_000
"""A fact that is missing is looked for among so many outputs of each handler for one event."""
LISTED_MOST: Final = 1_000
"""So many differences are listed; all are counted."""
PUBLISHED_AT_ONCE: Final = 1_000
_NAMES: Final = (CE_ID, CE_CAUSATIONID, CE_CORRELATIONID, "ce_source", CE_TYPE)

Outcome: TypeAlias = Literal["same", "changed", "new", "missing"]


class Difference(Struct, frozen=True):
    """A fact that the replay has published otherwise than it was live."""

    outcome: Outcome
    topic: str
    type: str
    key: str | None
    event_id: str
    cause: str


class Comparison(Struct):
    """The facts of one topic. Those ``unnamed`` carry no id, so that nothing can be said of them."""

    topic: str
    same: int = 0
    changed: int = 0
    new: int = 0
    missing: int = 0
    unnamed: int = 0


class Seen(NamedTuple):
    """What was replayed: ids of events and of what they go back to; by whom, those of timers apart; and until when."""

    causes: Collection[bytes]
    correlations: Collection[bytes]
    handlers: tuple[Derivation, ...]
    timers: tuple[Derivation, ...]
    end_ms: int


class _Fact(NamedTuple):
    event_id: bytes
    cause: bytes
    correlation: bytes
    source: bytes
    type: bytes
    key: bytes | None
    digest: bytes
    timestamp_ms: int


class Comparing:
    """Puts facts side by side, topic by topic."""

    def __init__(self, source: str, seen: Seen) -> None:
        """``source`` is what the service's facts name as theirs."""
        self.differences: list[Difference] = []
        self.comparisons: list[Comparison] = []
        self.new: set[bytes] = set()
        """The ids of the facts that were never published live."""
        self._source = source.encode()
        self._seen = seen

    async def compare(
        self, topic: str, scratch: Backend, live: Backend, described: TopicDescription | None, since_ms: int
    ) -> None:
        """Compare what the replay has published to ``topic`` with what is there since its first event."""
        told = Comparison(topic)
        own = [fact async for batch in written(scratch, topic) for fact in _facts(batch)]
        replayed = {fact.event_id: fact for fact in own if fact.event_id}
        told.unnamed = sum(not fact.event_id for fact in own)
        if described is not None:
            async for batch in _since(live, described, since_ms):
                for fact in _facts(batch):
                    self._meet(fact, replayed, told)
        for fact in replayed.values():
            self._tell("new", fact, told)
            self.new.add(fact.event_id)
        if any((told.same, told.changed, told.new, told.missing, told.unnamed)):
            self.comparisons.append(told)

    def _meet(self, fact: _Fact, replayed: dict[bytes, _Fact], told: Comparison) -> None:
        """A fact of the live topic."""
        own = replayed.pop(fact.event_id, None)
        if own is not None:
            same = own.digest == fact.digest
            told.same += same
            if not same:
                self._tell("changed", own, told)
        elif fact.source == self._source and self._is_expected(fact):
            self._tell("missing", fact, told)

    def _is_expected(self, fact: _Fact) -> bool:
        """Whether one of the handlers that were run has published it live, for what was replayed."""
        seen = self._seen
        if fact.cause in seen.causes:
            derivations = (*seen.handlers, *seen.timers)
        elif fact.correlation in seen.correlations and fact.timestamp_ms <= seen.end_ms:
            derivations = seen.timers  # the timer has not rung in the replay, so that nobody knows the firing's id
        else:
            return False
        return any(each.nth(fact.cause, n) == fact.event_id for each in derivations for n in range(OUTPUTS_MOST))

    def _tell(self, outcome: Literal["changed", "new", "missing"], fact: _Fact, told: Comparison) -> None:
        setattr(told, outcome, getattr(told, outcome) + 1)
        if len(self.differences) < LISTED_MOST:
            key = None if fact.key is None else fact.key.decode(errors="backslashreplace")
            words = [each.decode(errors="backslashreplace") for each in (fact.type, fact.event_id, fact.cause)]
            self.differences.append(Difference(outcome, told.topic, words[0], key, words[1], words[2]))


async def publish_new(topic: str, scratch: Backend, live: Backend, new: set[bytes]) -> int:
    """Publish the facts that were never published live, under the ids they have; returns how many."""
    count, waiting = 0, list[tuple[TopicPartition, Record]]()

    async def send() -> None:
        transaction = live.log.transaction()
        for at, record in waiting:
            transaction.append(at, [record])
        await transaction.commit()
        waiting.clear()

    async for batch in written(scratch, topic):
        at = TopicPartition(batch.topic, batch.partition)
        for index, fact in enumerate(_facts(batch)):
            if fact.event_id in new:
                waiting.append((at, batch.record(index)))
                count += 1
        if len(waiting) >= PUBLISHED_AT_ONCE:
            await send()
    if waiting:
        await send()
    return count


async def written(scratch: Backend, topic: str) -> AsyncIterator[Batch]:
    """What the replay has written to a topic."""
    described = (await scratch.admin.topics([topic])).get(topic)
    if described is not None:
        async for batch in _between(scratch, described.bounds):
            yield batch


async def _since(live: Backend, described: TopicDescription, since_ms: int) -> AsyncIterator[Batch]:
    bounds = {
        at: (max(start, await live.log.offset_at(at, since_ms)), end) for at, (start, end) in described.bounds.items()
    }
    async for batch in _between(live, bounds):
        yield batch


async def _between(broker: Backend, bounds: Mapping[TopicPartition, tuple[int, int]]) -> AsyncIterator[Batch]:
    bounds = {at: (start, end) for at, (start, end) in bounds.items() if start < end}
    if bounds:
        starts = {at: start for at, (start, _) in bounds.items()}
        async with aclosing(read(broker.log, starts, {at: end for at, (_, end) in bounds.items()})) as batches:
            async for batch in batches:
                yield batch


def _facts(batch: Batch) -> Iterator[_Fact]:
    for index, (key, value) in enumerate(zip(batch.keys, batch.values, strict=True)):
        digest = blake2b(value or b"", key=b"" if value is None else b"value", digest_size=8)
        digest.update(b"" if key is None else b"\x00" + key)
        event_id, cause, correlation, source, name = (batch.header(each, index) or b"" for each in _NAMES)
        time_ms = batch.timestamps[index]
        yield _Fact(event_id, cause, correlation, source, name, key, digest.digest(), time_ms)
