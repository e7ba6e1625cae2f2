"""What goes wrong between a service and its cluster is told at once, with the topic's name and what to do."""

import asyncio
import socket
import time
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from mainstem import Context, IntegrationEvent, Service
from mainstem.errors import MainstemError, RecordTooLarge, StartRefused, StoreRefused, UnknownTopic
from mainstem.service import running
from mainstem.settings import Settings
from tests.crash.crew import wait_until
from tests.journeys.conditions import until

ALONE = Settings(pinned_tasks="0", commit_interval_ms=5)
Make = Callable[[str], IntegrationEvent]


class Told(list[str]):
    """What was handled."""


def echo(name: str, told: Told) -> tuple[Service, Make]:
    """A service that reads its own topic, of one partition."""

    class Sent(IntegrationEvent, topic=f"{name}-sent", key="key", name="Sent"):
        key: str

    class Echoed(IntegrationEvent, topic=f"{name}-echoed", key="key", name="Echoed"):
        key: str

    service = Service(name, publishes=(Sent,))
    service.topic(f"{name}-sent", partitions=1)
    service.topic(f"{name}-echoed", partitions=1)

    @service.on(Sent)
    def hear(sent: Sent, _: Context) -> Echoed:
        told.append(sent.key)
        return Echoed(sent.key)

    return service, Sent


def url(kafka: str, name: str, options: str = "") -> str:
    """The broker's URL, with a folder that nobody else uses."""
    return f"kafka://{kafka}?state_folder=/tmp/mainstem-test-copies/{name}{options}"


def require(error: MainstemError, *words: str) -> None:
    """The whole message says all of this."""
    missing = [word for word in words if word not in str(error)]
    assert missing == [], str(error)


async def test_a_cluster_that_cannot_be_reached() -> None:
    """The start is refused within the time that an answer has, and says where it looked."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        service, _ = echo("unreached", Told())
        began = time.monotonic()
        with pytest.raises(StartRefused) as refused:
            async with running(service, broker=f"kafka://{address}?answer_seconds=2", dev=True, settings=ALONE):
                pass
    assert time.monotonic() - began < 6
    require(refused.value, "The cluster does not answer", address, "look whether the brokers run")


async def test_a_topic_is_missing_at_the_start(kafka: str, unique: Callable[[str], str]) -> None:
    """Without --dev nothing is created; all that is missing is named at once."""
    name = unique("missing")
    service, _ = echo(name, Told())
    with pytest.raises(StartRefused) as refused:
        async with running(service, broker=url(kafka, name), settings=ALONE):
            pass
    require(refused.value, f"{name}-sent", f"{name}-echoed", "topics apply")


async def read_while(kafka: str, name: str, told: Told, happens: Callable[[str], object]) -> MainstemError:
    """Run a service, let something happen to the topic that it reads, and return what the service ends with."""
    service, sent = echo(name, told)
    broker = url(kafka, name, "&watch_seconds=0.3")
    try:
        async with asyncio.timeout(40), running(service, broker=broker, dev=True, settings=ALONE):
            await service.publish(sent("a"))
            await until(lambda: told == ["a"])
            happens(f"{name}-sent")
            await asyncio.Event().wait()
    except MainstemError as error:
        return error
    raise AssertionError("it has not ended")


async def test_a_topic_is_deleted_while_it_is_read(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]
) -> None:
    """The client would wait for ever; the service ends, and says which topic it was."""
    name = unique("deleted")
    error = await read_while(kafka, name, Told(), lambda topic: kafka_admin.delete_topics([topic])[topic].result())
    assert isinstance(error, UnknownTopic)
    require(error, f"{name}-sent", "topics apply")


async def test_a_topic_is_made_anew_while_it_is_read(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]
) -> None:
    """The positions belong to the topic that is gone: nothing of the other one is read at them."""
    name, told = unique("anew"), Told()

    def make_anew(topic: str) -> None:
        kafka_admin.delete_topics([topic])[topic].result()
        wait_until(lambda: topic not in kafka_admin.list_topics(timeout=20).topics, "the topic to be gone")
        kafka_admin.create_topics([NewTopic(topic, 1)])[topic].result()

    require(await read_while(kafka, name, told, make_anew), f"{name}-sent")
    assert told == ["a"]


async def test_partitions_are_added_while_a_topic_is_read(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]
) -> None:
    """Keys move to partitions that nobody reads: the service ends, and does not start again either."""
    name, told = unique("grown"), Told()

    def grow(topic: str) -> None:
        kafka_admin.create_partitions([NewPartitions(topic, 3)])[topic].result()

    error = await read_while(kafka, name, told, grow)
    assert isinstance(error, StoreRefused)
    require(error, f"{name}-sent", "1", "3", "mainstem groups delete")
    service, _ = echo(name, told)
    with pytest.raises(MainstemError) as refused:
        async with running(service, broker=url(kafka, name), settings=ALONE):
            pass
    require(refused.value, f"{name}-sent", "1", "3")


async def test_an_event_is_too_large(kafka: str, unique: Callable[[str], str]) -> None:
    """It is refused before it is sent, with the name of its topic; the service goes on."""
    name, told = unique("large"), Told()
    service, sent = echo(name, told)
    async with running(service, broker=url(kafka, name), dev=True, settings=ALONE):
        with pytest.raises(RecordTooLarge) as refused:
            await service.publish(sent("x" * 2_000_000))
        require(refused.value, f"{name}-sent")
        await service.publish(sent("a"))
        await until(lambda: told == ["a"])


async def test_the_cluster_takes_less_than_the_service_believes(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]
) -> None:
    """A limit that was lowered behind its back is found when the cluster refuses, and the topic is named."""
    name, told = unique("lowered"), Told()
    topic = f"{name}-sent"
    service, sent = echo(name, told)
    async with running(service, broker=url(kafka, name, "&compression=none"), dev=True, settings=ALONE):
        await service.publish(sent("a"))
        entry = ConfigEntry("max.message.bytes", "50000", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        kafka_admin.incremental_alter_configs([resource])[resource].result()
        with pytest.raises(RecordTooLarge) as refused:
            await service.publish(sent("x" * 100_000))
        require(refused.value, topic, "raise record_bytes_max")
        await service.publish(sent("b"))
        await until(lambda: told == ["a", "b"])


async def test_a_topic_is_made_anew_while_nobody_reads_it(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]
) -> None:
    """A group that begins at the latest event has read a topic of that name: it begins at the new one's first event."""
    name, told = unique("latest"), Told()
    topic = f"{name}-sent"

    class Sent(IntegrationEvent, topic=topic, key="key", name="Sent"):
        key: str

    service = Service(name, start="latest", publishes=(Sent,))
    service.topic(topic, partitions=1)

    @service.on(Sent)
    def hear(sent: Sent) -> None:
        told.append(sent.key)

    async def publish(key: str) -> None:
        async with running(service, broker=url(kafka, name), dev=True, settings=ALONE, consume=False):
            await service.publish(Sent(key))

    await publish("before anybody read")
    async with running(service, broker=url(kafka, name), dev=True, settings=ALONE):
        await service.publish(Sent("a"))
        await until(lambda: told == ["a"])
    kafka_admin.delete_topics([topic])[topic].result()
    wait_until(lambda: topic not in kafka_admin.list_topics(timeout=20).topics, "the topic to be gone")
    await publish("b")
    async with running(service, broker=url(kafka, name), dev=True, settings=ALONE):
        await until(lambda: told == ["a", "b"])
