"""Members of groups: who counts as alive, and who may stand beside whom."""

import asyncio
import time
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from msgspec.structs import replace

from mainstem.broker import GroupSpec, Membership
from mainstem.broker.kafka import KafkaOptions
from mainstem.broker.kafka.tasks import Life, MemberThread
from mainstem.clock import SystemClock
from mainstem.errors import BrokerError, MembershipLost, StoreRefused
from tests.kafka.clients import connected

SESSION_SECONDS = 0.6


def group_of_two(unique: Callable[[str], str]) -> GroupSpec:
    """Two tasks, and no inputs."""
    return GroupSpec(unique("billing"), unique("service"), 2, {}, SESSION_SECONDS)


async def follow(membership: Membership) -> None:
    """Hear of every assignment."""
    while True:
        await membership.assignment()


async def test_nobody_is_alive_to_the_group_and_dead_for_work(kafka: str, unique: Callable[[str], str]) -> None:
    """The client beats its heart in a thread of its own; a member whose event loop stands still leaves all the same."""
    async with connected(kafka) as broker:
        membership = await broker.group.join(group_of_two(unique))
        while await membership.assignment() != {0, 1}:
            pass
        time.sleep(SESSION_SECONDS * 1.5)  # noqa: ASYNC251 - this is what is not to go unnoticed
        with pytest.raises(MembershipLost, match="event loop stood still"):
            await follow(membership)


class Failing(Life):
    """Something that nobody has thought of."""

    def is_over(self) -> bool:
        """Fail."""
        raise ValueError("a fault of our own")


async def test_a_member_whose_thread_fails_is_lost() -> None:
    """Whatever ends the thread is told: nobody else would ever say that the process has left its group."""
    changed = asyncio.Event()
    settings = {"bootstrap.servers": "127.0.0.1:1", "group.id": "billing", "log_level": 0}
    thread = MemberThread(settings, "billing.inbox", Failing(SystemClock(), 1.0, 1.0), changed.set)
    thread.start()
    async with asyncio.timeout(5):
        await changed.wait()
    assert thread.lost == "a fault of our own"
    await asyncio.to_thread(thread.close, 10.0)


async def test_a_member_does_not_pin_what_the_group_may_give_away(kafka: str, unique: Callable[[str], str]) -> None:
    """Beside members that the group assigns to, a pin would be nobody's knowledge; alone it may be."""
    spec = group_of_two(unique)
    async with connected(kafka) as broker, connected(kafka) as other:
        membership = await broker.group.join(spec)
        while not await membership.assignment():
            pass
        with pytest.raises(BrokerError, match="pins all tasks"):
            await other.group.join(spec, pinned=frozenset({0}))
        await membership.leave()
        assert await (await other.group.join(spec, pinned=frozenset({0}))).assignment() == {0}


async def test_two_that_make_one_group_at_once_agree_on_what_it_is_for(
    kafka: str, unique: Callable[[str], str]
) -> None:
    """Whoever comes second looks and compares again, although nothing was there when it looked first."""
    spec = group_of_two(unique)
    async with connected(kafka) as broker:
        groups = broker._group.groups
        await groups.enter(spec)
        await groups._enter(spec, before_us=())
        with pytest.raises(StoreRefused, match="belong to the service"):
            await groups.registry.register(replace(spec, service="another"))


async def test_the_group_is_asked_by_the_name_that_a_member_has_now(kafka: str, unique: Callable[[str], str]) -> None:
    """Whoever was expelled before it was given anything has joined again by itself, under another name."""
    async with connected(kafka) as broker:
        membership = await broker.group.join(group_of_two(unique))
        while await membership.assignment() != {0, 1}:
            pass
        membership.member = "the name that it had"
        assert await membership.confirm(0)


async def test_the_broker_is_told_the_session_timeout(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]
) -> None:
    """With the newer protocol it is a setting of the group, and not of its members."""
    spec = group_of_two(unique)
    async with connected(kafka, KafkaOptions(group_protocol="consumer")) as broker:
        await broker.group.join(spec)
        resource = ConfigResource(ResourceType.GROUP, spec.name)
        config = kafka_admin.describe_configs([resource])[resource].result()
    assert config["consumer.session.timeout.ms"].value == str(round(SESSION_SECONDS * 1_000))
