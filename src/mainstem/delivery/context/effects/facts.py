"""The facts that one commit will carry, by partition and in order."""

from collections.abc import Iterable, Mapping
from typing import cast

from msgspec import Struct

from mainstem.broker import Batch, Headers, Record, TopicPartition
from mainstem.delivery.context.effects.effects import Fact
from mainstem.delivery.context.reading import inherited_from
from mainstem.events import CE_CAUSATIONID, own_headers
from mainstem.identifiers import Derivation


class Origin(Struct, frozen=True, gc=False):
    """Where an event comes from: a record, and its place among what a handler publishes for that one.

    ``lineage`` None is that of the record; ``stated`` is what is said about the event beside it.
    """

    derivation: Derivation
    batch: Batch
    index: int
    number: int
    lineage: Headers | None
    stated: Headers | None

    def told(self) -> tuple[bytes, Headers]:
        """The id of the event, and what it inherits."""
        inherited = self.lineage or inherited_from(self.batch, self.index)
        event_id = self.derivation.nth(inherited[CE_CAUSATIONID], self.number)
        return event_id, inherited if self.stated is None else {**inherited, **self.stated}


class Latest(Record, frozen=True, gc=False):
    """A record that is published if it is the last one of its partition and key in a commit, of those of its handler.

    Most are not. So until then it has no headers of its own, unless it has no ``origin`` either.
    """

    by: str = ""
    """The name of the handler."""
    origin: Origin | None = None

    def finished(self) -> Record:
        """The record, with its headers."""
        if self.origin is None or not self.common:
            return self
        return Record(self.key, self.value, self.timestamp_ms, self.common, own_headers(*self.origin.told()))


class Facts:
    """Takes facts until they are cut out for a commit."""

    __slots__ = ("_latest", "_records")

    def __init__(self) -> None:
        """None yet."""
        self._records: dict[TopicPartition, list[Record | None]] = {}
        # Where the latest of each handler and key stands. What it has replaced leaves a gap until the cut: the last one
        # stands behind whatever else its handler has published meanwhile, as it would without the one before it.
        self._latest: dict[TopicPartition, dict[tuple[str, bytes | None], int]] = {}

    def add(self, facts: Iterable[Fact]) -> None:
        """Take these in, behind what is there."""
        all_records = self._records
        for at, record in facts:
            try:
                records = all_records[at]
            except KeyError:
                records = all_records[at] = []
            if type(record) is Latest:
                places = self._latest.setdefault(at, {})
                name = record.by, record.key
                before = places.get(name)
                if before is not None:
                    records[before] = None
                places[name] = len(records)
            records.append(record)

    def cut(self) -> Mapping[TopicPartition, list[Record]]:
        """All of them; the next ones begin anew."""
        records, latest = self._records, self._latest
        self._records, self._latest = {}, {}
        for at in latest:
            records[at] = [
                each.finished() if type(each) is Latest else each for each in records[at] if each is not None
            ]
        return cast("Mapping[TopicPartition, list[Record]]", records)
