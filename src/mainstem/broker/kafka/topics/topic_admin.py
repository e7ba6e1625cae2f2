"""The verbs that change topics, or describe them."""

from collections.abc import Iterable, Mapping

from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewTopic, ResourceType

from mainstem.broker import TopicDescription, TopicPartition, TopicSpec
from mainstem.broker.kafka.calls import answered, unknown_topic
from mainstem.broker.kafka.topics.topics import Topics
from mainstem.errors import TopicExists


class TopicAdmin:
    """The verbs of topics."""

    def __init__(self, topics: Topics) -> None:
        """Through the same client."""
        self._topics = topics

    async def create(self, spec: TopicSpec) -> None:
        """Create a topic; one that exists with the same specification is left alone, another is refused."""
        topics = self._topics
        replication = topics.options.replication
        new = NewTopic(
            spec.name, spec.partitions, -1 if replication is None else replication, config=topics.config(spec)
        )

        async def created() -> bool:
            try:
                client = topics.client
                asked = client.create_topics([new], request_timeout=topics.options.answer_seconds)
                await answered(asked[spec.name], spec.name)
            except TopicExists:
                existing = (await topics.describe([spec.name])).get(spec.name)
                if existing is None:
                    return False  # it is being deleted
                if existing[0] != spec:
                    raise _differs(spec, existing[0]) from None
            return True

        await topics.until(created, f"the topic {spec.name!r} to be created")
        topics.forget(spec.name)
        await topics.until(lambda: topics.has(spec.name), f"the topic {spec.name!r} to be known")

    async def alter(self, spec: TopicSpec) -> None:
        """Change retention, compaction or limits; the number of partitions never changes."""
        existing = (await self._topics.describe([spec.name])).get(spec.name)
        if existing is None:
            raise unknown_topic(spec.name)
        if existing[0].partitions != spec.partitions:
            raise TopicExists(
                f"The topic {spec.name!r} has {existing[0].partitions} partitions, and keeps them",
                why="with another number, keys would move to other partitions and lose their order",
                remedy="create another topic and move the events there",
            )
        await set_config(self._topics, ResourceType.TOPIC, spec.name, self._topics.config(spec))
        self._topics.forget(spec.name)

    async def delete(self, topic: str) -> None:
        """Delete a topic and its records."""
        self._topics.forget(topic)
        client = self._topics.client
        deleted = client.delete_topics([topic], request_timeout=self._topics.options.answer_seconds)
        await answered(deleted[topic], topic)

        async def gone() -> bool:
            return topic not in await self._topics.describe([topic])

        await self._topics.until(gone, f"the topic {topic!r} to be gone")

    async def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicDescription]:
        """Describe these topics, or all."""
        described = await self._topics.describe(await self._topics.names() if names is None else set(names))
        partitions = [
            TopicPartition(name, number) for name, (spec, _) in described.items() for number in range(spec.partitions)
        ]
        bounds = await self._topics.bounds(partitions) if partitions else {}
        found: dict[str, TopicDescription] = {}
        for name, (spec, topic_id) in described.items():
            own = [bounds.get(TopicPartition(name, number)) for number in range(spec.partitions)]
            there = [each for each in own if each is not None]
            if len(there) == spec.partitions:  # it may have been deleted in between
                starts, ends = zip(*there, strict=True)
                found[name] = TopicDescription(spec, topic_id, starts, ends)
        return found


async def set_config(topics: Topics, kind: ResourceType, name: str, config: Mapping[str, str]) -> None:
    """Set some settings of a topic or a group, and leave the others alone."""
    entries = [
        ConfigEntry(key, value, source=ConfigSource.DYNAMIC_TOPIC_CONFIG, incremental_operation=AlterConfigOpType.SET)
        for key, value in config.items()
    ]
    resource = ConfigResource(kind, name, incremental_configs=entries)
    client = topics.client
    altered = client.incremental_alter_configs([resource], request_timeout=topics.options.answer_seconds)
    await answered(altered[resource], name)


def _differs(spec: TopicSpec, existing: TopicSpec) -> TopicExists:
    return TopicExists(
        f"The topic {spec.name!r} exists with other properties",
        where=str(existing),
        why=f"it would now be created as {spec}",
        remedy="mainstem topics plan shows the difference; all but the number of partitions can be altered",
    )
