"""Groups as they are: their topics, settings, positions and epochs, and who is in them."""

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Final

from confluent_kafka.admin import ConfigResource, ConsumerGroupDescription, ResourceType

from mainstem.broker import GroupSpec, Log, TopicPartition, TopicSpec, inbox_of, largest_record
from mainstem.broker.kafka.calls import Coordinators, answered
from mainstem.broker.kafka.copies import Seat, folder_of
from mainstem.broker.kafka.groups.committed import Committed
from mainstem.broker.kafka.groups.own_topics import own_topics
from mainstem.broker.kafka.groups.registry import Registry, compare, incomplete, refused_count
from mainstem.broker.kafka.options import ClientSettings
from mainstem.broker.kafka.tasks import Positions, positions_of
from mainstem.broker.kafka.topics import TopicAdmin, Topics, set_config
from mainstem.errors import BrokerError, CommitRefused, CommitUnknown, Fenced, TopicExists

ENTRIES_MOST: Final = 10
RETRY_SECONDS: Final = 0.1


class Groups:
    """Reads and writes what is known of groups."""

    def __init__(self, settings: ClientSettings, topics: Topics, admin: TopicAdmin, log: Log) -> None:
        self.settings = settings
        self.topics = topics
        self._admin = admin
        self.log = log
        self.registry = Registry(settings, topics, log)
        self.coordinators = Coordinators(settings.admin(), settings.options.answer_seconds, topics.calls)
        self.committed = Committed(settings, topics.calls)
        self._allowed: set[str] = set()

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
        before = (await self.registry.registered()).get(spec.name)
        if before is not None:
            compare(spec, before)
            # Somebody may have made it, and recorded the group, since it was looked at.
            if spec.inbox not in before_us and not await self.topics.describe([spec.inbox]):
                raise incomplete(spec.name, f"its topic {spec.inbox!r} is gone")
            if not spec.inputs.keys() - before.inputs.keys():
                return
        inputs = [known for known, _ in (await self.topics.describe(spec.inputs)).values()]
        needed = own_topics(spec, largest_record(spec, inputs))
        there = await self.topics.describe(own.name for own in needed)
        for own in needed:
            # What is there stays, with what somebody has altered; nor is the right to create asked for.
            if own.name not in there:
                await self._create(own)
        await self.registry.register(spec)

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

    async def positions(
        self, group: str, of: Collection[TopicPartition] | None = None, *, stable: bool = True
    ) -> Positions:
        """What is committed, ``of`` these inputs or of all that the group reads.

        ``stable`` waits for a transaction that is just being ended, because it may move them. In a group that runs some
        task is always about to commit, so whoever needs one task names its inputs, and does not wait for the others.
        """
        found = Positions({}, {})
        asked = await self._everything(group) if of is None else list(of)
        if not asked:
            return found
        if group not in self._allowed:
            # A consumer that may not look at a group waits for ever, and does not say so.
            await self.seats(group)
            self._allowed.add(group)

        async def read() -> bool:
            nonlocal found
            committed = await self.committed.read(group, asked, stable=stable)
            found = positions_of(committed, inbox_of(group))
            return not any(at.error for at in committed)

        await self.topics.until(read, f"the positions of the group {group!r} to be stable")
        return found

    async def _everything(self, group: str) -> list[TopicPartition]:
        """All that a group has ever read."""
        spec = (await self.registry.registered()).get(group)
        counts = {} if spec is None else {**spec.inputs, inbox_of(group): spec.tasks}
        return [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]

    async def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        """The ids of those topics that are there: asked for, because what is remembered may be of a deleted one."""
        return {name: topic_id for name, (_, topic_id) in (await self.topics.describe(names)).items()}

    async def members(self, group: str) -> dict[str, frozenset[int]]:
        """The tasks that are assigned to each member now."""
        return {seat.member: seat.tasks for seat in await self.seats(group)}

    async def seats(self, group: str) -> list[Seat]:
        """Who is in it now."""
        try:
            described: ConsumerGroupDescription = await self.coordinators.ask(
                lambda client, seconds: client.describe_consumer_groups([group], request_timeout=seconds)[group],
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
                raise refused_count(spec, name, topic.partitions, wanted[name])
        return found.keys()


def _session(spec: GroupSpec) -> dict[str, str]:
    session = round(spec.session_timeout_seconds * 1_000)
    heartbeat = max(1, session // 6)
    return {"consumer.session.timeout.ms": str(session), "consumer.heartbeat.interval.ms": str(heartbeat)}
