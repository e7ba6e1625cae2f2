"""The server, in the event loop of its process."""

import asyncio
import signal

import pytest

from mainstem.errors import DefinitionError
from mainstem.web import Address
from mainstem.web.server import Request, Response, Route, serving

HERE = Address("127.0.0.1", 0)


async def hello(request: Request) -> Response:
    """Greet."""
    return Response(f"hello {request.path_params['name']}")


async def get(address: Address, path: str) -> str:
    """Ask, and read to the end."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    try:
        return (await reader.read()).decode()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_route_answers_until_the_block_ends() -> None:
    """In the same loop; afterwards nobody listens. It says neither what it is nor what time it has."""
    async with serving([Route("/hello/{name}", hello)], HERE) as address:
        head, _, body = (await get(address, "/hello/you")).partition("\r\n\r\n")
        assert (head.splitlines()[0], body) == ("HTTP/1.1 200 OK", "hello you")
        assert "server:" not in head
        assert (await get(address, "/nothing")).startswith("HTTP/1.1 404")
    with pytest.raises(OSError, match=r"refused|Connect"):
        await get(address, "/hello/you")


async def test_signals_stay_with_the_process() -> None:
    """A program says itself what a signal does to it."""
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    async with serving([], HERE):
        assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before


async def test_a_port_that_is_taken_is_refused() -> None:
    """Before anything is served."""
    async with serving([], HERE) as address:
        with pytest.raises(DefinitionError, match="cannot listen"):
            async with serving([], address):
                pass
