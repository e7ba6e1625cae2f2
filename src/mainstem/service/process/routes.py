"""The routes of a process: ``/livez`` and ``/readyz`` for who looks after it, ``/metrics`` for who measures it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from mainstem.service.process.exposition import CONTENT_TYPE, Tally, exposition
from mainstem.service.process.report import Health
from mainstem.telemetry import heard_by, log
from mainstem.web import Address
from mainstem.web.server import Request, Response, Route, serving

UNAVAILABLE: Final = 503
NOT_KEPT: Final = {"cache-control": "no-store"}


@asynccontextmanager
async def probed(address: Address, look: Callable[[], Awaitable[Health]]) -> AsyncIterator[None]:
    """Answer at this address until the block ends; ``look`` says how the process is."""
    tally = Tally()
    with heard_by(tally.hear):
        async with serving(routes_of(look, tally), address) as taken:
            log.info("http: /livez, /readyz and /metrics at %s", taken)
            yield


def routes_of(look: Callable[[], Awaitable[Health]], tally: Tally) -> list[Route]:
    """The routes. What a probe asks for is in the code of the answer; the body says how the process is, in full."""

    async def livez(_request: Request) -> Response:
        health = await look()
        return _answer(health, good=health.live)

    async def readyz(_request: Request) -> Response:
        health = await look()
        return _answer(health, good=health.ready)

    async def metrics(_request: Request) -> Response:
        # In a thread: it asks gauges, and those ask this event loop.
        return Response(await asyncio.to_thread(exposition, tally), media_type=CONTENT_TYPE)

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]


def _answer(health: Health, *, good: bool) -> Response:
    body = msgspec.json.format(msgspec.json.encode(health), indent=2) + b"\n"
    return Response(body, 200 if good else UNAVAILABLE, NOT_KEPT, "application/json")
