"""A registry behind a real socket, in a thread of its own, for clients that wait."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mainstem.clock import SystemClock
from mainstem.registry.contents import InMemory
from mainstem.registry.http import Api, Exposure
from mainstem.web import Address
from mainstem.web.server import everything, serving


@contextmanager
def listening(exposure: Exposure | None = None) -> Iterator[Address]:
    """Serve an empty registry at 127.0.0.1 until the block ends."""
    exposure = exposure or Exposure(Address("127.0.0.1", 0))
    taken: list[Address] = []
    up = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        api = Api(InMemory(SystemClock()), SystemClock(), exposure, audit=lambda _deed: None)
        async with serving([everything(api.answer)], exposure.address, exposure.tls) as address:
            taken.append(address)
            up.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert up.wait(30)
    try:
        yield taken[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        loop.close()
