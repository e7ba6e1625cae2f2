"""Waiting for something to become true, and looking at what a running service has done."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from mainstem import Service, Store, Topic
from mainstem.service import Running

E = TypeVar("E")
V = TypeVar("V")


async def until(condition: Callable[[], bool] | Callable[[], Awaitable[bool]], within_seconds: float = 30) -> None:
    """Return once the condition holds; it is looked at again and again."""
    async with asyncio.timeout(within_seconds):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.002)


async def owned(process: Running) -> None:
    """Return when this process has begun with every task of its groups."""
    tasks = sum(plan.tasks for plan in process.plans if plan.processors)

    async def begun() -> bool:
        return sum(bool(each.positions) for each in await process.statistics()) == tasks

    await until(begun)


async def caught_up(process: Running) -> None:
    """Return when every task is owned by this process, and has committed all that is in its inputs."""
    await owned(process)

    async def done() -> bool:
        return all(each.lag == 0 for each in await process.statistics())

    await until(done)


class Collected(Generic[E]):
    """A service that does nothing but keep the events it is sent, in the order they came."""

    def __init__(self, name: str, *types: type[E] | Topic[E]) -> None:
        self.service = Service(name)
        self.events: list[E] = []

        @self.service.on(*types, name="collect")
        async def collect(event: E) -> None:
            self.events.append(event)


def stored(process: Running, group: str, store: Store[V], key: bytes) -> V | None:
    """The committed value of a key, in whichever task has it."""
    plan = next(plan for plan in process.plans if plan.group == group)
    for task in range(plan.tasks):
        values = dict(store.values(process.broker.rows(group, task), process.clock.now_ms()))
        if key in values:
            return values[key]
    return None
