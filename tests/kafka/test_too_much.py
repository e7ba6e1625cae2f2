"""A service that has too much to do, on a real cluster: what can wait gives way, and what waits too long is told."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mainstem import Alerts, IntegrationEvent, Retry, Service
from mainstem.events import declaration_of
from mainstem.identifiers import Identifiers
from mainstem.service import Floor, Running, running
from tests.journeys.conditions import until
from tests.rooms.delivery.stage import Shifted

LATE_MS = 60_000


async def total(process: Running, name: str) -> int:
    """What all tasks have counted."""
    return sum(getattr(each.counters, name) for each in await process.statistics())


async def test_what_can_wait_gives_way(
    kafka: str, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler's events are put aside, a group stands still, and after the burst all of it is handled."""
    monkeypatch.setattr("mainstem.delivery.guards.giving_way.LATEST_AGAIN_MS", 200)

    class Sold(IntegrationEvent, topic=unique("sold"), key="item"):
        item: str

    name, go_on, seen = unique("shop"), asyncio.Event(), dict.fromkeys(("charge", "recommend", "report"), 0)
    shop = Service(name, publishes=(Sold,), lanes=1, alerts=Alerts(dead_letters=1))
    shop.topic(declaration_of(Sold).topic, partitions=1)
    reports = shop.group("reports", gives_way="30s")

    @shop.on(Sold, retry=Retry.never())
    async def charge(sold: Sold) -> None:
        await go_on.wait()
        if sold.item == "bad":
            raise ValueError
        seen["charge"] += 1

    @shop.on(Sold, gives_way="30s")
    async def recommend(_: Sold) -> None:
        seen["recommend"] += 1

    @reports.on(Sold)
    async def report(_: Sold) -> None:
        seen["report"] += 1

    clock = Shifted()
    floor = Floor(clock=clock, identifiers=Identifiers(clock), chance=random.Random(1))
    async with running(shop, broker=f"kafka://{kafka}?state_folder={tmp_path}", dev=True, floor=floor) as process:
        for number in range(10):
            await shop.publish(Sold(f"i-{number}"))
        await shop.publish(Sold("bad"))
        clock.ahead_ms = LATE_MS

        async def stands_still() -> bool:
            groups = {each.group: each for each in (await process.health()).groups}
            return bool(groups[name].tasks[0].strain.giving_way and groups[f"{name}.reports"].tasks[0].paused)

        await until(stands_still)
        go_on.set()
        await until(lambda: seen["charge"] == 10)
        assert await total(process, "put_aside") > 0

        async def alerted() -> bool:
            return bool(next(each for each in (await process.health()).groups if each.group == name).alerts)

        await until(alerted)
        await until(lambda: seen["recommend"] == seen["report"] == 11)
