"""Groups as they are: the record of each, its positions and epochs, who is in it; and the verbs that change it.

Kafka has no place for what a group was made for (service, tasks, partition counts), so that is kept in a compacted
topic, and written under a transactional id of the group, so that two first joins cannot both write.
"""

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka import TopicPartition as At
from confluent_kafka.admin import ConfigResource, ConsumerGroupDescription, ResourceType
from msgspec import Struct
from msgspec.structs import asdict

from mainstem.broker import (
    GroupSpec,
    Log,
    Record,
    TopicPartition,
    TopicSpec,
    inbox_of,
    largest_record,
    read,
)
from mainstem.broker.kafka.calls import Coordinators, answered
from mainstem.broker.kafka.copies import Seat, folder_of
from mainstem.broker.kafka.options import ClientSettings
from mainstem.broker.kafka.tasks.own_topics import REGISTRY, own_topics
from mainstem.broker.kafka.tasks.owner import BY_MEMBER
from mainstem.broker.kafka.tasks.producer import Shipment, TransactionalProducer
from mainstem.broker.kafka.topics import TopicAdmin, Topics, set_config
from mainstem.errors import (
    BrokerError,
    CommitRefused,
    CommitUnknown,
    Fenced,
    StoreRefused,
    TopicExists,
)

ENTRIES_MOST: Final = 10
RETRY_SECONDS: Final = 0.1


class Registered(Struct, frozen=True):
    """What a group was made for."""

    service: str
    tasks: int
    inputs: Mapping[str, int]
    ending: bool = False
    """It is being deleted, or its deletion was cut off."""


class Positions(Struct, frozen=True):
    """The committed positions of a group, the epoch of each task's owner, and the tasks that a member committed last.

    The others were committed by a producer of their own.
    """

    offsets: Mapping[TopicPartition, int]
    epochs: Mapping[int, int]
    by_member: frozenset[int] = frozenset()


class Groups:
    """Reads and writes what is known of groups."""

    def __init__(self, settings: ClientSettings, topics: Topics, admin: TopicAdmin, log: Log) -> None:
        self.settings = settings
        self.topics = topics
        self._admin = admin
        self.log = log
        self.coordinators = Coordinators(settings.admin(), settings.options.answer_seconds, topics.calls)

    async def registered(self) -> dict[str, Registered]:
        """All groups that have been made and not deleted."""
        bounds = (await self.topics.bounds([REGISTRY])).get(REGISTRY)
        found: dict[str, Registered] = {}
        if bounds is None:
            return found
        start, end = bounds
        async for batch in read(self.log, {REGISTRY: start}, {REGISTRY: end}):
            for key, value in zip(batch.keys, batch.values, strict=True):
                name = (key or b"").decode()
                if value is None:
                    found.pop(name, None)
                else:
                    found[name] = Registered(**json.loads(value))
        return found

    async def enter(self, spec: GroupSpec) -> None:
        """Create the group, its inbox and its changelog; or compare them with what is recorded."""
        there = await self._compare_topics(spec)
        attempt = 0
        while True:
            try:
                await self._enter(spec, there)
                return
            except (Fenced, CommitRefused, CommitUnknown):
                # Somebody else makes the same group just now: what is recorded then is compared.
                attempt += 1
                if attempt == ENTRIES_MOST:
                    raise
            await asyncio.sleep(attempt * RETRY_SECONDS)

    async def _enter(self, spec: GroupSpec, before_us: Collection[str]) -> None:
        before = (await self.registered()).get(spec.name)
        if before is not None:
            compare(spec, before)
            # Somebody may have made it, and recorded the group, since it was looked at.
            if spec.inbox not in before_us and not await self.topics.describe([spec.inbox]):
                raise _incomplete(spec.name, f"its topic {spec.inbox!r} is gone")
            if not spec.inputs.keys() - before.inputs.keys():
                return
        inputs = [known for known, _ in (await self.topics.describe(spec.inputs)).values()]
        needed = own_topics(spec, largest_record(spec, inputs))
        there = await self.topics.describe(own.name for own in needed)
        for own in needed:
            # What is there stays, with what somebody has altered; nor is the right to create asked for.
            if own.name not in there:
                await self._create(own)
        await self._register(spec)

    async def session_differs(self, spec: GroupSpec) -> dict[str, tuple[object, object]]:
        """What the broker keeps of the group's session, where it is not what it should be: as it is, and should be."""
        resource = ConfigResource(ResourceType.GROUP, spec.name)
        seconds = self.settings.options.answer_seconds
        asked = self.topics.client.describe_configs([resource], request_timeout=seconds)
        found = await answered(asked[resource], f"group {spec.name}")
        return {
            name.removeprefix("consumer.").replace(".", "_"): (int(found[name].value or 0), int(value))
            for name, value in _session(spec).items()
            if found[name].value != value
        }

    async def set_session(self, spec: GroupSpec) -> None:
        """With the newer protocol the session timeout is a setting of the group, on the broker."""
        await set_config(self.topics, ResourceType.GROUP, spec.name, _session(spec))
        with suppress(BrokerError):  # a broker before 4.3 does not know it, and waits a second before it assigns
            await set_config(self.topics, ResourceType.GROUP, spec.name, {"consumer.assignment.interval.ms": "0"})

    async def _create(self, spec: TopicSpec) -> None:
        with suppress(TopicExists):  # somebody else was quicker
            await self._admin.create(spec)

    async def end(self, group: str, *, ending: bool) -> None:
        """Record that a group is being deleted, or that it is not: nobody joins it meanwhile."""
        name = f"{REGISTRY.topic}.{group}"
        producer = await self.topics.calls.run(lambda: TransactionalProducer(self.settings, name), name)
        try:
            before = (await self.registered())[group]
            await self._write(producer, group, json.dumps({**asdict(before), "ending": ending}).encode())
        finally:
            await self.topics.calls.run(producer.close, name)

    async def _register(self, spec: GroupSpec) -> None:
        calls = self.topics.calls
        name = f"{REGISTRY.topic}.{spec.name}"
        producer = await calls.run(lambda: TransactionalProducer(self.settings, name), name)
        try:
            # Whoever was here at the same time is fenced by now, or has written already.
            before = (await self.registered()).get(spec.name)
            if before is not None:
                compare(spec, before)
            inputs = {**(before.inputs if before is not None else {}), **spec.inputs}
            value = json.dumps({"service": spec.service, "tasks": spec.tasks, "inputs": inputs}).encode()
            await self._write(producer, spec.name, value)
        finally:
            await calls.run(producer.close, name)

    async def _write(self, producer: TransactionalProducer, group: str, value: bytes | None) -> None:
        known = await self.topics.known(REGISTRY)
        shipment = Shipment([(REGISTRY, [Record(group.encode(), value, 0)], known.record_bytes_max)], ())
        await self.topics.calls.run(lambda: producer.send(shipment), producer.name)

    async def forget(self, group: str) -> None:
        """Strike out a group that is being deleted."""
        name = f"{REGISTRY.topic}.{group}"
        producer = await self.topics.calls.run(lambda: TransactionalProducer(self.settings, name), name)
        try:
            await self._write(producer, group, None)
        finally:
            await self.topics.calls.run(producer.close, name)

    async def positions(self, group: str, *, stable: bool = True) -> Positions:
        """What is committed. ``stable`` waits for a transaction that is just being ended, because it may move them."""
        found = Positions({}, {})

        async def read() -> bool:
            nonlocal found
            answer = await self.coordinators.ask(
                lambda client: client.list_consumer_group_offsets(
                    [ConsumerGroupTopicPartitions(group)],
                    require_stable=stable,
                    request_timeout=self.settings.options.answer_seconds,
                )[group],
                f"group {group}",
            )
            committed = answer.topic_partitions or ()
            found = _positions(committed, inbox_of(group))
            return not any(at.error for at in committed)

        await self.topics.until(read, f"the positions of the group {group!r} to be stable")
        return found

    async def members(self, group: str) -> dict[str, frozenset[int]]:
        """The tasks that are assigned to each member now."""
        return {seat.member: seat.tasks for seat in await self.seats(group)}

    async def seats(self, group: str) -> list[Seat]:
        """Who is in it now."""
        seconds = self.settings.options.answer_seconds
        try:
            described: ConsumerGroupDescription = await self.coordinators.ask(
                lambda client: client.describe_consumer_groups([group], request_timeout=seconds)[group],
                f"group {group}",
            )
        except BrokerError as error:
            if "GROUP_ID_NOT_FOUND" in error.why:
                return []
            raise
        inbox = inbox_of(group)
        return [
            Seat(
                member.member_id,
                folder_of(member.client_id),
                frozenset(at.partition for at in member.assignment.topic_partitions if at.topic == inbox),
            )
            for member in described.members
        ]

    async def _compare_topics(self, spec: GroupSpec) -> Collection[str]:
        wanted = {**spec.inputs, spec.inbox: spec.tasks}
        found = await self.topics.describe(wanted)
        for name, (topic, _) in found.items():
            if topic.partitions != wanted[name]:
                raise _refused_count(spec, name, topic.partitions, wanted[name])
        return found.keys()


def _session(spec: GroupSpec) -> dict[str, str]:
    session = round(spec.session_timeout_seconds * 1_000)
    heartbeat = max(1, session // 6)
    return {"consumer.session.timeout.ms": str(session), "consumer.heartbeat.interval.ms": str(heartbeat)}


def _positions(committed: Iterable[At], inbox: str) -> Positions:
    offsets = {TopicPartition(at.topic, at.partition): at.offset for at in committed if at.offset >= 0}
    marked = {at.partition: at.metadata.split() for at in committed if at.topic == inbox and at.metadata}
    by_member = frozenset(task for task, words in marked.items() if BY_MEMBER in words)
    return Positions(offsets, {task: int(words[0]) for task, words in marked.items()}, by_member)


def transactional_id(group: str, task: int) -> str:
    """Whoever initialises a producer with this id owns the task."""
    return f"{group}.{task}"


def compare(spec: GroupSpec, registered: Registered) -> None:
    """Refuse to join a group as something else than it was made for."""
    if registered.ending:
        raise _incomplete(spec.name, "it is being deleted, or its deletion was cut off")
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
            raise _refused_count(spec, topic, registered.inputs[topic], partitions)


def _incomplete(group: str, why: str) -> StoreRefused:
    return StoreRefused(
        f"The group {group!r} cannot be joined",
        why=why,
        remedy=f"delete what is left of it, so that it starts anew: mainstem groups delete {group} --yes",
    )


def _refused_count(spec: GroupSpec, topic: str, recorded: int, stated: int) -> StoreRefused:
    return StoreRefused(
        f"The group {spec.name!r} knows the topic {topic!r} with {recorded} partitions, and it would now have {stated}",
        why="with another number of partitions the keys move to other tasks, and their stores would not",
        remedy="restore the topic; or delete the group with its memory, so that it starts anew: "
        f"mainstem groups delete {spec.name}",
    )
