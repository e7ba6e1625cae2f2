"""Subjects and contexts by name, and the registry itself."""

from typing import Final

from mainstem.registry.contents import Contents, DeleteContext, RegistryError
from mainstem.registry.http.call import Call
from mainstem.registry.http.endpoints.versions import shown_by
from mainstem.registry.http.paths import named
from mainstem.registry.http.query import SUBJECTS_MOST

CLUSTER: Final = "schema-registry"
SPEAKS: Final = "8.2.0"
"""The version of Confluent's API whose endpoints and codes these are."""


async def root(_call: Call) -> dict[str, object]:
    """That it answers."""
    return {}


async def subjects(call: Call) -> list[str]:
    """The names of the subjects."""
    prefix = call.prefix()

    def look(contents: Contents) -> list[str]:
        found = contents.subjects(prefix, shown=shown_by(call))
        return call.query.page((each for each in found if call.sees(each)), SUBJECTS_MOST)

    return await call.read(look)


async def contexts(call: Call) -> list[str]:
    """The contexts, the default one first."""
    prefix = call.query.text("contextPrefix")

    def look(contents: Contents) -> list[str]:
        return call.query.page(each for each in contents.contexts(prefix) if call.account.may_somewhere("read", each))

    return await call.read(look)


async def delete_context(call: Call) -> None:
    """Remove a context without subjects."""
    context = named(call.names["context"])
    call.allow("delete", call.within(f":{context}:"))
    await call.access.write(DeleteContext(context))


async def metadata_id(_call: Call) -> dict[str, object]:
    """What the registry is called."""
    return {"id": "", "scope": {"path": [], "clusters": {"schema-registry-cluster": CLUSTER}}}


async def metadata_version(_call: Call) -> dict[str, str]:
    """Which API it speaks."""
    return {"version": SPEAKS, "commitId": ""}


async def metadata_deployment(_call: Call) -> dict[str, object]:
    """How it is deployed, of which nothing is told."""
    return {"attributes": []}


async def associations(call: Call) -> None:
    """There are none; a client asks before it uses a subject's name, and takes 40410 for none."""
    raise RegistryError(40410, f"No association found for {call.names['name']}")
