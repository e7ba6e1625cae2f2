"""Alerts: what waits is told from where a service says that it is too much."""

import asyncio
import logging
from pathlib import Path

import pytest

from mainstem import Alerts, IntegrationEvent, Retry, Service, running
from mainstem.delivery import Letters
from mainstem.delivery.measures import survey
from mainstem.errors import DefinitionError
from tests.journeys.conditions import until
from tests.sdk import Measured, by_group


class Sold(IntegrationEvent, topic="sold", key="item"):
    item: str


def shop(alerts: Alerts | None) -> Service:
    """What has "late" in its name waits for another try, what has "bad" for somebody."""
    service = Service("shop", publishes=(Sold,), alerts=alerts)
    service.topic("sold", partitions=2)

    @service.on(Sold, retry=Retry.on(ConnectionError).later("1h").also_on(ValueError))
    async def sell(sold: Sold) -> None:
        if "late" in sold.item:
            raise ConnectionError
        if "bad" in sold.item:
            raise ValueError

    return service


async def test_what_is_too_much_is_told_once_and_shown(
    tmp_path: Path, measured: Measured, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the log, in the health of the process and in what is measured; and what is not, is not."""
    monkeypatch.setattr(survey, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(survey, "FRESH_SECONDS", 0.0)
    service = shop(Alerts(dead_letters=2, parked=5, parked_age="1ms", dead_letter_age="1d"))
    async with running(service, broker=f"sqlite:///{tmp_path}/shop.db", dev=True) as process:

        async def waiting(dead: int, parked: int) -> bool:
            letters = (await process.health()).groups[0].letters
            return (letters.dead_letters, letters.parked) == (dead, parked)

        await service.publish(Sold("bad 1"), Sold("good"))
        await until(lambda: waiting(1, 0))
        assert (await process.health()).groups[0].alerts == ()
        await service.publish(Sold("bad 2"), Sold("late 1"))
        await until(lambda: waiting(2, 1))
        found = (await process.health()).groups[0].alerts
        assert found[0] == "2 keys are dead letters, of which 2 are to be told"
        assert "the oldest parked key has waited for" in found[1]
        assert len(found) == 2
        for _ in range(3):
            before = process.clock.monotonic()
            await until(lambda before=before: process.clock.monotonic() > before + 0.03)
        assert caplog.text.count("2 keys are dead letters, of which 2 are to be told") == 1
        assert (await process.health()).ready
        told = await asyncio.to_thread(measured.now)
        assert by_group(told, "mainstem.alerts", "shop") == {"": 2}
        assert by_group(told, "mainstem.keys.dead_lettered", "shop") == {"sell": 2}


async def test_what_is_too_much_no_more_is_told_as_well(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a line that says which threshold of which group it was."""
    monkeypatch.setattr(survey, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(survey, "FRESH_SECONDS", 0.0)
    caplog.set_level(logging.INFO, logger="mainstem")
    service, closed = Service("shop", publishes=(Sold,), alerts=Alerts(parked=1)), asyncio.Event()

    @service.on(Sold, retry=Retry.on(ConnectionError).later(*["20ms"] * 1_000))
    async def sell(_sold: Sold) -> None:
        if not closed.is_set():
            raise ConnectionError

    async with running(service, broker=f"sqlite:///{tmp_path}/shop.db", dev=True):
        await service.publish(Sold("book"))
        await until(lambda: "1 keys are parked, of which 1 are to be told" in caplog.text)
        closed.set()
        await until(lambda: "group 'shop': the threshold parked is not passed any more" in caplog.text)


async def test_without_alerts_nobody_watches(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What waits is counted when somebody asks, and not otherwise."""
    service = shop(None)
    async with running(service, broker=f"sqlite:///{tmp_path}/shop.db", dev=True) as process:
        tasks = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}  # type: ignore[union-attr]
        assert not [name for name in tasks if "Survey" in name]
        await service.publish(Sold("bad 1"))

        async def counted() -> bool:
            return (await process.health()).groups[0].letters.dead_letters == 1

        await until(counted)
        assert (await process.health()).groups[0].alerts == ()
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_a_long_list_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are counted a few at a time, and the event loop turns in between."""
    monkeypatch.setattr(survey, "AT_ONCE", 5)
    monkeypatch.setattr(survey, "FRESH_SECONDS", 0.0)
    service = shop(None)
    async with running(service, broker=f"sqlite:///{tmp_path}/shop.db", dev=True) as process:
        await service.publish(*(Sold(f"bad {number}") for number in range(50)))

        async def counted() -> bool:
            return (await process.health()).groups[0].letters.dead_letters == 50

        await until(counted)
        counting, turns = asyncio.ensure_future(process.survey.look()), 0
        while not counting.done():
            turns += 1
            await asyncio.sleep(0)
        assert turns >= 10


def test_thresholds() -> None:
    """Each is passed when it is reached; what is not stated never is."""
    alerts = Alerts(dead_letters=3, parked=10, dead_letter_age="1m", parked_age=60)
    assert alerts.passed(Letters(2, 9, 59_999, 59_999)) == {}
    assert set(alerts.passed(Letters(3, 10, 60_000, 60_000))) == {
        "dead_letters",
        "parked",
        "dead_letter_age",
        "parked_age",
    }
    assert Alerts().passed(Letters(10**6, 10**6, 10**9, 10**9)) == {}
    kept = {name: float(number) for name, number in alerts.numbers.items()}
    assert Alerts.of(kept) == Alerts(dead_letters=3, parked=10, dead_letter_age=60.0, parked_age=60.0)
    assert Alerts.of({}) == Alerts()


def test_what_is_no_threshold_is_refused() -> None:
    """None at all, a number below one, and text that is no duration."""
    with pytest.raises(DefinitionError, match="dead_letters=0"):
        Alerts(dead_letters=0)
    with pytest.raises(DefinitionError, match="is not a duration"):
        Alerts(parked_age="soon")
    with pytest.raises(TypeError, match=r"Alerts.*'dead_leters'"):
        Alerts(dead_leters=1)  # type: ignore[call-arg]
    with pytest.raises(DefinitionError, match="says nothing of what is too much"):
        Service("shop", alerts=3)  # type: ignore[arg-type]
