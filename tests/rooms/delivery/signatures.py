"""Events, provided things, and a stand-in for the context, for tests of signatures."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from mainstem.delivery import Context, Processor, Registration, compile_handler
from mainstem.events import DomainEvent, IntegrationEvent, Topic


class Paid(IntegrationEvent, topic="orders", key="order"):
    """What most handlers take."""

    order: str


class Shipped(IntegrationEvent, topic="parcels", key="order"):
    """Something else."""

    order: str


class Counted(DomainEvent, topic="counts", service="shop"):
    """What handlers publish."""

    n: int = 0


@dataclass
class Foreign:
    """An event of somebody else."""

    order: str


FOREIGN = Topic("foreign", Foreign, key="order", envelope=None)


class Bank:
    """Something that is provided."""


class Clerk:
    """Something that nobody provides."""


class Structural(Protocol):
    """What some events look like."""

    order: str


class Outputs:
    """Stands in for the context: collects what is published, and says where the event stands."""

    topic, partition, offset, event_id = "orders", 0, 7, "e-7"

    def __init__(self) -> None:
        """Nothing yet."""
        self.published: list[object] = []

    def publish(self, event: object) -> None:
        """Refuse what is negative."""
        if isinstance(event, Counted) and event.n < 0:
            raise ValueError("refused")
        self.published.append(event)


BANK = Bank()


def compiled(function: Callable[..., object], *types: object, **options: Any) -> Processor:
    """The processor of a handler for ``Paid``, unless other types are given."""
    given = cast("tuple[type[object], ...]", types or (Paid,)) if "timer" not in options else ()
    registration = Registration(function=function, name="handler", types=given, **options)
    return compile_handler(registration, {Bank: BANK})


def called(processor: Processor, event: object = "event") -> tuple[object, list[object]]:
    """What a call returns, and what it publishes by itself."""
    outputs = Outputs()
    result = processor.call(event, cast("Context", outputs))
    if isinstance(result, Awaitable):

        async def wait() -> object:
            return await cast("Awaitable[object]", result)

        result = asyncio.run(wait())
    return result, outputs.published
