"""A request as an endpoint sees it: who asks, what for, and the registry to ask in turn."""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from mainstem.registry.contents import (
    LARGEST_NUMBER,
    Access,
    Contents,
    RegistryError,
    is_qualified,
    scope_named,
    subject_named,
)
from mainstem.registry.http.apart import Apart
from mainstem.registry.http.query import Query
from mainstem.registry.http.refusal import Refused
from mainstem.registry.http.security import Account, Right

T = TypeVar("T")

UNKNOWN_TAKEN: Final = "confluent-accept-unknown-properties"
"""The header of a client that does not fall over a field that it does not know."""


_EVERYTHING: Final = ("", ":.:")


class Text(str):
    """An answer that is sent as it is, and not as a JSON string."""

    __slots__ = ()


class Call(Struct, frozen=True):
    """One request. ``names`` are what the path has in the places of its template's names."""

    access: Access
    account: Account
    names: Mapping[str, str]
    query: Query
    headers: Mapping[str, str]
    apart: Apart
    body: bytes = b""
    context: str | None = None

    @property
    def subject(self) -> str:
        """The subject of the path, or the context or everything where it has none, in one spelling."""
        return self.within(self.names.get("subject", ""))

    @property
    def takes_unknown(self) -> bool:
        """Whether the client says that it takes fields that it does not know."""
        return self.headers.get(UNKNOWN_TAKEN, "").lower() == "true"

    def within(self, written: str) -> str:
        """A subject in the context that the path names, in one spelling; one that names its own keeps it."""
        if self.context is not None and not is_qualified(written):
            written = f":{self.context}:{written}"
        return "" if written in _EVERYTHING else str(scope_named(written))

    def prefix(self) -> str:
        """The beginning of the subjects that a listing is to show: every context's, unless one is named."""
        said = self.query.text("subjectPrefix", "" if self.context else ":*:")
        return said if self.context is None or is_qualified(said) else f":{self.context}:{said}"

    def allow_subject(self, contents: Contents, right: Right, subject: str) -> None:
        """Refuse who may not do this to a subject, or not to the one that its name stands for."""
        self.allow(right, subject, str(contents.configured.aliased(subject_named(subject))))

    def number(self, name: str) -> int:
        """A number in the path. Raises :class:`Refused` as for a path that is not there."""
        text = self.names[name]
        if not (text.isascii() and text.isdecimal() and len(text) <= 10 and 0 < int(text) <= LARGEST_NUMBER):
            raise Refused(404, "HTTP 404 Not Found")
        return int(text)

    def document(self, kind: type[T]) -> T:
        """The body, which is JSON; nothing at all counts as ``{}``. Raises :class:`Refused`."""
        try:
            return msgspec.json.decode(self.body or b"{}", type=kind)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise Refused(400, f"the body cannot be read: {error}") from None

    def allow(self, right: Right, *subjects: str) -> None:
        """Raise :class:`Refused` where the account may not do this to each of these subjects."""
        for subject in subjects:
            if not self.account.may(right, subject):
                raise Refused(403, f"{self.account.name} may not {right} {subject or 'the whole registry'}")

    def sees(self, subject: str) -> bool:
        """Whether the account may read a subject."""
        return self.account.may("read", subject)

    async def read(self, look: Callable[[Contents], T]) -> T:
        """What ``look`` finds; where that is nothing, what it finds when the log has been read to its end."""
        try:
            return look(await self.access.view())
        except RegistryError as error:
            if error.status != 404:
                raise
            return look(await self.access.caught_up())

    async def made(self, look: Callable[[Contents], Callable[[], T]]) -> T:
        """What is made of what ``look`` finds, as with :meth:`read`; apart, where texts are to be written anew."""
        apart = bool(self.query.text("format")) or self.query.flag("normalize")

        async def once(contents: Contents) -> T:
            make = look(contents)
            return await self.apart.run(make) if apart else make()

        try:
            return await once(await self.access.view())
        except RegistryError as error:
            if error.status != 404:
                raise
            return await once(await self.access.caught_up())
