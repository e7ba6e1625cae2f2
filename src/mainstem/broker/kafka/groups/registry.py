"""The record of each group.

Kafka has no place for what a group was made for (service, tasks, partition counts), so that is kept in a compacted
topic, and written under a transactional id of the group, so that two first joins cannot both write.
"""

import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from msgspec import Struct
from msgspec.structs import asdict

from mainstem.broker import GroupSpec, Log, Record, read
from mainstem.broker.kafka.groups.own_topics import REGISTRY
from mainstem.broker.kafka.options import ClientSettings
from mainstem.broker.kafka.producers import Shipment, TransactionalProducer, fencing
from mainstem.broker.kafka.topics import Topics
from mainstem.errors import StoreRefused


class Registered(Struct, frozen=True):
    """What a group was made for."""

    service: str
    tasks: int
    inputs: Mapping[str, int]
    ending: bool = False
    """It is being deleted, or its deletion was cut off."""


class Registry:
    """Reads and writes what groups were made for."""

    def __init__(self, settings: ClientSettings, topics: Topics, log: Log) -> None:
        self._settings = settings
        self._topics = topics
        self._log = log

    async def registered(self) -> dict[str, Registered]:
        """All groups that have been made and not deleted."""
        bounds = (await self._topics.bounds([REGISTRY])).get(REGISTRY)
        found: dict[str, Registered] = {}
        if bounds is None:
            return found
        start, end = bounds
        async for batch in read(self._log, {REGISTRY: start}, {REGISTRY: end}):
            for key, value in zip(batch.keys, batch.values, strict=True):
                name = (key or b"").decode()
                if value is None:
                    found.pop(name, None)
                else:
                    found[name] = Registered(**json.loads(value))
        return found

    async def register(self, spec: GroupSpec) -> None:
        """Record a group, or further inputs of one. Refused where it was made for something else."""
        async with self._writing(spec.name) as producer:
            # Whoever was here at the same time is fenced by now, or has written already.
            before = (await self.registered()).get(spec.name)
            if before is not None:
                compare(spec, before)
            inputs = {**(before.inputs if before is not None else {}), **spec.inputs}
            value = json.dumps({"service": spec.service, "tasks": spec.tasks, "inputs": inputs}).encode()
            await self._write(producer, spec.name, value)

    async def end(self, group: str, *, ending: bool) -> None:
        """Record that a group is being deleted, or that it is not: nobody joins it meanwhile."""
        async with self._writing(group) as producer:
            before = (await self.registered())[group]
            await self._write(producer, group, json.dumps({**asdict(before), "ending": ending}).encode())

    async def forget(self, group: str) -> None:
        """Strike out a group that is being deleted."""
        async with self._writing(group) as producer:
            await self._write(producer, group, None)

    def _writing(self, group: str) -> AbstractAsyncContextManager[TransactionalProducer]:
        return fencing(self._topics.calls, self._settings, f"{REGISTRY.topic}.{group}")

    async def _write(self, producer: TransactionalProducer, group: str, value: bytes | None) -> None:
        known = await self._topics.known(REGISTRY)
        shipment = Shipment([(REGISTRY, [Record(group.encode(), value, 0)], known.record_bytes_max)], ())
        await self._topics.calls.run(lambda: producer.send(shipment), producer.name)


def compare(spec: GroupSpec, registered: Registered) -> None:
    """Refuse to join a group as something else than it was made for."""
    if registered.ending:
        raise incomplete(spec.name, "it is being deleted, or its deletion was cut off")
    if registered.service != spec.service:
        raise StoreRefused(
            f"The group {spec.name!r} and its stores belong to the service {registered.service!r}",
            where=f"service {spec.service}",
            why="two services would write each other's memory",
            remedy="give the group another name, or delete the old one with: mainstem groups delete " + spec.name,
        )
    if registered.tasks != spec.tasks:
        raise StoreRefused(
            f"The group {spec.name!r} has {registered.tasks} tasks, and would now have {spec.tasks}",
            why="stores and completed sets belong to the tasks that they were created for",
            remedy=f"keep tasks={registered.tasks}; or give the group another name, and delete this one with its "
            f"memory: mainstem groups delete {spec.name}",
        )
    for topic, partitions in spec.inputs.items():
        if registered.inputs.get(topic, partitions) != partitions:
            raise refused_count(spec, topic, registered.inputs[topic], partitions)


def incomplete(group: str, why: str) -> StoreRefused:
    """A group of which something is missing."""
    return StoreRefused(
        f"The group {group!r} cannot be joined",
        why=why,
        remedy=f"delete what is left of it, so that it starts anew: mainstem groups delete {group} --yes",
    )


def refused_count(spec: GroupSpec, topic: str, recorded: int, stated: int) -> StoreRefused:
    """A topic with another number of partitions than the group was made for."""
    return StoreRefused(
        f"The group {spec.name!r} knows the topic {topic!r} with {recorded} partitions, and it would now have {stated}",
        why="with another number of partitions the keys move to other tasks, and their stores would not",
        remedy="restore the topic; or delete the group with its memory, so that it starts anew: "
        f"mainstem groups delete {spec.name}",
    )
