"""Schemas by id and by GUID, and all of them."""

from collections.abc import Callable, Iterator

from mainstem.registry.contents import RULE_LISTS, Contents, Identified, Version, unknown_schema
from mainstem.registry.http.call import Call, Text
from mainstem.registry.http.endpoints.texts import formatting, formatting_if_seen
from mainstem.registry.http.endpoints.versions import shown_by
from mainstem.registry.http.shapes import (
    ContextId,
    SchemaAnswer,
    SubjectVersion,
    VersionAnswer,
    of_schema,
    of_version,
)
from mainstem.schemas.formats import FORMATS


async def types(_call: Call) -> list[str]:
    """The formats that are known."""
    return list(FORMATS)


async def by_id(call: Call) -> SchemaAnswer:
    """What an id stands for."""

    def look(contents: Contents) -> Callable[[], SchemaAnswer]:
        found = _identified(call, contents)
        max_id = contents.highest_id(_where(call)) if call.query.flag("fetchMaxId") else None
        text = formatting(call, contents, found)
        return lambda: of_schema(found, text(), max_id)

    return await call.made(look)


async def text_by_id(call: Call) -> Text:
    """The text that an id stands for."""

    def look(contents: Contents) -> Callable[[], Text]:
        text = formatting(call, contents, _identified(call, contents))
        return lambda: Text(text())

    return await call.made(look)


async def subjects_by_id(call: Call) -> list[str]:
    """The subjects that have an id."""

    def look(contents: Contents) -> list[str]:
        return call.query.page(dict.fromkeys(subject for subject, _ in _uses(call, contents)))

    return await call.read(look)


async def versions_by_id(call: Call) -> list[SubjectVersion]:
    """The versions that have an id."""

    def look(contents: Contents) -> list[SubjectVersion]:
        return call.query.page(SubjectVersion(subject, version) for subject, version in _uses(call, contents))

    return await call.read(look)


async def by_guid(call: Call) -> SchemaAnswer:
    """What a GUID stands for."""

    def look(contents: Contents) -> Callable[[], SchemaAnswer]:
        found = _by_guid(call, contents)
        text = formatting(call, contents, found)
        return lambda: of_schema(found, text())

    return await call.made(look)


async def ids_by_guid(call: Call) -> list[ContextId]:
    """The ids of a GUID, which has one in each context where it is used."""

    def look(contents: Contents) -> list[ContextId]:
        _by_guid(call, contents)
        found = contents.ids_of(call.names["guid"])
        return [ContextId(context, number) for context, number in found if _seen(call, contents, context, number)]

    return await call.read(look)


async def everything(call: Call) -> list[VersionAnswer]:
    """All versions, or the last one of each subject."""
    prefix = call.prefix()
    rule = call.query.text("ruleType")

    def look(contents: Contents) -> Callable[[], list[VersionAnswer]]:
        latest_only, aliases = call.query.flag("latestOnly"), call.query.flag("aliases")
        found = contents.schemas(prefix, shown=shown_by(call), latest_only=latest_only, aliases=aliases)
        wanted = (each for each in found if call.sees(each.subject) and (not rule or rule in _rule_types(each)))
        page = [(each, formatting_if_seen(call, contents, each)) for each in call.query.page(wanted)]
        return lambda: [of_version(each, text()) for each, text in page]

    return await call.made(look)


def _where(call: Call) -> str:
    """The subject that tells the context, where the request names one."""
    return call.within(call.query.text("subject"))


def _identified(call: Call, contents: Contents) -> Identified:
    found = contents.schema(call.number("id"), _where(call))
    if not _seen(call, contents, found.context, found.id):
        raise unknown_schema(str(found.id))
    return found


def _by_guid(call: Call, contents: Contents) -> Identified:
    found = contents.by_guid(call.names["guid"])
    for context, number in contents.ids_of(found.guid):
        if _seen(call, contents, context, number):
            return found
    raise unknown_schema(found.guid)


def _seen(call: Call, contents: Contents, context: str, number: int) -> bool:
    """Whether who asks may read a subject that has this id. It belongs to no other, so it tells nothing else."""
    return call.sees("") or any(call.sees(subject) for subject, _ in contents.uses(number, f":{context}:", shown="all"))


def _uses(call: Call, contents: Contents) -> Iterator[tuple[str, int]]:
    _identified(call, contents)
    found = contents.uses(call.number("id"), _where(call), shown=shown_by(call))
    return (use for use in found if call.sees(use[0]))


def _rule_types(version: Version) -> set[object]:
    rules = version.schema.rule_set or {}
    lists = (found for name in RULE_LISTS if isinstance(found := rules.get(name), list))
    return {each.get("type") for found in lists for each in found if isinstance(each, dict)}
