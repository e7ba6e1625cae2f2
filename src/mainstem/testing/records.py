"""The log as it is, read back by a stranger."""

from collections.abc import Coroutine, Iterable, Iterator
from typing import NamedTuple, TypeVar

from mainstem.broker import Batch, TopicPartition
from mainstem.broker.sqlite import SqliteBroker
from mainstem.delivery import in_binary_mode
from mainstem.events import CE_CAUSATIONID, CE_EVENTVERSION, CE_ID, CE_TYPE, Declaration, identity
from mainstem.schemas.upcasting import Reading, reading_of
from mainstem.schemas.writers import SCHEMA_HEADER, Writers
from mainstem.testing.published import Fact

E = TypeVar("E")
R = TypeVar("R")


class Row(NamedTuple):
    """A record: where it stands, its key and value, and what it says of itself."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    type: str
    id: str
    cause: str
    """The id of the event that has caused it; empty for one from outside."""


class Records:
    """Everything that is in the log of a simulation now."""

    def __init__(self, broker: SqliteBroker) -> None:
        """``broker`` belongs to none of the workers."""
        self._broker = broker
        self._readings: dict[type, Reading] = {}

    def partitions(self, topic: str) -> int | None:
        """How many the topic has; None when there is no such topic."""
        described = _at_once(self._broker.admin.topics([topic])).get(topic)
        return None if described is None else described.spec.partitions

    def rows(self, topic: str) -> list[Row]:
        """The records of a topic, by partition and offset; none of a topic that is not there."""
        found = [
            Row(
                batch.topic,
                batch.partition,
                batch.offsets[index],
                batch.keys[index],
                batch.values[index],
                (headers.get(CE_TYPE) or b"").decode(),
                identity(headers.get(CE_ID), batch.topic, batch.partition, batch.offsets[index]),
                (headers.get(CE_CAUSATIONID) or b"").decode(),
            )
            for batch in map(in_binary_mode, self._read(topic))
            for index, headers in ((index, batch.headers(index)) for index in range(len(batch)))
        ]
        return sorted(found, key=lambda row: (row.partition, row.offset))

    def facts(self, kind: type[E], declaration: Declaration, published: Iterable[Declaration] = ()) -> list[Fact[E]]:
        """The events of a type, by partition and offset, those of older versions as the type has them now.

        ``published`` are the types that were written, also in those versions.
        """
        reading = self._readings.get(kind)
        if reading is None:
            reading = self._readings[kind] = reading_of(declaration, Writers(in_play=True, played=published))
        names = {name.encode() for name in declaration.names}
        facts: list[Fact[E]] = []
        for batch in map(in_binary_mode, self._read(declaration.topic)):
            types = batch.column(CE_TYPE) if declaration.envelope else [declaration.wire_name.encode()] * len(batch)
            for index, name in enumerate(types):
                value = batch.values[index]
                if name not in names or value is None:
                    continue
                decode = reading.decoder(batch.header(CE_EVENTVERSION, index), batch.header(SCHEMA_HEADER, index))
                event: E = decode(value)  # type: ignore[assignment]  # it is decoded as this very type
                facts.append(_fact(event, batch, index))
        return sorted(facts, key=lambda fact: (fact.partition, fact.offset))

    def _read(self, topic: str) -> Iterator[Batch]:
        described = _at_once(self._broker.admin.topics([topic])).get(topic)
        starts = () if described is None else described.starts
        reader = self._broker.log.reader({TopicPartition(topic, number): start for number, start in enumerate(starts)})
        try:
            while (batch := reader.take()) is not None:
                yield batch
        finally:
            reader.close()


def _at_once(coroutine: Coroutine[object, None, R]) -> R:
    """The result of a coroutine that does not wait; the embedded broker describes itself without waiting."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: R = stop.value
        return result
    coroutine.close()
    raise RuntimeError("the broker has waited")


def _fact(event: E, batch: Batch, index: int) -> Fact[E]:
    headers = batch.headers(index)
    offset = batch.offsets[index]
    event_id = identity(headers.get(CE_ID), batch.topic, batch.partition, offset)
    return Fact(
        event, event_id, batch.keys[index], batch.topic, batch.partition, offset, batch.timestamps[index], headers
    )
