"""The registry's HTTP API, in each process that runs the registry."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mainstem.clock import Clock
from mainstem.errors import DefinitionError
from mainstem.registry.http import Api, Exposure, Options
from mainstem.registry.ledger import Ledger
from mainstem.service.registry.serving import Surface
from mainstem.telemetry import log


def http_surface(exposure: Exposure, options: Options | None = None) -> Surface:
    """Answer there. Raises ``StartRefused`` where no registry may listen, and ``DefinitionError`` without a server."""
    exposure.check()
    try:
        # An extra, loaded when used.
        from mainstem.web.server import everything, serving  # noqa: PLC0415
    except ImportError as error:
        raise DefinitionError(
            "the HTTP server is not installed", why=str(error), remedy="pip install 'mainstem[registry]'"
        ) from error

    @asynccontextmanager
    async def answering(ledger: Ledger, clock: Clock) -> AsyncIterator[None]:
        api = Api(ledger, clock, exposure, options)
        async with serving([everything(api.answer)], exposure.address, exposure.tls) as taken:
            log.info("the schema registry answers at %s", taken)
            yield

    return answering
