"""Transactions that are asked for at the same time share one, and nobody fails because of a neighbour."""

import asyncio
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from mainstem.broker import Record, TopicPartition, read
from mainstem.broker.kafka import KafkaBroker
from mainstem.errors import CommitUnknown, RecordTooLarge
from tests.kafka.clients import connected, partition


async def commit(broker: KafkaBroker, *facts: tuple[TopicPartition, bytes]) -> dict[TopicPartition, int]:
    """One transaction."""
    transaction = broker.log.transaction()
    for at, value in facts:
        transaction.append(at, [Record(b"k", value, 1)])
    return dict(await transaction.commit())


async def values(broker: KafkaBroker, at: TopicPartition) -> list[bytes | None]:
    """What a committed reader is given."""
    start, end = await broker.log.bounds(at)
    return [value async for batch in read(broker.log, {at: start}, {at: end}) for value in batch.values]


async def test_those_of_one_turn_share_a_transaction(kafka: str, unique: Callable[[str], str]) -> None:
    """They stand there in the order of the calls, each is told its own offset, and one marker follows all."""
    async with connected(kafka) as broker:
        at, other = await partition(broker, unique("facts")), await partition(broker, unique("others"))
        await commit(broker, (at, b"first"))  # makes the producer
        await values(broker, at)  # is given when its marker is there
        _, end = await broker.log.bounds(at)
        names = [b"%d" % number for number in range(50)]
        firsts = await asyncio.gather(*(commit(broker, (at, name), (other, name)) for name in names))
        assert await values(broker, at) == [b"first", *names]
        assert await values(broker, other) == names
        assert [first[at] - end for first in firsts] == list(range(50))
        assert [first[other] for first in firsts] == list(range(50))
        assert (await broker.log.bounds(at))[1] == end + 50 + 1


async def test_nobody_fails_because_of_a_neighbour(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]
) -> None:
    """One of them is refused by the cluster: that one is told so, and the others are committed all the same."""
    async with connected(kafka) as broker:
        at, narrow = await partition(broker, unique("facts")), await partition(broker, unique("narrow"))
        await commit(broker, (at, b"first"), (narrow, b"first"))
        entry = ConfigEntry("max.message.bytes", "200", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, narrow.topic, incremental_configs=[entry])
        kafka_admin.incremental_alter_configs([resource])[resource].result()
        large = bytes(range(256)) * 4
        told = await asyncio.gather(
            commit(broker, (at, b"before")),
            commit(broker, (at, b"half of it"), (narrow, large)),
            commit(broker, (at, b"behind")),
            return_exceptions=True,
        )
        assert [type(each) for each in told] == [dict, RecordTooLarge, dict]
        assert await values(broker, at) == [b"first", b"before", b"behind"]
        assert await values(broker, narrow) == [b"first"]


async def test_nobody_is_told_what_nobody_knows(kafka: str, unique: Callable[[str], str]) -> None:
    """Where the outcome is unknown, all who share the transaction are told so; none of it is sent again."""
    async with connected(kafka) as broker:
        at = await partition(broker, unique("facts"))
        await commit(broker, (at, b"first"))
        [slot] = broker._slots._free
        slot._seconds = 0.000001
        told = await asyncio.gather(*(commit(broker, (at, b"%d" % n)) for n in range(3)), return_exceptions=True)
        assert [type(each) for each in told] == [CommitUnknown] * 3
        await commit(broker, (at, b"last"))
        found = await values(broker, at)
        assert found in ([b"first", b"last"], [b"first", b"0", b"1", b"2", b"last"])


async def test_whoever_gives_up_waiting_holds_nobody_up(kafka: str, unique: Callable[[str], str]) -> None:
    """His events are on their way all the same."""
    async with connected(kafka) as broker:
        at = await partition(broker, unique("facts"))
        await commit(broker, (at, b"first"))
        impatient = asyncio.ensure_future(commit(broker, (at, b"impatient")))
        patient = asyncio.ensure_future(commit(broker, (at, b"patient")))
        await asyncio.sleep(0)
        impatient.cancel()
        await patient
        with pytest.raises(asyncio.CancelledError):
            await impatient
        assert (await values(broker, at))[-1] == b"patient"
