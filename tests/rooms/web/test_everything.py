"""A route for every path: what it is handed, what it bounds, and what a failure looks like."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from mainstem.errors import DefinitionError
from mainstem.web import Address, Answer, Asked, BodyLimits, BodyRefused, Tls, endpoint
from mainstem.web.connection import Connection
from mainstem.web.server import everything, serving
from tests.rooms.web.certificates import Authority

HERE = Address("127.0.0.1", 0)


async def told(asked: Asked) -> Answer:
    """Say what was asked."""
    if asked.path == "/fails":
        raise RuntimeError("a bug")
    try:
        body = await asked.read()
    except BodyRefused as refused:
        return Answer(refused.status, refused.why.encode(), "text/plain")
    seen = [asked.method, asked.path, asked.query, asked.headers.get("x-a"), asked.encrypted, asked.common_name]
    return Answer(200, json.dumps([*seen, len(body)]).encode(), headers={"x-b": "b"})


@asynccontextmanager
async def listening(limits: BodyLimits | None = None, tls: Tls | None = None) -> AsyncIterator[Address]:
    """Serve it."""
    async with serving([everything(told, limits)], HERE, tls) as address:
        yield address


async def send(address: Address, request: bytes, context: ssl.SSLContext | None = None) -> tuple[int, str]:
    """Send bytes, and read the status and the body of the answer to its end."""
    reader, writer = await asyncio.open_connection(*address, ssl=context)
    try:
        writer.write(request)
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        return int(head.split(" ")[1]), body
    finally:
        writer.close()


def request(line: str, *headers: str, body: str = "") -> bytes:
    """A request that ends its connection."""
    return "\r\n".join([f"{line} HTTP/1.1", "Host: x", "Connection: close", *headers, "", body]).encode()


@pytest.mark.parametrize("path", ["/", "/a%2Fb/c", "//", "/%0A", "/%C3%A9%22%7B%7D", "/a/b/"])
async def test_a_path_comes_as_it_was_sent(path: str) -> None:
    """Nothing is decoded, and nothing put right: only so are two names told from one with a slash in it."""
    async with listening() as address:
        status, body = await send(address, request(f"PATCH {path}?q=%20", "X-A: 1", "x-a: 2"))
    assert (status, json.loads(body)) == (200, ["PATCH", path, "q=%20", "1, 2", False, None, 0])


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (["Content-Length: 10"], "0123456789", 200),
        (["Content-Length: 11"], "", 413),
        (["Content-Length: 9999999999999"], "", 413),
        (["Transfer-Encoding: chunked"], "9\r\n012345678\r\n0\r\n\r\n", 200),
        (["Transfer-Encoding: chunked"], "9\r\n012345678\r\n9\r\n012345678\r\n0\r\n\r\n", 413),
        (["Content-Length: 10"], "0123", 408),
    ],
)
async def test_a_body_is_bounded(headers: list[str], body: str, status: int) -> None:
    """In bytes, whether or not its length is told, and in time."""
    async with listening(BodyLimits(body_bytes=10, body_seconds=0.1)) as address:
        assert (await send(address, request("POST /", *headers, body=body)))[0] == status


@pytest.mark.parametrize("body", [b"x" * 40_000_000, iter([b"x" * 1_000_000] * 40)], ids=["at once", "in chunks"])
async def test_who_sends_too_much_reads_why(body: bytes | Iterator[bytes]) -> None:
    """An ordinary client sends all it has before it reads: were it cut off, it would see a broken connection."""

    def ask(address: Address) -> tuple[int, bytes]:
        client = HTTPConnection(*address, timeout=20)
        try:
            client.request("POST", "/", body, {"Connection": "close"})
            answer = client.getresponse()
            return answer.status, answer.read()
        finally:
            client.close()

    async with listening(BodyLimits(body_bytes=1_000)) as address:
        status, why = await asyncio.to_thread(ask, address)
    assert (status, b"more than 1000" in why or b"at most 1000" in why) == (413, True)


async def test_who_sends_without_end_is_not_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind its answer so much of a body is taken, and then the connection is closed."""
    monkeypatch.setattr(endpoint, "LINGERED_BYTES", 1_000_000)
    head, piece, sent = request("POST /", "Content-Length: 9999999999"), b"x" * 100_000, 0
    async with listening(BodyLimits(body_bytes=1_000)) as address:
        _, writer = await asyncio.open_connection(*address)
        writer.write(head)
        with suppress(ConnectionError):
            while sent < 1_000_000_000:
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
        writer.transport.abort()
    assert sent < 50_000_000


async def test_a_head_is_bounded() -> None:
    """A request that sends headers for ever is refused, and its connection closed before it has read the answer."""
    for endless in (request("GET /", *["X-A: " + "a" * 10_000] * 200), request("GET /" + "a" * 2_000_000)):
        async with listening() as address:
            try:
                assert (await send(address, endless))[0] == 431
            except ConnectionError:
                continue


async def test_requests_that_wait_bound_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks thousands of times without waiting for an answer takes no more memory than a few requests."""
    turn, received, take = asyncio.Semaphore(0), 0, Connection.data_received

    def count(connection: Connection, data: bytes) -> None:
        nonlocal received
        received += len(data)
        take(connection, data)

    async def in_turn(_asked: Asked) -> Answer:
        await turn.acquire()
        return Answer(200, b"here")

    monkeypatch.setattr(Connection, "data_received", count)
    asked = b"\r\n".join([b"GET / HTTP/1.1", b"Host: x", b"X-A: " + b"a" * 10_000, b"", b""])
    async with serving([everything(in_turn)], HERE, None) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(asked * 3_000)
        for _ in range(100):
            turn.release()
            await asyncio.wait_for(reader.readuntil(b"here"), 10)
        writer.transport.abort()
        assert 100 * len(asked) <= received <= 300 * len(asked)


async def test_a_failure_is_an_answer() -> None:
    """A bug in one answer is logged, and says nothing of itself to who asked."""
    async with listening() as address:
        status, body = await send(address, request("GET /fails"))
    assert (status, "its log says why" in json.loads(body)["message"], "bug" in body) == (500, True, False)


async def test_a_certificate_names_the_client(tmp_path: Path) -> None:
    """Its common name is known where a known authority has signed it; without one there is none."""
    authority = Authority(tmp_path)
    context = ssl.create_default_context(cafile=str(authority.file))
    async with listening(tls=Tls(*authority.sign("server"), authority.file)) as address:
        without = await send(address, request("GET /"), context)
        context.load_cert_chain(*authority.sign("billing"))
        shown = await send(address, request("GET /"), context)
    assert [json.loads(body)[4:6] for _, body in (without, shown)] == [[True, None], [True, "billing"]]


async def test_a_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    """Whoever signs for himself is nobody."""
    authority, stranger = Authority(tmp_path), Authority(tmp_path_of(tmp_path, "stranger"))
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(*stranger.sign("billing"))
    async with listening(tls=Tls(*authority.sign("server"), authority.file)) as address:
        with pytest.raises((ssl.SSLError, ConnectionError, IndexError)):
            await send(address, request("GET /"), context)


def tmp_path_of(folder: Path, name: str) -> Path:
    """A folder in it."""
    (made := folder / name).mkdir()
    return made


async def test_a_certificate_that_is_none_stops_the_start(tmp_path: Path) -> None:
    """Before anything listens."""
    (tmp_path / "a.pem").write_text("none")
    with pytest.raises(DefinitionError, match="certificate of the server"):
        async with listening(tls=Tls(tmp_path / "a.pem", tmp_path / "b.key")):
            pass
