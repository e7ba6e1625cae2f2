"""The schema registry as an ordinary service: one partition, one handler, and a view in each process."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

from mainstem.clock import Clock
from mainstem.delivery import Context
from mainstem.registry.contents import Limits
from mainstem.registry.ledger import (
    REQUESTS,
    ROWS,
    SERVICE,
    Ledger,
    Memory,
    RegistryRequest,
    RegistryRow,
    carry_out,
)
from mainstem.service.service import Service

Surface: TypeAlias = Callable[[Ledger, Clock], AbstractAsyncContextManager[object]]
"""What makes a registry reachable while a process runs it; what it gives is its own affair."""

_RECORD_TO_TEXT = 8
"""A text is written as JSON, where a character may take six bytes, and it is not alone in its record."""


def schema_registry(limits: Limits | None = None, surface: Surface | None = None) -> Service:
    """The service. Any number of processes may run it; one of them carries out what is asked of any.

    ``surface`` is opened in each process, with the registry as it is reached there, and closed when the process ends.
    """
    bounds = limits or Limits()
    service = Service(SERVICE, lanes=1, tasks=1, publishes=(RegistryRequest,))
    largest = _RECORD_TO_TEXT * bounds.schema_bytes
    service.topic(REQUESTS, partitions=1, retention="7d", record_bytes_max=largest)
    service.topic(ROWS, partitions=1, compact=True, record_bytes_max=largest)
    memory = Memory(
        rows=service.store("rows", bytes, scope="partition"),
        answers=service.store("answers", bytes, scope="partition"),
        ages=service.store("ages", str, scope="partition"),
    )

    @service.on(RegistryRequest, name="carry-out")
    def carried_out(request: RegistryRequest, context: Context) -> list[RegistryRow]:
        return carry_out(request, context, memory, bounds)

    if surface is not None:
        chosen = surface

        async def reachable() -> AsyncIterator[Ledger]:
            async with registry_access(service, bounds) as ledger, chosen(ledger, service.reaches[-1].publisher.clock):
                yield ledger

        service.provide(Ledger, reachable)
    return service


@asynccontextmanager
async def registry_access(service: Service, limits: Limits | None = None) -> AsyncIterator[Ledger]:
    """The registry of a process in which the service runs; the block begins when the log has been read."""

    async def publish(request: RegistryRequest) -> None:
        await service.publish(request)

    reach = service.reaches[-1]
    ledger = Ledger(reach.broker.log, publish, reach.publisher.identifiers, limits or Limits())
    async with ledger.following():
        yield ledger
