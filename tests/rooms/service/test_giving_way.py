"""What is told of a service that has too much to do: in its health and in what is measured."""

import asyncio
import random
from pathlib import Path

import pytest

from mainstem import IntegrationEvent, Service
from mainstem.errors import DefinitionError
from mainstem.identifiers import Identifiers
from mainstem.service import Floor, running
from mainstem.settings import Settings
from tests.journeys.conditions import until
from tests.rooms.delivery.stage import Shifted
from tests.sdk import Measured, by_group

LATE_MS = 60_000


class Sold(IntegrationEvent, topic="sold", key="item"):
    item: str


async def test_health_and_measurements_say_who_gives_way(
    tmp_path: Path, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler in the strain of its task, the group as one that stands still, and what was put aside as a count."""
    monkeypatch.setattr("mainstem.delivery.guards.giving_way.LOOK_SECONDS", 0.05)
    shop, go_on = Service("shop", publishes=(Sold,), lanes=1), asyncio.Event()
    shop.topic("sold", partitions=1)
    reports = shop.group("reports", gives_way="30s")

    @shop.on(Sold)
    async def charge(_: Sold) -> None:
        await go_on.wait()

    @shop.on(Sold, gives_way="30s")
    async def recommend(_: Sold) -> None: ...

    @reports.on(Sold)
    async def report(_: Sold) -> None: ...

    few, clock = Settings(buffer_events=2, grace_seconds=0.1), Shifted()
    floor = Floor(clock=clock, identifiers=Identifiers(clock), chance=random.Random(1))
    broker = f"sqlite:///{tmp_path}/shop.db"
    async with running(shop, broker=broker, dev=True, settings=few, floor=floor) as process:
        clock.ahead_ms = -LATE_MS
        for number in range(10):
            await shop.publish(Sold(f"i-{number}"))
        clock.ahead_ms = 0

        async def given_way() -> bool:
            groups = {each.group: each.tasks[0] for each in (await process.health()).groups}
            return bool(groups["shop"].strain.giving_way and groups["shop.reports"].paused)

        await until(given_way)
        groups = {each.group: each.tasks[0] for each in (await process.health()).groups}
        assert list(groups["shop"].strain.giving_way) == ["recommend"]
        assert list(groups["shop.reports"].paused) == ["it gives way to 'shop'"]
        found = await asyncio.to_thread(measured.now)
        assert by_group(found, "mainstem.handlers.giving_way", "shop") == {"recommend": 1}
        assert by_group(found, "mainstem.tasks.paused", "shop.reports") == {"": 1}
        go_on.set()

        async def over() -> bool:
            return sum(each.counters.put_aside for each in await process.statistics()) == 10

        await until(over)
        found = await asyncio.to_thread(measured.now)
        assert by_group(found, "mainstem.events.put_aside", "shop") == {"recommend": 10}


def test_giving_way_from_the_first_moment_on_is_refused() -> None:
    """It would never end."""
    shop = Service("shop")
    with pytest.raises(DefinitionError, match="gives_way=0 says nothing"):

        @shop.on(Sold, gives_way=0)
        async def charge(_: Sold) -> None: ...

    with pytest.raises(DefinitionError, match="gives_way='0s' says nothing"):
        shop.group("reports", gives_way="0s")
