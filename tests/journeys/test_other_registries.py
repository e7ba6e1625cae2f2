"""Registries that are not ours, and know less: what they leave out is asked otherwise, or done here."""

import json
from urllib.parse import unquote

import pytest

from mainstem import IntegrationEvent
from mainstem.clock import SystemClock
from mainstem.errors import RegistryRefused, ServerAway
from mainstem.events import Event, declaration_of
from mainstem.registry import LocalRegistry
from mainstem.registry.contents import InMemory
from mainstem.schemas.documents import Format, Schema
from mainstem.schemas.registries import Registered, RemoteRegistry
from mainstem.service.promises import Stated, objections, registered, stated_by
from mainstem.web import Address
from mainstem.web.client import Client
from mainstem.web.server import Request, Response, Route, serving


class Paid(IntegrationEvent, topic="payments", key="order", name="Paid"):
    order: str
    cents: int = 0


class PaidAndMore(IntegrationEvent, topic="payments", key="order", name="Paid"):
    order: str
    cents: int = 0
    currency: str = "EUR"


class PaidOtherwise(IntegrationEvent, topic="payments", key="order", name="Paid"):
    order: int
    cents: int = 0


class Strict(LocalRegistry):
    """One that has no policy for JSON Schema but its own, in which no field may be added to an open object."""

    async def compares(self, subject: str, kind: Format) -> bool:  # noqa: ARG002 - whichever it is
        """As the protocol says."""
        return kind != "JSON"

    async def set_alias(self, name: str, subject: str | None) -> None:  # noqa: ARG002 - whichever it is
        """It has no aliases, and fails over the question."""
        raise ServerAway(f"the registry answers 500: no level for {name}")


class Coded(LocalRegistry):
    """One that refuses with a code of its own."""

    def __init__(self, code: int) -> None:
        super().__init__(InMemory(SystemClock()))
        self.code = code

    async def register(
        self, subject: str, schema: Schema, *, normalize: bool = False, version: int | None = None
    ) -> Registered:
        """As the protocol says."""
        try:
            return await super().register(subject, schema, normalize=normalize, version=version)
        except RegistryRefused as refused:
            raise RegistryRefused(refused.what, self.code) from refused


def stated(type_: type[Event]) -> Stated:
    """What a service states about one event type."""
    [one] = stated_by("till", [declaration_of(type_)])
    return one


async def test_where_a_registry_is_too_strict_we_compare() -> None:
    """A field with a default may come, and what breaks readers is refused, before the registry is asked to take it."""
    registry = Strict(InMemory(SystemClock()))
    assert (await registered(stated(Paid), registry)).version == 1
    assert await registry.level("Paid") == "NONE"
    assert list(await objections(stated(PaidAndMore), registry)) == []
    assert (await registered(stated(PaidAndMore), registry)).version == 2
    assert (await registered(stated(Paid), registry)).version == 1
    [backward, forward] = await objections(stated(PaidOtherwise), registry)
    assert backward.startswith("/properties/order/type: ")
    assert backward.endswith("level FULL_TRANSITIVE: the new one is to read versions 1, 2")
    assert forward.endswith("level FULL_TRANSITIVE: versions 1, 2 are to read the new one")
    with pytest.raises(RegistryRefused, match="may not follow"):
        await registered(stated(PaidOtherwise), registry)
    assert list(await registry.versions("Paid")) == [1, 2]


@pytest.mark.parametrize("code", [409, 40901])
async def test_a_refusal_says_what_to_do(code: int) -> None:
    """Whichever code a registry has for what may not follow: it tells no reasons that a person could act on."""
    registry = Coded(code)
    await registered(stated(Paid), registry)
    with pytest.raises(RegistryRefused, match="the schema of Paid may not follow what is registered") as refused:
        await registered(stated(PaidOtherwise), registry)
    assert "count version= up" in str(refused.value)


async def test_a_registry_that_knows_fewer_parameters_is_asked_for_more() -> None:
    """The global level where a subject has none, and the names of one context where all are told."""

    async def answer(request: Request) -> Response:
        path = unquote(request.url.path)
        if path == "/subjects":
            return Response(json.dumps([":.shop:a", "b", ":.till:c", "bc"]).encode())
        if path == "/config":
            return Response(b'{"compatibilityLevel": "FORWARD"}')
        if path == "/config/own":
            return Response(b'{"compatibilityLevel": "FULL"}')
        return Response(b'{"error_code": 40401, "message": "no such subject"}', status_code=404)

    routes = [Route("/{rest:path}", answer, methods=["GET"])]
    async with serving(routes, Address("127.0.0.1", 0)) as address, Client([f"http://{address}"]) as client:
        registry = RemoteRegistry(client)
        assert [await registry.level(each) for each in ("own", "other")] == ["FULL", "FORWARD"]
        assert await registry.compares("other", "AVRO")
        assert not await registry.compares("other", "JSON")
        assert await registry.subjects(":.shop:") == [":.shop:a"]
        assert await registry.subjects("b") == ["b", "bc"]
        assert await registry.subjects(":*:") == [":.shop:a", ":.till:c", "b", "bc"]
