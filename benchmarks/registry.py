"""Requests a second to the schema registry over HTTP, beside a server of the same library that answers a constant.

Server and client share a process and its event loop, so the cost of the client, which is the same in all cases, is in
every figure.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from benchmarks.harness import Case, Measurement, Report, Stopwatch, cpu_ratio, interleaved, median_speed, scratch
from mainstem import running
from mainstem.clock import SystemClock
from mainstem.registry.contents import Access, InMemory
from mainstem.registry.http import Api
from mainstem.service.registry import registry_access, schema_registry
from mainstem.web import Address
from mainstem.web.server import BaseRoute, Request, Response, Route, everything, serving

CONNECTIONS = 16
MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
Requests = Callable[[int], bytes]


def body(number: int) -> bytes:
    """A schema of a few fields, and another for each number."""
    fields = [{"name": f"f{each}", "type": "string"} for each in range(8)]
    return json.dumps({"schema": json.dumps({"type": "record", "name": f"R{number}", "fields": fields})}).encode()


def get(path: str) -> Requests:
    """The same question again and again."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {MEDIA_TYPE}\r\n\r\n".encode()
    return lambda _number: request


def register(number: int) -> bytes:
    """A new schema in a subject of its own."""
    content = body(number)
    head = f"POST /subjects/s{number}/versions HTTP/1.1\r\nHost: localhost\r\nContent-Type: {MEDIA_TYPE}\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


async def ask(address: Address, requests: Requests, numbers: range) -> None:
    """One connection, one request after the other."""
    reader, writer = await asyncio.open_connection(*address)
    for number in numbers:
        writer.write(requests(number))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.partition(b"\r\n")[0], head
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
        await reader.readexactly(int(length))
    writer.close()
    await writer.wait_closed()


async def constant(_request: Request) -> Response:
    """As many bytes as a schema has."""
    return Response(body(1), media_type=MEDIA_TYPE)


@asynccontextmanager
async def in_memory() -> AsyncIterator[Access]:
    """A registry without a broker."""
    yield InMemory(SystemClock())


@asynccontextmanager
async def on_a_file() -> AsyncIterator[Access]:
    """The registry as it is served: on the embedded broker, every write durable."""
    service = schema_registry()
    with scratch("registry") as folder:
        async with running(service, broker=f"sqlite:///{folder}/log.db", dev=True), registry_access(service) as access:
            yield access


async def timed(route: BaseRoute, requests: Requests, count: int) -> Measurement:
    """Ask over sixteen connections; there is one schema before."""
    async with serving([route], Address("127.0.0.1", 0)) as address:
        await ask(address, requests if requests is not register else get("/"), range(1))
        share = count // CONNECTIONS
        with Stopwatch() as watch:
            await asyncio.gather(
                *(
                    ask(address, requests, range(1 + each * share, 1 + (each + 1) * share))
                    for each in range(CONNECTIONS)
                )
            )
    return watch.measured(share * CONNECTIONS)


async def bare(count: int) -> Measurement:
    """The server alone."""
    return await timed(Route("/schemas/ids/1", constant), get("/schemas/ids/1"), count)


async def registry(
    kept: Callable[[], AbstractAsyncContextManager[Access]], requests: Requests, count: int
) -> Measurement:
    """A registry that is kept somewhere."""
    async with kept() as access:
        async with serving([everything(Api(access, SystemClock()).answer)], Address("127.0.0.1", 0)) as first:
            await ask(first, register, range(1))
        return await timed(everything(Api(access, SystemClock()).answer), requests, count)


def measured(case: Callable[[int], Coroutine[None, None, Measurement]], count: int) -> Measurement:
    """Run one in an event loop of its own."""
    return asyncio.run(case(count))


def main() -> None:
    """Run all, in turns."""
    parser = argparse.ArgumentParser(description="requests a second to the schema registry, and to a bare server")
    parser.add_argument(
        "--count", type=int, default=4_000, help="requests in a run; a tenth of it are registered on a file"
    )
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    lookup = get("/schemas/ids/1")
    count = options.count
    cases: dict[str, Case] = {
        "bare": partial(measured, bare, count),
        "lookup": partial(measured, partial(registry, in_memory, lookup), count),
        "lookup_on_file": partial(measured, partial(registry, on_a_file, lookup), count),
        "register": partial(measured, partial(registry, in_memory, register), count),
        "register_on_file": partial(measured, partial(registry, on_a_file, register), max(count // 10, CONNECTIONS)),
    }
    turns = interleaved(cases, options.repetitions)
    report = Report("requests a second over 16 connections; a ratio is of CPU time, of the bare server's")
    for name, found in turns.items():
        ratios = {} if name == "bare" else {"bare": cpu_ratio(found, turns["bare"])}
        report.add(name, median_speed(found), "1/s", **ratios)
    report.show()


if __name__ == "__main__":
    main()
