"""The consumer groups of a cluster that are none of Mainstem's: what they have committed of some topics, or read now.

A cluster may have thousands, and each has to be asked by itself. So a few are asked at a time, those first that have
members; and where the time is over, the answer says how many have not been asked.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import (
    AclOperation,
    ConsumerGroupDescription,
    DescribeClusterResult,
    ListConsumerGroupsResult,
)

from mainstem.broker import ForeignGroup, ForeignGroups, TopicPartition
from mainstem.broker.kafka.calls import UNKNOWN_TOPIC, translated
from mainstem.broker.kafka.groups import Groups
from mainstem.errors import BrokerError

ABREAST: Final = 6
"""So many are asked at a time: each takes a client and a thread, of which a process has a few more."""
SECONDS_MOST: Final = 30.0

_LISTING: Final = "the list of consumer groups"
_HIDDEN: Final = "only consumer groups that this user may describe can be seen; with DESCRIBE on the cluster it is all"


async def foreign_groups(groups: Groups, topics: Iterable[str], seconds: float = SECONDS_MOST) -> ForeignGroups:
    """The groups that are none of ours, and have committed something of these topics or read them now.

    What is refused, and what has not answered in time, is said in the answer: the rest of it is worth having.
    """
    sweep = _Sweep(groups)
    try:
        async with asyncio.timeout(seconds):
            await sweep.ask(topics)
    except TimeoutError:
        which = "consumer groups" if sweep.left is None else _counted(len(sweep.left))
        sweep.unasked.append(f"{which} had not been asked when {seconds:g} s were over")
    except BrokerError as error:
        sweep.unasked.append(f"consumer groups could not be asked for: {error.what}, {error.why}")
    refused = [f"{_counted(count)} could not be asked: {what}" for what, count in sweep.refused.items()]
    found = sorted(sweep.found, key=lambda each: each.name)
    return ForeignGroups(tuple(found), (*sweep.unasked, *refused))


class _Sweep:
    """Asks the groups of a cluster, one after the other."""

    def __init__(self, groups: Groups) -> None:
        self.found: list[ForeignGroup] = []
        self.left: set[str] | None = None
        self.refused: Counter[str] = Counter()
        self.unasked: list[str] = []
        self._groups = groups

    async def ask(self, topics: Iterable[str]) -> None:
        """Ask all of them."""
        described = await self._groups.topics.describe(topics)
        of = [
            TopicPartition(name, number) for name, (spec, _) in described.items() for number in range(spec.partitions)
        ]
        if not of:
            return
        names = await self._listed()
        left = self.left = set(names)
        coming = iter(names)
        await asyncio.gather(*(self._ask_each(coming, of, left) for _ in range(ABREAST)))

    async def _listed(self) -> list[str]:
        """The names of those that are not ours; those that have members come first."""
        ask = self._groups.coordinators.ask
        cluster: DescribeClusterResult = await ask(
            lambda client, seconds: client.describe_cluster(
                include_authorized_operations=True, request_timeout=seconds
            ),
            _LISTING,
        )
        # A cluster says nothing of its rights to who has none to describe it.
        if AclOperation.DESCRIBE not in (cluster.authorized_operations or ()):
            self.unasked.append(_HIDDEN)
        listed: ListConsumerGroupsResult = await ask(
            lambda client, seconds: client.list_consumer_groups(request_timeout=seconds), _LISTING
        )
        self.unasked += [f"a node has not told of its consumer groups: {error}" for error in listed.errors or ()]
        ours = await self._groups.registry.registered()
        theirs = [
            each for each in listed.valid or () if each.group_id not in ours and each.state != ConsumerGroupState.DEAD
        ]
        theirs.sort(key=lambda each: (each.state == ConsumerGroupState.EMPTY, each.group_id))
        return [each.group_id for each in theirs]

    async def _ask_each(self, names: Iterator[str], of: Collection[TopicPartition], left: set[str]) -> None:
        for name in names:
            try:
                group = await self._asked(name, of)
            except BrokerError as error:
                if "GROUP_ID_NOT_FOUND" not in error.why:  # it has gone meanwhile
                    self.refused[error.what] += 1
            else:
                if group.topics:
                    self.found.append(group)
            left.discard(name)

    async def _asked(self, name: str, of: Collection[TopicPartition]) -> ForeignGroup:
        # First, because who may not look at a group would wait for its positions, and never hear why.
        described: ConsumerGroupDescription = await self._groups.coordinators.ask(
            lambda client, seconds: client.describe_consumer_groups([name], request_timeout=seconds)[name],
            f"group {name}",
        )
        positions: dict[TopicPartition, int] = {}
        for at in await self._groups.committed.read(name, list(of), stable=False):
            if at.error and at.error.code() not in UNKNOWN_TOPIC:
                raise translated(at.error, f"group {name}")
            if at.offset >= 0:
                positions[TopicPartition(at.topic, at.partition)] = at.offset
        asked = {at.topic for at in of}
        assigned = {at.topic for each in described.members for at in each.assignment.topic_partitions}
        return ForeignGroup(
            name,
            tuple(sorted(each.member_id for each in described.members)),
            frozenset((assigned & asked) | {at.topic for at in positions}),
            positions,
        )


def _counted(count: int) -> str:
    return f"{count} consumer group{'' if count == 1 else 's'}"
