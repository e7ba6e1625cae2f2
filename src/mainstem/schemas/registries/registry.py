"""What a registry can be asked, whoever keeps it: another server, this broker, a folder, or memory."""

from collections.abc import Sequence
from typing import Final, Literal, Protocol

from msgspec import Struct

from mainstem.errors import RegistryRefused
from mainstem.schemas.compatibility import Level, Policy
from mainstem.schemas.documents import Format, Schema

MEDIA_TYPE: Final = "application/vnd.schemaregistry.v1+json"
"""What requests to a registry and its answers are in."""

TURNED_AWAY: Final = frozenset({401, 403, 407})
"""What a registry says to who may not ask; what stands in front of one says these too, in its own form."""


class Registered(Struct, frozen=True):
    """A schema as it stands in a registry, or, where it was registered or looked up, as it was asked for.

    ``guid`` is ``None`` where the registry has none.
    """

    subject: str
    version: int
    id: int
    schema: Schema
    guid: str | None = None


def turned_away(refused: RegistryRefused) -> bool:
    """Whether a refusal is for who asks: it says nothing about what was asked, such as a token that has run out."""
    return int(str(refused.error_code)[:3]) in TURNED_AWAY


class SchemaRegistry(Protocol):
    """A registry. A subject may be qualified with a context, as in ``:.shop:shop.order.placed``.

    Each method raises ``RegistryRefused`` for what the registry does not grant, and ``ServerAway`` (or what its broker
    raises) where it cannot be asked.
    """

    async def register(
        self, subject: str, schema: Schema, *, normalize: bool = False, version: int | None = None
    ) -> Registered:
        """Add a version, or find the one that has this schema already. Refused where it is not compatible.

        ``version`` is the number that it is to have: refused where somebody else has been quicker.
        """
        ...

    async def lookup(self, subject: str, schema: Schema, *, normalize: bool = False) -> Registered | None:
        """The version of a subject that has this schema; ``None`` when none has."""
        ...

    async def by_id(self, id: int, subject: str = "") -> Schema:
        """The schema of an id, in the context of a subject."""
        ...

    async def by_guid(self, guid: str) -> Schema:
        """The schema of a GUID."""
        ...

    async def version(
        self, subject: str, version: int | Literal["latest"], *, deleted: bool = False
    ) -> Registered | None:
        """A version of a subject, also one that is ``deleted`` but not for good; ``None`` when there is none."""
        ...

    async def versions(self, subject: str) -> Sequence[int]:
        """The numbers of a subject's versions, in order; empty when there is no such subject."""
        ...

    async def subjects(self, prefix: str = "") -> Sequence[str]:
        """All subjects whose name begins so, in order; ``:*:`` stands for every context."""
        ...

    async def problems(self, subject: str, schema: Schema) -> Sequence[str]:
        """Why a schema cannot become the next version of a subject, by the level that is set; empty when it can."""
        ...

    async def compares(self, subject: str, kind: Format) -> bool:
        """Whether the schemas of a subject are compared there by the policy that was set.

        Where they are not, whoever registers compares them, and sets the level NONE.
        """
        ...

    async def level(self, subject: str) -> Level:
        """The level that counts for a subject."""
        ...

    async def set_level(self, subject: str, level: Level, policy: Policy | None = None) -> None:
        """Set the level of a subject, which need not be there yet, and with which policy JSON Schema is compared.

        A registry that knows no policies is given the level alone.
        """
        ...

    async def set_alias(self, name: str, subject: str | None) -> None:
        """Let a name that is no subject stand for one, or with ``None`` for itself again.

        A version that is asked for by that name is answered with the subject's own.
        """
        ...
