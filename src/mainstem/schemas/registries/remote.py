"""A registry behind HTTP: ours, or any other that speaks as Confluent's does.

The interface is documented as "Schema Registry API Reference"; what is asked here is understood by Confluent's
registry, Karapace and Apicurio alike.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from mainstem.errors import RegistryRefused
from mainstem.schemas.compatibility import Level, Policy
from mainstem.schemas.documents import Format, Reference, Schema
from mainstem.schemas.registries.registry import MEDIA_TYPE, Registered
from mainstem.schemas.registries.replies import NOT_FOUND, code_of, granted, read
from mainstem.web.client import Client, Reply

_NOT_UNDERSTOOD: Final = frozenset({400, 422})
_HEADERS: Final = {
    "accept": f"{MEDIA_TYPE}, application/json",
    # So that the answer to a registration names the version, and no second request is needed.
    "confluent-accept-unknown-properties": "true",
    "content-type": MEDIA_TYPE,
}


class _Body(Struct, rename="camel"):
    """A schema as it is sent and answered. Of what is answered everything may be missing, and more may be there."""

    schema: str | None = None
    schema_type: Format = "AVRO"
    references: tuple[Reference, ...] | None = None
    metadata: dict[str, object] | None = None
    rule_set: dict[str, object] | None = None
    subject: str | None = None
    version: int | None = None
    id: int | None = None
    guid: str | None = None

    def read(self, text: str) -> Schema:
        return Schema(text, self.schema_type, self.references or (), self.metadata, self.rule_set)


class _Texted(Struct):
    """A schema that is asked for has this. What answers without it, such as ``{}`` to everything, is no registry."""

    schema: Annotated[str, Meta(min_length=1)]


class _Numbered(_Texted):
    """What is registered has these too."""

    version: int
    id: int


class _Compared(Struct):
    """Whether a schema may follow, and why not."""

    is_compatible: bool
    messages: tuple[str, ...] = ()


class _Configured(Struct, rename="camel"):
    """What is configured, as far as it is asked for."""

    compatibility_level: Level | None = None
    compatibility_policy: str | None = None


class RemoteRegistry:
    """A registry that is asked over HTTP; every answer comes from it, none from memory."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def register(
        self, subject: str, schema: Schema, *, normalize: bool = False, version: int | None = None
    ) -> Registered:
        """As the protocol says. Two requests where what is answered to the first does not name the version."""
        path = f"/subjects/{_escaped(subject)}/versions?normalize={str(normalize).lower()}"
        first = read(granted(await self._ask("POST", path, _sent(schema, version)), subject), _Body)
        if first.version is not None and first.id is not None:
            return Registered(subject, first.version, first.id, schema, first.guid)
        found = await self.lookup(subject, schema, normalize=normalize)
        if found is None:
            raise RegistryRefused(
                "a schema that was just registered is not there",
                40403,
                where=f"subject {subject!r}",
                why="somebody has deleted it, or the registry asks another instance that lags behind",
                remedy="register it again",
            )
        return found

    async def lookup(self, subject: str, schema: Schema, *, normalize: bool = False) -> Registered | None:
        """As the protocol says."""
        path = f"/subjects/{_escaped(subject)}?normalize={str(normalize).lower()}"
        found = _registered(subject, await self._found("POST", path, subject, _sent(schema)))
        # Some answer in their own spelling of it.
        return found and msgspec.structs.replace(found, schema=schema)

    async def by_id(self, id: int, subject: str = "") -> Schema:
        """As the protocol says."""
        asked = f"?subject={_escaped(subject)}" if subject else ""
        return _schema(granted(await self._ask("GET", f"/schemas/ids/{id}{asked}"), f"id {id}"))

    async def by_guid(self, guid: str) -> Schema:
        """As the protocol says."""
        return _schema(granted(await self._ask("GET", f"/schemas/guids/{_escaped(guid)}"), f"GUID {guid}"))

    async def version(
        self, subject: str, version: int | Literal["latest"], *, deleted: bool = False
    ) -> Registered | None:
        """As the protocol says."""
        path = f"/subjects/{_escaped(subject)}/versions/{version}" + "?deleted=true" * deleted
        return _registered(subject, await self._found("GET", path, subject))

    async def versions(self, subject: str) -> Sequence[int]:
        """As the protocol says."""
        found = await self._found("GET", f"/subjects/{_escaped(subject)}/versions", subject)
        return [] if found is None else read(found, list[int])

    async def subjects(self, prefix: str = "") -> Sequence[str]:
        """As the protocol says."""
        asked = f"?subjectPrefix={_escaped(prefix)}" if prefix else ""
        found = granted(await self._ask("GET", f"/subjects{asked}"), "subjects")
        names = read(found, list[str])
        if prefix.startswith(":*:"):
            return sorted(names)
        # Not every registry knows the prefix; and without one those of every context are told.
        plain = not prefix.startswith(":")
        return sorted(each for each in names if each.startswith(prefix) and not (plain and each.startswith(":")))

    async def problems(self, subject: str, schema: Schema) -> Sequence[str]:
        """As the protocol says."""
        path = f"/compatibility/subjects/{_escaped(subject)}/versions?verbose=true"
        found = await self._found("POST", path, subject, _sent(schema))
        if found is None:
            return ()
        said = read(found, _Compared)
        return () if said.is_compatible else said.messages or ("the registry does not say why",)

    async def compares(self, subject: str, kind: Format) -> bool:
        """As the protocol says. A registry that does not give the policy back has not taken it."""
        return kind != "JSON" or (await self._config(subject)).compatibility_policy is not None

    async def level(self, subject: str) -> Level:
        """As the protocol says."""
        return (await self._config(subject)).compatibility_level or "BACKWARD"

    async def set_level(self, subject: str, level: Level, policy: Policy | None = None) -> None:
        """As the protocol says."""
        path, asked = f"/config/{_escaped(subject)}", {"compatibility": level}
        if policy is not None:
            both = msgspec.json.encode({**asked, "compatibilityPolicy": policy})
            reply = await self._ask("PUT", path, both)
            if reply.status not in _NOT_UNDERSTOOD:
                granted(reply, subject)
                return
        granted(await self._ask("PUT", path, msgspec.json.encode(asked)), subject)

    async def set_alias(self, name: str, subject: str | None) -> None:
        """As the protocol says."""
        asked = msgspec.json.encode({"alias": subject})
        granted(await self._ask("PUT", f"/config/{_escaped(name)}", asked), name)

    async def _config(self, subject: str) -> _Configured:
        asked = await self._found("GET", f"/config/{_escaped(subject)}?defaultToGlobal=true", subject)
        # Some know a subject's own alone, whatever is asked.
        return read(asked or granted(await self._ask("GET", "/config"), "config"), _Configured)

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> Reply:
        return await self._client.ask(method, path, body, _HEADERS)

    async def _found(self, method: str, path: str, subject: str, body: bytes | None = None) -> Reply | None:
        reply = await self._ask(method, path, body)
        return None if code_of(reply) in NOT_FOUND else granted(reply, subject)


def _escaped(text: str) -> str:
    return quote(text, safe="")


def _sent(schema: Schema, version: int | None = None) -> bytes:
    body: dict[str, object] = {"schema": schema.text, "schemaType": schema.format}
    if schema.references:
        body["references"] = schema.references
    if schema.metadata is not None:
        body["metadata"] = schema.metadata
    if schema.rule_set is not None:
        body["ruleSet"] = schema.rule_set
    if version is not None:
        body["version"] = version
    return msgspec.json.encode(body)


def _schema(reply: Reply) -> Schema:
    return read(reply, _Body).read(read(reply, _Texted).schema)


def _registered(subject: str, reply: Reply | None) -> Registered | None:
    if reply is None:
        return None
    body, numbered = read(reply, _Body), read(reply, _Numbered)
    return Registered(body.subject or subject, numbered.version, numbered.id, body.read(numbered.schema), body.guid)
