"""The real client, over TLS, as somebody; and our own."""

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from mainstem.registry.http import Account, Accounts, Exposure, Grant, Password, Token
from mainstem.schemas import documents
from mainstem.schemas.registries import RemoteRegistry
from mainstem.web import Address, Tls
from mainstem.web.client import Client, Credentials
from tests.rooms.registry.http.live import listening
from tests.rooms.web.certificates import Authority

ALL = (Grant("", frozenset(("read", "register", "configure", "delete"))),)
STRING = '"string"'


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Who signs."""
    return Authority(tmp_path)


@pytest.fixture
def exposure(authority: Authority) -> Exposure:
    """TLS, and three accounts."""
    accounts = (
        Account("ann", ALL, str(Password.hashed("secret", b"salt", 10))),
        Account("ci", ALL, token=str(Token.hashed("random"))),
        Account("billing", (Grant("billing.", frozenset(("read", "register"))),), certificate="billing"),
    )
    tls = Tls(*authority.sign("server"), authority.file)
    return Exposure(Address("127.0.0.1", 0), tls, Accounts(accounts))


def test_the_real_client_says_who_it_is(authority: Authority, exposure: Exposure) -> None:
    """By password, by token and by certificate; and nobody is nobody."""
    certificate, key = authority.sign("billing")
    shown: list[dict[str, Any]] = [
        {"basic.auth.user.info": "ann:secret"},
        {
            "bearer.auth.credentials.source": "STATIC_TOKEN",
            "bearer.auth.token": "random",
            "bearer.auth.logical.cluster": "lsrc-1",
        },
        {"ssl.certificate.location": str(certificate), "ssl.key.location": str(key)},
    ]
    with listening(exposure) as address:
        common = {"url": f"https://{address}", "ssl.ca.location": str(authority.file), "max.retries": 0}
        for each in shown:
            with SchemaRegistryClient({**common, **each}) as client:
                assert client.register_schema("billing.paid", Schema(STRING, "AVRO")) == 1
        for wrong in ({}, {"basic.auth.user.info": "ann:other"}):
            with SchemaRegistryClient({**common, **wrong}) as client, pytest.raises(SchemaRegistryError) as refused:
                client.get_subjects()
            assert (refused.value.http_status_code, refused.value.error_code) == (401, 401)
        with SchemaRegistryClient({**common, **shown[2]}) as client, pytest.raises(SchemaRegistryError) as refused:
            client.register_schema("orders", Schema(STRING, "AVRO"))
        assert (refused.value.http_status_code, refused.value.error_code) == (403, 403)


async def test_our_own_client_is_one_of_them(authority: Authority, exposure: Exposure) -> None:
    """What it asks for it is given, by id, GUID, version and schema, through TLS and with a token."""
    schema = documents.Schema(json.dumps({"type": "object"}), "JSON")
    credentials = Credentials(token="random", ca_file=str(authority.file))
    with listening(exposure) as address:
        async with Client([f"https://{address}"], credentials) as client:
            registry = RemoteRegistry(client)
            registered = await registry.register("a/b", schema)
            assert (registered.id, registered.version) == (1, 1)
            assert (await registry.by_id(1)).format == "JSON"
            assert (await registry.by_guid(registered.guid or "")).text == '{"type":"object"}'
            assert await registry.lookup("a/b", schema) == registered
            assert await registry.lookup("a/b", documents.Schema('{"type":"string"}', "JSON")) is None
            assert (await registry.version("a/b", "latest")) is not None
            assert await registry.version("none", 1) is None
            assert (await registry.versions("a/b"), await registry.subjects("a")) == ([1], ["a/b"])
            await registry.set_level("a/b", "FULL")
            assert await registry.level("a/b") == "FULL"
            assert await registry.problems("a/b", schema) == ()
            assert len(await registry.problems("a/b", documents.Schema('{"type":"string"}', "JSON"))) > 0
