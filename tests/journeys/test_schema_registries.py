"""One interface to registries: the same whoever keeps it, in this process, in a folder, on a broker, or behind HTTP."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mainstem.clock import SystemClock
from mainstem.errors import RegistryRefused, ServerAway
from mainstem.identifiers import Identifiers
from mainstem.registry import LocalRegistry
from mainstem.registry.contents import InMemory, Limits
from mainstem.registry.folder import FolderRegistry
from mainstem.registry.ledger import Ledger, RegistryRequest
from mainstem.schemas.documents import Reference, Schema
from mainstem.schemas.registries import Remembering, RemoteRegistry, SchemaRegistry
from mainstem.service import connected
from mainstem.service.registry import registry_access, schema_registry
from mainstem.web import Address
from mainstem.web.client import Client
from mainstem.web.server import Request, Response, Route, serving
from tests.rooms.registry.http.live import listening

NOTED = '{{"type":"record","name":"Noted","fields":[{{"name":"text","type":"string"}}{more}]}}'
FIRST = Schema(NOTED.format(more=""))
SECOND = Schema(NOTED.format(more=',{"name":"by","type":"string","default":""}'))
OTHER = Schema(NOTED.format(more=',{"name":"by","type":"int"}'))


@asynccontextmanager
async def registry_of(kind: str) -> AsyncIterator[SchemaRegistry]:
    """An empty one."""
    async with AsyncExitStack() as stack:
        if kind == "in memory":
            yield LocalRegistry(InMemory(SystemClock()))
        elif kind == "in a folder":
            folder = stack.enter_context(TemporaryDirectory())
            yield LocalRegistry(FolderRegistry(Path(folder), SystemClock()))
        elif kind == "on a broker":
            service = schema_registry()
            await stack.enter_async_context(service.running(broker="sqlite:///:memory:", dev=True))
            yield LocalRegistry(await stack.enter_async_context(registry_access(service)))
        else:
            address = stack.enter_context(listening())
            remote = RemoteRegistry(await stack.enter_async_context(Client([f"http://{address}"])))
            yield Remembering(remote) if kind == "remembered" else remote


@pytest.mark.parametrize("kind", ["in memory", "in a folder", "on a broker", "over HTTP", "remembered"])
async def test_a_registry_is_asked_in_one_way(kind: str) -> None:
    """Versions, ids, levels, references and refusals."""
    async with registry_of(kind) as registry:
        assert await registry.version("notes", "latest") is None
        assert list(await registry.versions("notes")) == []
        assert await registry.lookup("notes", FIRST) is None
        first = await registry.register("notes", FIRST)
        assert (first.version, first.schema) == (1, FIRST)
        assert await registry.register("notes", FIRST) == first
        assert await registry.lookup("notes", FIRST) == first
        second = await registry.register("notes", SECOND)
        assert list(await registry.versions("notes")) == [1, 2]
        assert second.id != first.id
        latest = await registry.version("notes", "latest")
        assert latest is not None
        assert (latest.version, latest.id, latest.guid) == (2, second.id, second.guid)
        assert (await registry.by_id(first.id)).text == FIRST.text
        assert first.guid is not None
        assert (await registry.by_guid(first.guid)).text == FIRST.text
        with pytest.raises(RegistryRefused, match="409") as refused:
            await registry.register("notes", OTHER)
        assert refused.value.error_code in (409, 40901)
        assert "by" in " ".join(await registry.problems("notes", OTHER))
        assert list(await registry.problems("nobody", OTHER)) == []
        assert await registry.level("notes") == "BACKWARD"
        await registry.set_level("notes", "NONE", "LENIENT")
        assert await registry.level("notes") == "NONE"
        assert (await registry.register("notes", OTHER)).version == 3
        uses = Schema('["null", "Noted"]', references=(Reference("Noted", "notes", 1),))
        assert (await registry.register("uses", uses)).version == 1
        assert (await registry.register(":.shop:notes", FIRST)).subject == ":.shop:notes"
        assert list(await registry.subjects()) == ["notes", "uses"]
        assert list(await registry.subjects("us")) == ["uses"]
        assert list(await registry.subjects(":*:")) == [":.shop:notes", "notes", "uses"]
        with pytest.raises(RegistryRefused, match="40403"):
            await registry.by_id(9_999)


async def test_what_cannot_change_is_asked_once() -> None:
    """A schema of an id, and the id of a schema; not what is the last version."""
    async with registry_of("in memory") as registry:
        remembered = Remembering(registry)
        first = await remembered.register("notes", FIRST)
        await registry.register("notes", SECOND)
        assert await remembered.lookup("notes", FIRST) is first
        assert await remembered.by_id(first.id) is await remembered.by_id(first.id)
        latest = await remembered.version("notes", "latest")
        assert latest is not None
        assert latest.version == 2


async def test_an_id_of_one_context_is_not_remembered_for_another() -> None:
    """Nor for a subject that says no context: it is looked for in all of them."""
    async with registry_of("in memory") as registry:
        remembered = Remembering(registry)
        await registry.register(":.north:notes", FIRST)
        await registry.register(":.south:uses", SECOND)
        for subject, schema in ((":.north:notes", FIRST), (":.south:", SECOND), ("notes", FIRST), ("uses", SECOND)):
            assert await remembered.by_id(1, subject) == schema
        with pytest.raises(RegistryRefused, match="40403"):
            await remembered.by_id(1, ":.north")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"error_code": 50001, "message": "the store is away"}'),
        (500, b"<html>"),
        (429, b'{"error_code": 50029, "message": "too many"}'),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b"null"),
        (200, b'{"version": "\xff"}'),
        (200, b'{"metadata":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001),
        (200, b'{"version": 1e999, "id": 1}'),
        (302, b""),
        (400, b"<html>"),
        (404, b"<html>default backend</html>"),
        (404, b'{"message": "no route"}'),
        (405, b""),
    ],
    ids=lambda each: str(each)[:30],
)
async def test_what_is_no_verdict_is_no_refusal(status: int, body: bytes) -> None:
    """A registry that has failed, and a server that is none, stop nobody from starting."""

    async def answer(_: Request) -> Response:
        return Response(body, status_code=status)

    routes = [Route("/{rest:path}", answer, methods=["GET", "POST"])]
    async with serving(routes, Address("127.0.0.1", 0)) as address, Client([f"http://{address}"]) as client:
        registry = RemoteRegistry(client)
        problems = registry.problems("notes", FIRST)
        for asked in (registry.lookup("notes", FIRST), registry.version("notes", "latest"), problems):
            with pytest.raises(ServerAway, match=r"the registry answers 50|no registry of schemas"):
                await asked


async def test_a_log_that_cannot_be_read_is_no_verdict() -> None:
    """A registry on a broker says so too, and that it may do so later."""

    async def publish(_: RegistryRequest) -> None:
        """Nothing is written here."""

    clock = SystemClock()
    async with connected("sqlite:///:memory:", clock, Identifiers(clock)) as backend:
        registry = LocalRegistry(Ledger(backend.log, publish, Identifiers(clock), Limits()))
        with pytest.raises(ServerAway, match="the registry answers 50"):
            await registry.lookup("notes", FIRST)
