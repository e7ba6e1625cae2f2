"""Whether a schema may follow what a subject has."""

from mainstem.registry.http.call import Call
from mainstem.registry.http.endpoints.versions import allow_references, schema_of
from mainstem.registry.http.shapes import Compatible, SchemaRequest


async def with_version(call: Call) -> Compatible:
    """Compare with one version."""
    return await _compared(call, call.names["version"])


async def with_all(call: Call) -> Compatible:
    """Compare with those that the level of the subject asks for."""
    return await _compared(call, None)


async def _compared(call: Call, version: str | None) -> Compatible:
    schema = schema_of(call.document(SchemaRequest))
    await allow_references(call, schema)

    # What has just been registered decides: to look at what is known here would give yesterday's answer.
    contents = await call.access.caught_up()
    call.allow_subject(contents, "read", call.subject)
    comparing = contents.comparing(call.subject, schema, version, normalize=call.query.flag("normalize"))
    found = await call.apart.run(comparing)
    return Compatible(found.compatible, found.messages if call.query.flag("verbose") else None)
