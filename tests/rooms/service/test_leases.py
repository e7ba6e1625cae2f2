"""Leases: one holder at a time, and one that has lost it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import mainstem
from mainstem import Lease, Service
from mainstem.broker import GroupSpec
from mainstem.clock import SystemClock
from mainstem.errors import DefinitionError, LeaseLost, LeaseTaken, MainstemError
from mainstem.identifiers import Identifiers
from mainstem.service import connected
from mainstem.service.brokers import Backend
from mainstem.settings import Settings
from tests.journeys.conditions import until

QUICK = Settings(session_timeout_seconds=5.0)


@asynccontextmanager
async def opened() -> AsyncIterator[Backend]:
    """A broker in memory."""
    clock = SystemClock()
    async with connected("sqlite:///:memory:", clock, Identifiers(clock)) as broker:
        yield broker


def asked(broker: Backend, name: str = "report", *, wait: bool | str = True) -> Lease:
    """A lease on this broker."""
    return mainstem.lease(name, broker=broker, wait=wait, settings=QUICK)


async def steal(broker: Backend, name: str = "report") -> None:
    """Take the lease over behind its holder's back, as after a pause that it has not noticed."""
    group = f"lease.{name}"
    membership = await broker.group.join(GroupSpec(group, group, 1, {}, 0.5, 0), pinned=frozenset({0}))
    await membership.take_over(0)


async def test_one_holder_at_a_time() -> None:
    """A second one waits until the first is through, and has a greater token; other names are other leases."""
    order: list[str] = []

    async def second(broker: Backend) -> None:
        async with asked(broker) as lease:
            order.append(f"second {lease.token}")

    async with opened() as broker:
        async with asked(broker) as lease, asked(broker, "other") as other:
            waiting = asyncio.create_task(second(broker))
            await until(lambda: _members(broker))
            order.append(f"first {await lease.confirm()} {lease.held} {other.token}")
        await waiting
        assert order == ["first 1 True 1", "second 2"]
        assert not lease.held
        with pytest.raises(LeaseLost, match="its block has ended"):
            await lease.confirm()


async def _members(broker: Backend) -> bool:
    """Whether two hold it, or wait for it."""
    found = (await broker.admin.groups(["lease.report"])).get("lease.report")
    return found is not None and len(found.members) == 2


async def test_who_does_not_wait_is_told() -> None:
    """With ``wait=False`` at once, with a duration when it has passed; the holder is not disturbed."""
    async with opened() as broker, asked(broker) as lease:
        for wait in (False, "50ms"):
            with pytest.raises(LeaseTaken):
                async with asked(broker, wait=wait):
                    pytest.fail("two hold it")
        assert await lease.confirm() == 1


async def test_a_lost_lease_ends_its_block() -> None:
    """Whoever waits for something in the block is cancelled there, and hears why at its end."""
    reached: list[str] = []
    async with opened() as broker:

        async def hold() -> None:
            async with asked(broker):
                await steal(broker)
                reached.append("the lease is another's")
                await asyncio.sleep(60)
                reached.append("beyond")

        with pytest.raises(LeaseLost, match="another process"):
            await hold()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        assert "beyond" not in reached


async def test_an_outdated_token_is_found_out() -> None:
    """Asked, the broker says that another has the lease, although nobody has told the holder yet."""
    async with opened() as broker:

        async def hold() -> None:
            async with asked(broker) as lease:
                watching = lease._watching
                assert watching is not None
                watching.cancel()
                await steal(broker)
                assert lease.held
                await lease.confirm()

        with pytest.raises(LeaseLost, match="token 1"):
            await hold()


async def test_an_error_of_the_block_is_not_hidden() -> None:
    """What the block raises comes out of it, and the lease is free again."""
    async with opened() as broker:
        with pytest.raises(ValueError, match="mine"):
            async with asked(broker):
                raise ValueError("mine")
        async with asked(broker, wait=False) as lease:
            assert lease.token == 2


async def test_a_cancellation_from_outside_stays_one() -> None:
    """Whoever is cancelled while holding or waiting gives everything back, and is cancelled."""
    async with opened() as broker:

        async def hold() -> None:
            async with asked(broker):
                await asyncio.sleep(60)

        holding, waiting = asyncio.create_task(hold()), asyncio.create_task(hold())
        await until(lambda: _members(broker))
        for each in (waiting, holding):
            each.cancel()
        assert all(isinstance(each, asyncio.CancelledError) for each in await _outcomes(holding, waiting))
        async with asked(broker, wait=False):
            pass


async def _outcomes(*tasks: "asyncio.Task[None]") -> list[BaseException | None]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_service_has_leases_of_its_own() -> None:
    """While it runs, on its broker; under the name of the service."""
    shop, other = Service("shop"), Service("other")
    async with (
        opened() as broker,
        mainstem.running(shop, other, broker=broker, dev=True),
        shop.lease("report"),
        other.lease("report", wait=False) as lease,
    ):
        assert lease.name == "other.report"
        with pytest.raises(LeaseTaken):
            async with shop.lease("report", wait=False):
                pass
    with pytest.raises(MainstemError, match="not running"):
        shop.lease("report")


async def test_a_lease_needs_a_name() -> None:
    """One that no group can have is refused at once."""
    with pytest.raises(DefinitionError, match="cannot be called"):
        mainstem.lease("nightly report", settings=QUICK)
