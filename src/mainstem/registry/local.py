"""A registry that is kept by this process, or written through its service, as everybody else sees registries."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal, TypeVar

from msgspec import UNSET

from mainstem.errors import RegistryRefused, ServerAway
from mainstem.registry.contents import Access, Config, Contents, Register, RegistryError, SetConfig, Version
from mainstem.schemas.compatibility import Level, Policy
from mainstem.schemas.documents import Format, Schema
from mainstem.schemas.registries import Registered

T = TypeVar("T")

_NOT_FOUND: Final = frozenset({40401, 40402, 40403})
_FAILED: Final = 50_000
"""From here on a number says that the registry could not look, and nothing about what was asked."""


class LocalRegistry:
    """The interface of ``schemas.registries`` over :class:`Access`; what has just been written is seen."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def register(
        self, subject: str, schema: Schema, *, normalize: bool = False, version: int | None = None
    ) -> Registered:
        """As the protocol says."""
        with _refused(subject):
            return _registered(await self._access.write(Register(subject, schema, normalize, version=version)), schema)

    async def lookup(self, subject: str, schema: Schema, *, normalize: bool = False) -> Registered | None:
        """As the protocol says."""
        contents = await self._contents()
        return _found(lambda: _registered(contents.find(subject, schema, normalize=normalize), schema))

    async def by_id(self, id: int, subject: str = "") -> Schema:
        """As the protocol says."""
        known = await self._access.view()
        if (found := _found(lambda: known.schema(id, subject).schema)) is not None:
            return found
        with _refused(f"id {id}"):
            return (await self._contents()).schema(id, subject).schema

    async def by_guid(self, guid: str) -> Schema:
        """As the protocol says."""
        with _refused(f"GUID {guid}"):
            return (await self._contents()).by_guid(guid).schema

    async def version(
        self, subject: str, version: int | Literal["latest"], *, deleted: bool = False
    ) -> Registered | None:
        """As the protocol says."""
        contents = await self._contents()
        return _found(lambda: _registered(contents.version(subject, version, deleted=deleted)))

    async def versions(self, subject: str) -> Sequence[int]:
        """As the protocol says."""
        contents = await self._contents()
        return _found(lambda: list(contents.versions(subject))) or []

    async def subjects(self, prefix: str = "") -> Sequence[str]:
        """As the protocol says."""
        with _refused(prefix):
            return sorted((await self._contents()).subjects(prefix))

    async def problems(self, subject: str, schema: Schema) -> Sequence[str]:
        """As the protocol says."""
        with _refused(subject):
            return (await self._contents()).comparing(subject, schema)().messages

    async def compares(self, subject: str, kind: Format) -> bool:  # noqa: ARG002 - it always does
        """As the protocol says."""
        return True

    async def level(self, subject: str) -> Level:
        """As the protocol says."""
        with _refused(subject):
            return (await self._contents()).configured.config_for(subject).level

    async def set_level(self, subject: str, level: Level, policy: Policy | None = None) -> None:
        """As the protocol says."""
        with _refused(subject):
            wanted = Config(compatibility_level=level, compatibility_policy=UNSET if policy is None else policy)
            await self._access.write(SetConfig(wanted, subject))

    async def set_alias(self, name: str, subject: str | None) -> None:
        """As the protocol says."""
        with _refused(name):
            await self._access.write(SetConfig(Config(alias=subject), name))

    async def _contents(self) -> Contents:
        """What has been written by now."""
        with _refused("the log of the registry"):
            return await self._access.caught_up()


def _registered(version: Version, schema: Schema | None = None) -> Registered:
    return Registered(version.subject, version.version, version.id, schema or version.schema, version.guid)


@contextmanager
def _refused(asked: str) -> Iterator[None]:
    try:
        yield
    except RegistryError as error:
        raise _said(error, asked) from error


def _found(read: Callable[[], T]) -> T | None:
    """What is read, or None where it is not there."""
    try:
        return read()
    except RegistryError as error:
        if error.number in _NOT_FOUND:
            return None
        raise _said(error) from error


def _said(error: RegistryError, asked: str = "") -> RegistryRefused | ServerAway:
    said = f"the registry answers {error.number}: {error.message}"
    if error.number >= _FAILED:
        return ServerAway(
            said, where=asked, remedy="see whether its broker or its folder can be reached; it may answer later"
        )
    return RegistryRefused(said, error.number, where=asked)
