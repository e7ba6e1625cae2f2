"""Versions of a subject: registering, finding, listing, reading and deleting them."""

from collections.abc import Callable

from mainstem.registry.contents import (
    Contents,
    DeleteSubject,
    DeleteVersion,
    Register,
    RegistryError,
    Shown,
    Version,
    behind_new,
)
from mainstem.registry.http.call import Call, Text
from mainstem.registry.http.endpoints.texts import formatting
from mainstem.registry.http.query import SUBJECTS_MOST
from mainstem.registry.http.refusal import Refused
from mainstem.registry.http.shapes import (
    AVRO,
    RegisterAnswer,
    SchemaRequest,
    VersionAnswer,
    of_registration,
    of_version,
)
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import FORMATS


def shown_by(call: Call) -> Shown:
    """Which versions and subjects a listing is to show."""
    if call.query.flag("deletedOnly", "deleted_only"):
        return "deleted"
    return "all" if call.query.flag("deleted") else "live"


def schema_of(request: SchemaRequest) -> Schema:
    """The schema in a body. Raises RegistryError 42201 where there is none, or of no format that is known."""
    if not request.schema:
        raise RegistryError(42201, "Empty schema")
    said = request.schema_type or AVRO
    for kind in FORMATS:
        if said == kind:
            return Schema(request.schema, kind, request.references or (), request.metadata, request.rule_set)
    raise RegistryError(42201, f"Invalid schema type {said}")


async def allow_references(call: Call, schema: Schema) -> None:
    """Refuse who may not read what a schema refers to, also through others: the answer could tell what stands there."""
    if schema.references:
        call.allow("read", *behind_new(await call.access.caught_up(), call.subject, schema))


async def register(call: Call) -> RegisterAnswer:
    """Make a schema a version of a subject."""
    request = call.document(SchemaRequest)
    schema = schema_of(request)
    call.allow_subject(await call.access.view(), "register", call.subject)
    await allow_references(call, schema)
    operation = Register(
        call.subject,
        schema,
        normalize=call.query.flag("normalize"),
        id=_given(request.id),
        version=_given(request.version),
    )
    return of_registration(await call.access.write(operation), schema, in_full=call.takes_unknown)


def _given(number: int | None) -> int | None:
    """Some clients write 0 or -1 for nothing."""
    return number if number is not None and number > 0 else None


async def look_up(call: Call) -> VersionAnswer:
    """The version of a subject that is this schema."""
    schema = schema_of(call.document(SchemaRequest))
    await allow_references(call, schema)
    normalize, deleted = call.query.flag("normalize"), call.query.flag("deleted")

    def look(contents: Contents) -> Callable[[], Version]:
        call.allow_subject(contents, "read", call.subject)
        return contents.finding(call.subject, schema, normalize=normalize, deleted=deleted)

    found = await call.made(look)
    text = formatting(call, await call.access.view(), found)
    return of_version(found, await call.apart.run(text))


async def versions(call: Call) -> list[int]:
    """The numbers of a subject's versions."""

    def look(contents: Contents) -> list[int]:
        call.allow_subject(contents, "read", call.subject)
        return call.query.page(contents.versions(call.subject, shown=shown_by(call)), SUBJECTS_MOST)

    return await call.read(look)


async def version(call: Call) -> VersionAnswer:
    """One version."""

    def look(contents: Contents) -> Callable[[], VersionAnswer]:
        return _written(call, contents, _version(call, contents))

    return await call.made(look)


async def version_text(call: Call) -> Text:
    """The text of one version."""

    def look(contents: Contents) -> Callable[[], Text]:
        text = formatting(call, contents, _version(call, contents))
        return lambda: Text(text())

    return await call.made(look)


def _written(call: Call, contents: Contents, found: Version) -> Callable[[], VersionAnswer]:
    text = formatting(call, contents, found)
    return lambda: of_version(found, text())


def _version(call: Call, contents: Contents) -> Version:
    call.allow_subject(contents, "read", call.subject)
    return contents.version(call.subject, call.names["version"], deleted=call.query.flag("deleted"))


async def referenced_by(call: Call) -> list[int]:
    """The ids of the schemas that refer to a version."""

    def look(contents: Contents) -> list[int]:
        call.allow_subject(contents, "read", call.subject)
        found = contents.referenced_by(call.subject, call.names["version"], shown=shown_by(call), sees=call.sees)
        return call.query.page(found)

    return await call.read(look)


async def with_metadata(call: Call) -> VersionAnswer:
    """The last version whose metadata has these properties."""
    keys, values = call.query.texts("key"), call.query.texts("value")
    if len(keys) != len(values):
        raise Refused(400, "each key needs a value")
    wanted = dict(zip(keys, values, strict=True))

    def look(contents: Contents) -> Callable[[], VersionAnswer]:
        call.allow_subject(contents, "read", call.subject)
        found = contents.with_metadata(call.subject, wanted, deleted=call.query.flag("deleted"))
        return _written(call, contents, found)

    return await call.made(look)


async def delete_subject(call: Call) -> list[int]:
    """Delete all versions of a subject."""
    call.allow_subject(await call.access.view(), "delete", call.subject)
    return await call.access.write(DeleteSubject(call.subject, permanent=call.query.flag("permanent")))


async def delete_version(call: Call) -> int:
    """Delete one version."""
    call.allow_subject(await call.access.view(), "delete", call.subject)
    operation = DeleteVersion(call.subject, call.names["version"], permanent=call.query.flag("permanent"))
    return await call.access.write(operation)
