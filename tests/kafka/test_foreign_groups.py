"""Consumer groups that are none of Mainstem's are readers of whom nobody knows what they read."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as At

from mainstem import IntegrationEvent, Service
from mainstem.broker import ForeignGroup, TopicPartition, TopicSpec
from mainstem.broker.kafka import KafkaBroker
from mainstem.broker.kafka.foreign import foreign_groups
from mainstem.service import Consumer as OwnConsumer
from tests.kafka.clients import connected
from tests.rooms.ops.conftest import Shell

HERE = "tests.kafka.test_foreign_groups"


class Sold(IntegrationEvent, topic="foreign-groups.sales", key="order", namespace="ForeignGroups"):
    order: str


class Sent(IntegrationEvent, topic="foreign-groups.sent", key="order", namespace="ForeignGroups"):
    order: str


shop = Service("shop", publishes=(Sold, Sent))


def client(kafka: str, group: str, protocol: str = "classic") -> Consumer:
    """A consumer that is none of ours."""
    settings = {"bootstrap.servers": kafka, "group.id": group, "group.protocol": protocol}
    return Consumer({**settings, "enable.auto.commit": False})


def commit(kafka: str, group: str, topic: str, offset: int) -> None:
    """Leave a position, and go."""
    left = client(kafka, group)
    left.commit(offsets=[At(topic, 0, offset)], asynchronous=False)
    left.close()


@contextmanager
def reading(kafka: str, group: str, topic: str, protocol: str = "classic") -> Iterator[Consumer]:
    """A member that has been given partitions, and has committed nothing."""
    member = client(kafka, group, protocol)
    try:
        member.subscribe([topic])
        while not member.assignment():
            member.poll(0.1)
        yield member
    finally:
        member.close()


async def create(broker: KafkaBroker, *topics: str) -> None:
    """Two partitions each."""
    for each in topics:
        await broker.admin.create(TopicSpec(each, 2))


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
async def test_who_has_committed_and_who_reads_now_are_found(
    kafka: str, unique: Callable[[str], str], tmp_path: Path, protocol: str
) -> None:
    """By topic, with their members and positions; neither a group of another topic, nor one of ours."""
    topic, other = unique("sales"), unique("sent")
    gone, live, elsewhere = unique("gone"), unique("live"), unique("elsewhere")
    async with connected(kafka) as broker:
        await create(broker, topic, other)
        url = f"kafka://{kafka}?state_folder={tmp_path}/state"
        async with OwnConsumer(topic, group=unique("ours"), broker=url):
            await asyncio.to_thread(commit, kafka, gone, topic, 7)
            await asyncio.to_thread(commit, kafka, elsewhere, other, 7)
            with reading(kafka, live, topic, protocol):
                found = {each.name: each for each in (await broker.foreign_groups([topic, "missing"])).groups}
        assert found.keys() == {gone, live}
        assert found[gone] == ForeignGroup(gone, (), frozenset({topic}), {TopicPartition(topic, 0): 7})
        members = found[live].members
        assert (len(members), found[live]) == (1, ForeignGroup(live, members, frozenset({topic}), {}))


async def test_a_check_lists_them_as_unknown_readers(
    kafka: str, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each at the types of its topics, and the code is that of what is known."""
    gone, live, elsewhere = unique("gone"), unique("live"), unique("elsewhere")
    monkeypatch.chdir(tmp_path)
    url = f"kafka://{kafka}?state_folder={tmp_path}/state"
    shell = Shell(tmp_path, url)
    about = (f"{HERE}:shop", "--registry", "folder:schemas", "--broker", url)
    assert (await shell.beside("schema", "register", *about)).exit_code == 0
    async with connected(kafka) as broker:
        await create(broker, "foreign-groups.sales", "foreign-groups.sent")
    await asyncio.to_thread(commit, kafka, gone, "foreign-groups.sales", 0)
    await asyncio.to_thread(commit, kafka, elsewhere, "foreign-groups.sent", 0)
    with reading(kafka, live, "foreign-groups.sales"):
        told = await shell.beside("schema", "check", *about)
        listed = await shell.beside("schema", "check", *about, "--json")
    assert told.exit_code == 0, told.output
    nobody_knows = "in it now: nobody knows what it reads"
    assert f"unknown {gone}  is a consumer group that is none of Mainstem's, with nobody {nobody_knows}" in told.stdout
    assert (
        f"unknown {live}  is a consumer group that is none of Mainstem's, with 1 member {nobody_knows}" in told.stdout
    )
    sold, sent = msgspec.json.decode(listed.stdout)
    readers = {each["reader"]: each for each in sold["readers"]}
    assert elsewhere not in readers
    assert elsewhere in {each["reader"] for each in sent["readers"]}
    assert [(each["foreign"], each["members"]) for each in (readers[gone], readers[live])] == [(True, 0), (True, 1)]
    assert (readers[gone]["fields"], sold["unasked"]) == (None, [])


async def test_what_is_not_asked_in_time_is_said(kafka: str, unique: Callable[[str], str]) -> None:
    """A cluster may have thousands of groups: the answer comes when its time is over, and is not taken for all."""
    topic = unique("sales")
    async with connected(kafka) as broker:
        await create(broker, topic)
        for number in range(3):
            await asyncio.to_thread(commit, kafka, unique(f"gone-{number}"), topic, 1)
        found = await foreign_groups(broker._groups, [topic], seconds=0.0)
        assert found.unasked == ("consumer groups had not been asked when 0 s were over",)
