"""The server: routes of any room, in the event loop of the process, so that a handler reads what the process knows.

It stands on ASGI: Starlette routes, uvicorn serves. A program that has an ASGI application of its own can mount the
same routes in it. Which signals end the process, what is logged and where, is not the server's business.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mainstem.telemetry import log
from mainstem.web.address import Address
from mainstem.web.connection import Connection
from mainstem.web.endpoint import everything
from mainstem.web.tls import Tls

GRACE_SECONDS: Final = 1
"""How long an answer that is on its way may take when the server ends."""

__all__ = ["BaseRoute", "Request", "Response", "Route", "everything", "serving"]


class _Server(uvicorn.Server):
    """A server that leaves signals to the process, and says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


@asynccontextmanager
async def serving(routes: Sequence[BaseRoute], address: Address, tls: Tls | None = None) -> AsyncIterator[Address]:
    """Serve routes in this event loop until the block ends; gives the address with the port that was taken.

    Raises ``DefinitionError`` where nobody can listen there, or the certificate cannot be used.
    """
    context = tls.context() if tls is not None else None
    with address.listen() as opened:
        taken = address._replace(port=opened.getsockname()[1])
        server = _Server(
            uvicorn.Config(
                Starlette(routes=routes),
                access_log=False,
                date_header=False,
                http=Connection,
                lifespan="off",
                log_config=None,
                log_level="warning",
                # Who has asked is decided where it matters, and never by what a client says of itself.
                proxy_headers=False,
                server_header=False,
                ssl_context_factory=None if context is None else lambda _config, _default: context,
                timeout_graceful_shutdown=GRACE_SECONDS,
                ws="none",
            )
        )
        async with _served(server, opened):
            yield taken


@asynccontextmanager
async def _served(server: _Server, opened: socket.socket) -> AsyncIterator[None]:
    task = asyncio.create_task(server.serve([opened]), name="http server")
    task.add_done_callback(_ended)
    up = asyncio.create_task(server.up.wait())
    try:
        await asyncio.wait([task, up], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield
    finally:
        up.cancel()
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)


def _ended(task: "asyncio.Task[None]") -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("the HTTP server has failed: %s", error)
