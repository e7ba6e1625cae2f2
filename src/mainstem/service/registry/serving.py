"""The schema registry as an ordinary service: one partition, one handler, and a view in each process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mainstem.delivery import Context
from mainstem.identifiers import Identifiers
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
from mainstem.service.runtime import Running
from mainstem.service.service import Service


def schema_registry(limits: Limits | None = None) -> Service:
    """The service. Any number of processes may run it; one of them carries out what is asked of any."""
    bounds = limits or Limits()
    service = Service(SERVICE, lanes=1, tasks=1, publishes=(RegistryRequest,))
    service.topic(REQUESTS, partitions=1, retention="7d", record_bytes_max=8 * bounds.schema_bytes)
    service.topic(ROWS, partitions=1, compact=True, record_bytes_max=8 * bounds.schema_bytes)
    memory = Memory(
        rows=service.store("rows", bytes, scope="partition"),
        answers=service.store("answers", bytes, scope="partition"),
        ages=service.store("ages", str, scope="partition"),
    )

    @service.on(RegistryRequest, name="carry-out")
    def carried_out(request: RegistryRequest, context: Context) -> list[RegistryRow]:
        return carry_out(request, context, memory, bounds)

    return service


@asynccontextmanager
async def registry_access(
    service: Service, process: Running, identifiers: Identifiers, limits: Limits | None = None
) -> AsyncIterator[Ledger]:
    """The registry of a process in which the service runs; the block begins when the log has been read."""

    async def publish(request: RegistryRequest) -> None:
        await service.publish(request)

    ledger = Ledger(process.broker.log, publish, identifiers, limits or Limits())
    async with ledger.following():
        yield ledger
