"""A task without handlers that reads payloads behind the ids of their schemas."""

import asyncio
import random

import pytest

from mainstem.broker import GroupSpec, Record, TopicPartition, TopicSpec, inbox_of
from mainstem.clock import SystemClock
from mainstem.delivery import Environment
from mainstem.errors import DefinitionError
from mainstem.events import declaration_of
from mainstem.identifiers import Identifiers
from mainstem.schemas.writers import Writers
from mainstem.service import connected
from mainstem.service.plain.feed import Delivery, Feed
from mainstem.service.plain.readings import Readings
from mainstem.settings import Settings
from tests.rooms.delivery.test_unread import ONE, ORDERS, TWO, Shelf, written


async def fed(shelf: Shelf, *values: bytes) -> list[list[bytes | None]]:
    """The batches that a feed hands on of one partition, until it has handed on all these records."""
    clock = SystemClock()
    async with connected("sqlite:///:memory:", clock, Identifiers(clock)) as broker:
        await broker.admin.create(TopicSpec("told", 1))
        at = TopicPartition("told", 0)
        await broker.log.append(at, [Record(None, value, clock.now_ms()) for value in values])
        membership = await broker.group.join(GroupSpec("reports", "reports", 1, {"told": 1}))
        while 0 not in await membership.assignment():
            pass
        ownership = await membership.take_over(0)
        environment = Environment(broker, clock, random.Random(1), Settings(), None)
        readings = Readings([declaration_of(ORDERS)], Writers(shelf.ask))
        found: list[list[bytes | None]] = []

        def take(delivery: Delivery) -> None:
            batch: list[bytes | None] = []
            while (message := delivery.take()) is not None:
                batch.append(message.value)
            delivery.done()
            found.append(batch)
            if sum(map(len, found)) == len(values):
                feed.drain()

        inputs = TopicPartition(inbox_of("reports"), 0), at
        feed = Feed(environment, ownership, dict.fromkeys(inputs, "earliest"), take, lambda: None, readings)
        async with asyncio.timeout(20):
            await feed.run()
        await membership.leave()
        return found


async def test_all_that_a_batch_names_is_asked_for_before_it_is_handed_on() -> None:
    """In one go, once each; it comes as it stood in the log."""
    shelf = Shelf(n1=written("id"), n2=written("gone", "id"))
    values = [ONE, TWO, ONE, b"\x05"]
    assert await fed(shelf, *values) == [values]
    assert shelf.asked == [["id 1", "id 2"]]


async def test_what_is_no_wait_ends_the_feed() -> None:
    """Nobody waits for something that will never be, such as a client that is not installed."""
    shelf = Shelf()
    shelf.closed = DefinitionError("the HTTP client is not installed")
    with pytest.raises(DefinitionError, match="is not installed"):
        await fed(shelf, ONE)
