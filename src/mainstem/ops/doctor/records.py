"""The last events of each topic: types that nobody handles, and keys in partitions where nobody looks for them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from difflib import get_close_matches
from typing import Final

from mainstem.broker import Broker, TopicDescription, read
from mainstem.delivery import in_binary_mode
from mainstem.events import CE_TYPE, partition_for
from mainstem.ops.doctor.findings import Finding
from mainstem.ops.screen import plural
from mainstem.service import CatalogueEntry

SAMPLE: Final = 200
"""So many of the last records of each partition are looked at."""
HOT_PERCENT: Final = 20
LEAST_KEYED: Final = 64
"""Of fewer records with a key nothing can be said."""


class Sample:
    """What the last records of a topic are."""

    def __init__(self, topic: TopicDescription) -> None:
        self._topic = topic
        self.records = 0
        self.keyed = 0
        self.misplaced = 0
        self.keys: Counter[bytes] = Counter()
        self.types: Counter[str] = Counter()

    async def take(self, broker: Broker) -> None:
        """Read them."""
        bounds = self._topic.bounds
        starts = {at: max(start, end - SAMPLE) for at, (start, end) in bounds.items()}
        batches = read(broker.log, starts, {at: end for at, (_, end) in bounds.items()})
        async with aclosing(batches):
            async for batch in batches:
                plain = in_binary_mode(batch)
                partitions = self._topic.spec.partitions
                keys = [key for key in plain.keys if key is not None]
                self.records += len(plain)
                self.keyed += len(keys)
                self.keys.update(keys)
                self.misplaced += sum(partition_for(key, partitions) != batch.partition for key in keys)
                found = (plain.header(CE_TYPE, index) for index in range(len(plain)))
                self.types.update(name.decode(errors="replace") for name in found if name is not None)

    def findings(self, wanted: Iterable[str]) -> list[Finding]:
        """What is wrong, where ``wanted`` are the types that some group handles."""
        where = f"topic {self._topic.spec.name!r}"
        found = []
        if self.misplaced:
            said = f"{self.misplaced} of the last {plural(self.keyed, 'record')} with a key are in another partition"
            remedy = (
                "somebody writes with another partitioner than murmur2 of the key, as Java has it: its events meet "
                "another memory, and lose their order; for librdkafka set partitioner=murmur2_random"
            )
            found.append(Finding("foreign-partitioner", True, where, f"{said} than their key says", remedy))
        found += self._hot_key(where)
        names = sorted(wanted)
        for name, count in sorted(self.types.items()):
            if name not in names:
                near = get_close_matches(name, names, n=1)
                said = f"nobody handles {name}: {count} of the last {plural(self.records, 'record')}"
                remedy = f"did you mean {near[0]}? " if near else ""
                remedy += 'subscribe to it, say was=("...",) where it was renamed, or stop publishing it'
                found.append(Finding("unhandled-type", False, where, said, remedy))
        return found

    def _hot_key(self, where: str) -> Iterator[Finding]:
        """A key that has a large share of what was published last."""
        key, count = next(iter(self.keys.most_common(1)), (b"", 0))
        if self.keyed >= LEAST_KEYED and count * 100 >= self.keyed * HOT_PERCENT:
            share = f"{count * 100 // self.keyed} %"
            said = f"{key.decode(errors='replace')!r} is the key of {share} of the last {plural(self.keyed, 'record')}"
            remedy = (
                "its events take turns in one lane of one task: let the key be narrower, or its handler quicker; "
                "health() says how many of them wait"
            )
            yield Finding("hot-key", False, where, said, remedy)


def wanted_types(catalogue: Sequence[CatalogueEntry]) -> Mapping[str, set[str]]:
    """The types that some group handles, by topic, as the groups have said when they were started."""
    wanted: dict[str, set[str]] = {}
    for entry in catalogue:
        for subscription in entry.subscriptions:
            for event in subscription.wants:
                wanted.setdefault(event.topic, set()).add(event.name)
    return wanted
