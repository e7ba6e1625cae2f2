"""The client, against real servers in the same event loop."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator

import pytest
from starlette.responses import StreamingResponse

from mainstem.errors import DefinitionError, ServerAway
from mainstem.web import Address
from mainstem.web.client import Client, Credentials
from mainstem.web.server import Request, Response, Route, serving

HERE = Address("127.0.0.1", 0)


async def told(request: Request) -> Response:
    """Everything that the server was sent."""
    said = [request.method, request.scope["raw_path"].decode(), request.headers.get("authorization", "")]
    return Response("|".join(said).encode() + b"|" + await request.body(), status_code=int(request.headers["x-status"]))


ROUTES = [Route("/{rest:path}", told, methods=["GET", "POST"])]


def free() -> str:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


async def test_a_request_arrives_as_it_was_given() -> None:
    """Path word for word, body, user and password of the URL; and whatever the status, it is an answer."""
    async with serving(ROUTES, HERE) as address, Client([f"http://us%40er:pa%3Ass@{address}/base/"]) as client:
        reply = await client.ask("POST", "/a%2Fb?c=d", b"body", {"x-status": "404"})
    expected = "Basic " + base64.b64encode(b"us@er:pa:ss").decode()
    assert (reply.status, reply.body) == (404, f"POST|/base/a%2Fb|{expected}|body".encode())
    assert reply.server == f"http://{address}"


async def test_a_token_is_sent() -> None:
    """As a bearer token."""
    async with serving(ROUTES, HERE) as address, Client([f"http://{address}"], Credentials(token="t-1")) as client:
        assert b"Bearer t-1" in (await client.ask("GET", "/", None, {"x-status": "200"})).body


async def test_who_does_not_answer_is_passed_over() -> None:
    """Also who says that it cannot just now; who answered is asked first from then on."""
    async with serving(ROUTES, HERE) as address, Client([free(), f"http://{address}"]) as client:
        assert (await client.ask("GET", "/", None, {"x-status": "200"})).server == f"http://{address}"
        with pytest.raises(ServerAway, match="cannot be asked") as away:
            await client.ask("GET", "/x", None, {"x-status": "503"})
    assert away.value.why.startswith(f"http://{address}: status 503; http://")


async def test_who_speaks_no_tls_is_told_apart() -> None:
    """OpenSSL speaks of a wrong version number; what helps is another beginning of the address."""
    async with serving(ROUTES, HERE) as address, Client([f"https://{address}"]) as client:
        with pytest.raises(ServerAway, match="cannot be asked") as away:
            await client.ask("GET", "/")
    assert away.value.remedy == "name it with http://: it does not speak TLS"


async def test_a_password_is_not_told() -> None:
    """In no error, whether the address can be read or not."""
    with pytest.raises(DefinitionError, match="no address of a server") as refused:
        Client(["ftp://user:secret@host"])
    assert "secret" not in str(refused.value)
    async with Client([free().replace("//", "//user:secret@")]) as client:
        with pytest.raises(ServerAway) as away:
            await client.ask("GET", "/")
    assert "secret" not in str(away.value)


@pytest.mark.parametrize("url", ["", "localhost:8081", "http://", "http://host:port", "http://host?x=1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    """When the client is made, not with the first request."""
    with pytest.raises(DefinitionError, match="no address of a server"):
        Client([url])


def test_certificates_that_are_not_there_are_refused() -> None:
    """When the client is made."""
    with pytest.raises(DefinitionError, match="certificate"):
        Client(["https://host"], Credentials(ca_file="/nowhere.pem"))


async def test_an_answer_without_end_is_given_up() -> None:
    """Neither drops that come on and on nor more than anybody sends keep who asks."""

    async def dripping(_: Request) -> Response:
        async def drops() -> AsyncIterator[bytes]:
            for _ in range(1_000):
                yield b" "
                await asyncio.sleep(0.01)

        return StreamingResponse(drops())

    async def flooding(_: Request) -> Response:
        async def waves() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b" " * 65_536

        return StreamingResponse(waves())

    routes = [Route("/drops", dripping), Route("/waves", flooding)]
    async with (
        serving(routes, HERE) as address,
        Client([f"http://{address}"], timeout_seconds=0.2, answer_bytes=1_000_000) as client,
    ):
        with pytest.raises(ServerAway) as dripped:
            await client.ask("GET", "/drops")
        with pytest.raises(ServerAway) as flooded:
            await client.ask("GET", "/waves")
    assert "TimeoutError" in dripped.value.why
    assert "more than 1000000 bytes" in flooded.value.why
