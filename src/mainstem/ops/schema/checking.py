"""Whom a change would break: what is registered, and what handlers have said that they read."""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from mainstem.errors import RegistryRefused, SchemaRefused
from mainstem.ops.schema.climbing import OlderForm, older_forms
from mainstem.ops.schema.contracts import Contracts, Direction, Reader, changed_fields, direction_of
from mainstem.schemas.documents import Schema
from mainstem.schemas.registries import Registered, SchemaRegistry
from mainstem.service.promises import Stated, objections, owned, stands

Outcome: TypeAlias = Literal["unchanged", "new", "may follow", "breaks", "unknown"]
BREAKS: Final = "breaks"
UNKNOWN: Final = "unknown"
"""It has changed, and what it was cannot be seen."""


class Checked(Struct, frozen=True):
    """What becomes of one event type. ``registered`` is its version where it has not changed, or else the last one.

    ``first`` is who has to be deployed first, by what is registered and by what readers have said; None where nothing
    is known of what it was. ``before`` names the services that its publisher has to wait for. ``older`` are versions
    of which not everything becomes the newest one. ``unasked`` says why there may be readers that were not found.
    """

    subject: str
    outcome: Outcome
    registered: int | None
    problems: tuple[str, ...]
    readers: tuple[Reader, ...]
    publisher: str | None = None
    first: Direction | None = None
    before: tuple[str, ...] = ()
    older: tuple[OlderForm, ...] = ()
    unasked: tuple[str, ...] = ()

    @property
    def broken(self) -> bool:
        """Whether something would break, or may for all that is known."""
        return (
            self.outcome in (BREAKS, UNKNOWN)
            or any(each.breaks and not each.mended for each in self.readers)
            or any(each.hopeless for each in self.older)
        )


async def check_all(stated: Sequence[Stated], registry: SchemaRegistry, contracts: Contracts) -> list[Checked]:
    """What becomes of each type."""
    return [await _check(each, registry, contracts) for each in stated]


async def _check(stated: Stated, registry: SchemaRegistry, contracts: Contracts) -> Checked:
    latest, problems = await _latest(stated, registry)
    version = None if latest is None else latest.version
    if problems:
        outcome: Outcome = BREAKS
    elif latest is None:
        outcome = "new"
    elif (standing := await stands(stated, latest, registry)) is not None:
        outcome, version = "unchanged", standing.version
    else:
        problems = tuple(await objections(stated, registry))
        outcome = BREAKS if problems else "may follow"
    changed, first = _change(stated.schema, stated.schema if latest is None else latest.schema)
    readers = contracts.checked(stated, changed)
    before = waited_for(readers)
    if before and first in ("any", None):
        first = "readers"
    older = tuple([each async for each in older_forms(stated.declaration, registry)])
    publisher, unasked = stated.owner, contracts.unasked
    return Checked(stated.subject, outcome, version, problems, readers, publisher, first, before, older, unasked)


async def _latest(stated: Stated, registry: SchemaRegistry) -> tuple[Registered | None, tuple[str, ...]]:
    """The last version of a subject; and whose it is, where another service has it."""
    try:
        return await owned(stated, registry), ()
    except RegistryRefused as refused:
        return await registry.version(stated.subject, "latest"), (refused.what,)


def waited_for(readers: Sequence[Reader]) -> tuple[str, ...]:
    """The services that have to be deployed first: those that could not read the new form as they are."""
    return tuple(sorted({each.service for each in readers if each.breaks and each.service is not None}))


def _change(new: Schema, latest: Schema) -> tuple[tuple[str, ...], Direction | None]:
    """The fields that one of the two forms cannot read of the other, and who has to be deployed first."""
    if new.text == latest.text:
        return (), "any"
    try:
        forward, backward = changed_fields(new, latest), changed_fields(latest, new)
    except SchemaRefused:
        return (), None
    return tuple(dict.fromkeys((*(forward or ()), *(backward or ())))), direction_of(forward, backward)
