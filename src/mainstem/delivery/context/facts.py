"""The facts that one commit will carry, by partition and in order."""

from collections.abc import Iterable, Mapping
from typing import cast

from mainstem.broker import Record, TopicPartition
from mainstem.delivery.context.effects import Fact


class Latest(Record, frozen=True, gc=False):
    """A record that only the last one of its partition and key is to be of, among those of a handler in a commit."""

    by: str = ""
    """The name of the handler."""


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
            records[at] = [each for each in records[at] if each is not None]
        return cast("Mapping[TopicPartition, list[Record]]", records)
