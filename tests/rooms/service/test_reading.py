"""A handler that cannot read what is registered by now: its service starts, and the log says what it cannot read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mainstem import IntegrationEvent, Service, Topic, running
from mainstem.clock import SystemClock
from mainstem.registry import LocalRegistry
from mainstem.registry.folder import FolderRegistry
from mainstem.schemas.documents import Reference, Schema
from mainstem.settings import Settings
from tests.journeys.conditions import until

WITH_PAYER = '{"type":"object","properties":{"payer":{"type":"string"}},"required":["payer"]}'
NOW_A_NUMBER = '{"type":"object","properties":{"payer":{"type":"integer"}},"required":["payer"]}'


class Sold(IntegrationEvent, topic="sales", key="payer"):
    payer: str


class SoldAnew(IntegrationEvent, topic="sales", key="payer", name="Sold", version=2, oldest=2):
    payer: int


class SoldElsewhere(IntegrationEvent, topic="sales.v2", key="payer", name="Sold", version=2, oldest=2):
    payer: int


@dataclass
class Payer:
    """What billing reads."""

    payer: str


def billing() -> Service:
    """It reads the payer, whoever sells."""
    service = Service("billing")
    service.topic("sales", partitions=1)

    @service.on(Topic("sales", Payer, type_name="Sold"))
    async def bill(sold: Payer) -> None:
        """Read the payer."""

    return service


class Place:
    """A folder with a broker's file in it, and with a registry."""

    def __init__(self, folder: Path) -> None:
        self.broker = f"sqlite:///{folder}/shop.db"
        self.folder = folder / "schemas"
        self.settings = Settings(registry=f"folder:{self.folder}")

    async def register(self, text: str, subject: str = "Sold", references: tuple[Reference, ...] = ()) -> None:
        """Register a form of what is sold."""
        registry = LocalRegistry(FolderRegistry(self.folder, SystemClock()))
        await registry.register(subject, Schema(text, "JSON", references))

    @asynccontextmanager
    async def started(self, service: Service, registry: str | None = None) -> AsyncIterator[None]:
        """A service in production, where everything it needs is there."""
        async with running(service, broker=self.broker, dev=True):
            pass
        settings = self.settings if registry is None else Settings(registry=registry)
        async with running(service, broker=self.broker, settings=settings):
            yield


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The folder of a test."""
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path)


def is_looking() -> bool:
    """Whether a service that runs still looks at what it reads."""
    return "whether all can be read" in {each.get_name() for each in asyncio.all_tasks()}


async def looked() -> None:
    """Wait until it has."""
    await until(lambda: not is_looking())


async def test_a_field_that_cannot_be_read_any_more_is_named(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Once, with the type, the version that is registered, and what to do; and the service runs."""
    await place.register(NOW_A_NUMBER)
    async with place.started(billing()):
        await looked()
    [said] = [each.getMessage() for each in caplog.records if "cannot read all" in each.getMessage()]
    assert said.startswith("'billing' cannot read all that may be written of Sold v1 on sales")
    assert "version 1 of the subject 'Sold' has payer: /properties/payer" in said
    assert "mainstem schema check" in said


async def test_what_can_be_read_is_not_told_of(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Nor is a type that nobody has registered, a registry that is away, or none."""
    caplog.set_level("INFO", "mainstem")
    await place.register(WITH_PAYER)
    for registry in (None, "none", "http://127.0.0.1:9", "folder:nowhere"):
        async with place.started(billing(), registry):
            await looked()
    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == []
    assert "nobody has looked whether all that is registered can be read here" in caplog.text


async def test_a_schema_that_cannot_be_compared_stops_nobody(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """One in parts is passed over with a word in the log, below a warning."""
    caplog.set_level("INFO", "mainstem")
    await place.register(WITH_PAYER, "Parts")
    await place.register('{"$ref":"parts.json"}', references=(Reference("parts.json", "Parts", 1),))
    async with place.started(billing()):
        await looked()
    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == []
    assert "what is registered for Sold v1 on sales cannot be compared with what is read" in caplog.text


async def test_a_version_that_a_producer_publishes_by_now_is_told(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """On the topic that is read; in another one it is for others."""
    shops = [Service(name, publishes=(each,)) for name, each in (("shop", SoldAnew), ("other", SoldElsewhere))]
    for shop, topic in zip(shops, ("sales", "sales.v2"), strict=True):
        shop.topic(topic, partitions=1)
        async with running(shop, broker=place.broker, dev=True):
            pass
    async with place.started(billing(), "none"):
        await looked()
    [said] = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert said.startswith("'billing' does not read v2 of Sold, which 'shop' publishes on 'sales'")
    assert "upcast() from v1 on" in said


async def test_in_play_nothing_is_compared(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """There, types change with every keystroke."""
    await place.register(NOW_A_NUMBER)
    async with running(billing(), broker=place.broker, dev=True, settings=place.settings):
        assert not is_looking()
    assert "cannot read" not in caplog.text
