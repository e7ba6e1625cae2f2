"""A file is moved to a real cluster: work goes on there, also after a move that was killed, and there is a way back."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from mainstem.broker import read_all
from mainstem.errors import DatabaseMoved
from mainstem.migration.mover import DIARY
from mainstem.service import read_catalogue, running
from tests.journeys.conditions import caught_up
from tests.rooms.migration.journey import Shop, at, command, day, memory
from tests.rooms.ops.shop import OrderPaid, loyalty, wide
from tools.kafka import Cluster

HERE = "sqlite:///here.db"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def cluster(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of our own: a move wants one that has nothing of the same names."""
    cluster = Cluster(tmp_path_factory.mktemp("migrate"), kafka_jars, ends_with_us=True)
    try:
        cluster.start()
        yield cluster.address
    finally:
        for node in cluster.nodes:
            node.kill()


@pytest.fixture
def there(cluster: str) -> Iterator[str]:
    """The URL of that cluster, which is made empty again for the next test."""
    url = f"kafka://{cluster}"
    yield url
    asyncio.run(emptied(url))


async def emptied(url: str) -> None:
    """Delete all groups and topics, but not the list of groups."""
    async with at(url) as broker:
        for group in await broker.admin.groups():
            await broker.admin.delete_group(group)
        for topic in await broker.admin.topics():
            if topic != "mainstem.groups":
                await broker.admin.delete(topic)


def ids_from_outside(cluster: str, topic: str, partitions: int) -> Counter[bytes]:
    """The ids of all committed events of a topic, read by a client that is not ours."""
    settings = {"bootstrap.servers": cluster, "group.id": "outside", "enable.partition.eof": True}
    consumer = Consumer({**settings, "isolation.level": "read_committed", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(partitions)])
    found: Counter[bytes] = Counter()
    ended = 0
    while ended < partitions:
        message = consumer.poll(20)
        assert message is not None, "the broker has not answered"
        if message.error() is not None:
            ended += 1
        else:
            headers = dict(cast("list[tuple[str, bytes]]", message.headers() or []))
            found[headers["ce_id"]] += 1
    consumer.close()
    return found


async def test_a_shop_goes_on_where_it_was(there: str) -> None:
    """Orders that wait, dead letters, memory and timers are all there after the move; each once, and all adds up."""
    shop = Shop()
    await shop.open(HERE, 300)
    before = await memory(HERE)
    async with at(HERE) as file:
        epochs = (await file.admin.groups())["loyalty"].epochs
    moved = await asyncio.to_thread(command, "migrate", "--from", HERE, "--to", there)
    assert moved.exit_code == 0, moved.output
    assert await memory(there) == before
    async with at(there) as broker:
        assert all(map(int.__gt__, (await broker.admin.groups())["loyalty"].epochs, epochs))
        assert (await broker.admin.topics())["gold"].spec.retention_ms == 7 * 86_400_000
    with pytest.raises(DatabaseMoved, match=there):
        await shop.trade(HERE, OrderPaid("customer-1", 1))
    await shop.close(there, 100)


async def test_two_files_go_to_one_cluster(there: str) -> None:
    """The second brings its service beside the first; a third with a service of the same name is refused, and stays."""
    shop = Shop()
    await shop.trade(HERE, *day(20))
    for url, service in (("sqlite:///second.db", wide), ("sqlite:///third.db", loyalty)):
        async with running(service, broker=url, dev=True) as process:
            await caught_up(process)
    for url in (HERE, "sqlite:///second.db"):
        moved = await asyncio.to_thread(command, "migrate", "--from", url, "--to", there)
        assert moved.exit_code == 0, moved.output
    async with at(there) as broker:
        assert {each.service for each in await read_catalogue(broker)} == {"loyalty", "wide-reader"}
        assert set(await broker.admin.groups()) == {"loyalty", "wide-reader"}
    refused = await asyncio.to_thread(command, "migrate", "--from", "sqlite:///third.db", "--to", there)
    assert refused.exit_code == 1
    assert "group loyalty" in refused.stderr
    async with running(loyalty, broker="sqlite:///third.db", dev=True):
        pass
    await shop.trade(there, *day(10))
    assert (await memory(there)).spent == shop.paid


@pytest.mark.long
async def test_a_move_that_is_killed_again_and_again_loses_and_repeats_nothing(cluster: str, there: str) -> None:
    """Killed at ever later moments until one run gets through, the move ends with every record once, in order."""
    shop = Shop()
    await shop.open(HERE, 60)
    for _ in range(4):
        await shop.trade(HERE, *day(5_000), handled=False)
    before = await memory(HERE)
    arguments = ["-m", "mainstem.ops", "migrate", "--from", HERE, "--to", there]
    kills, patience_seconds = 0, 1.0
    while True:
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=subprocess.DEVNULL)
        try:
            async with asyncio.timeout(patience_seconds):
                assert await process.wait() == 0
            break
        except TimeoutError:
            process.kill()
            await process.wait()
            kills += 1
            patience_seconds *= 1.35
    assert kills > 3
    async with at(there) as broker:
        written = [value or b"" async for batch in read_all(broker, DIARY.topic) for value in batch.values]
    assert [line.count(b'"Begun"') for line in written].count(1) == 1
    assert ids_from_outside(cluster, "orders", 2) == Counter(before.ids)
    assert await memory(there) == before
    await shop.close(there, 100)


async def test_there_is_a_way_back_until_somebody_writes(there: str) -> None:
    """A move is taken back while the target is as it was left, and not once something has been handled there."""
    shop = Shop()
    await shop.open(HERE, 60)
    before = await memory(HERE)
    moved = await asyncio.to_thread(command, "migrate", "--from", HERE, "--to", there)
    assert moved.exit_code == 0, moved.output
    undone = await asyncio.to_thread(command, "migrate", "--from", HERE, "--to", there, "--undo-cutover")
    assert undone.exit_code == 0, undone.output
    async with at(there) as broker:
        assert set(await broker.admin.topics()) == {"mainstem.groups", DIARY.topic}
        assert not await broker.admin.groups()
    assert await memory(HERE) == before
    await shop.trade(HERE, *day(10))
    moved = await asyncio.to_thread(command, "migrate", "--from", HERE, "--to", there)
    assert moved.exit_code == 0, moved.output
    await shop.trade(there, *day(10))
    undone = await asyncio.to_thread(command, "migrate", "--from", HERE, "--to", there, "--undo-cutover")
    assert undone.exit_code == 1
    assert "The target has been used since the move" in undone.stderr
    await shop.close(there, 10)
