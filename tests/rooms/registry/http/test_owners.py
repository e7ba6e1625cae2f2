"""A subject has one owner, also where two services ask for it at the same instant."""

import asyncio
from typing import Literal

import pytest

from mainstem import IntegrationEvent
from mainstem.clock import SystemClock
from mainstem.errors import RegistryRefused
from mainstem.events import declaration_of
from mainstem.registry import LocalRegistry
from mainstem.registry.contents import InMemory
from mainstem.schemas.registries import Registered, RemoteRegistry, SchemaRegistry
from mainstem.service.promises import registered, stated_by
from mainstem.web.client import Client
from tests.rooms.registry.http.live import listening


class Paid(IntegrationEvent, topic="payments", name="shop.Paid"):
    order: str


def late(registry: SchemaRegistry, barrier: asyncio.Barrier) -> SchemaRegistry:
    """A way to a registry: what it has found first, it has found when the other one has looked too."""
    look = registry.version
    looked: list[str] = []

    async def version(subject: str, version: int | Literal["latest"], *, deleted: bool = False) -> Registered | None:
        found = await look(subject, version, deleted=deleted)
        if not looked:
            looked.append(subject)
            await barrier.wait()
        return found

    registry.version = version  # type: ignore[method-assign]  # the same, later
    return registry


async def both(ways: tuple[SchemaRegistry, SchemaRegistry], services: tuple[str, str]) -> list[Registered | Exception]:
    """Register the type as two services, or two processes of one, that have both found nothing."""
    barrier = asyncio.Barrier(2)
    (first,), (second,) = (stated_by(each, [declaration_of(Paid)]) for each in services)
    found = await asyncio.gather(
        registered(first, late(ways[0], barrier)), registered(second, late(ways[1], barrier)), return_exceptions=True
    )
    return [each for each in found if isinstance(each, Registered | Exception)]


@pytest.mark.parametrize("over", ["http", "here"])
async def test_of_two_services_one_gets_a_new_subject(over: str) -> None:
    """The other is told whose it is, and leaves no version behind."""
    with listening() as address:
        async with Client([f"http://{address}"]) as one, Client([f"http://{address}"]) as two:
            here = InMemory(SystemClock())
            ways: tuple[SchemaRegistry, SchemaRegistry] = (
                (RemoteRegistry(one), RemoteRegistry(two))
                if over == "http"
                else (LocalRegistry(here), LocalRegistry(here))
            )
            found = await both(ways, ("till", "bank"))
            (refused,) = (each for each in found if isinstance(each, RegistryRefused))
            assert "belongs to the service" in refused.what
            assert await ways[0].versions("shop.Paid") == [1]


async def test_two_processes_of_a_service_get_it_together() -> None:
    """Both say the same, and have the same version."""
    here = InMemory(SystemClock())
    found = await both((LocalRegistry(here), LocalRegistry(here)), ("till", "till"))
    assert [each.version for each in found if isinstance(each, Registered)] == [1, 1]


async def test_what_was_deleted_is_registered_anew() -> None:
    """There is no version, and the next one is not the first."""
    with listening() as address:
        async with Client([f"http://{address}"]) as client:
            registry = RemoteRegistry(client)
            (stated,) = stated_by("till", [declaration_of(Paid)])
            assert (await registered(stated, registry)).version == 1
            assert (await client.ask("DELETE", "/subjects/shop.Paid")).status == 200
            assert (await registered(stated, registry)).version == 2
            assert await registry.versions("shop.Paid") == [2]
