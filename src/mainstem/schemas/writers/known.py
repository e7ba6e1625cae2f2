"""What a process knows of the schemas that payloads were written with, and whom it asks for the others."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from math import inf
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

from msgspec import Struct

from mainstem.errors import BrokerError, DatabaseError, ServerAway
from mainstem.events import Declaration
from mainstem.schemas.documents import Resolved, Schema
from mainstem.schemas.framing import ID_HEADERS, Frame

AWAY: Final = (ServerAway, BrokerError, DatabaseError)
"""What a registry that cannot be asked now ends with: it says nothing about a schema, and may do so later."""

SCHEMA_HEADER: Final = ID_HEADERS["value"]

_IN_PLAY: Final = (0, str(UUID(int=0)))
"""The id and the GUID that play writes, and no registry gives."""
_DENIED_MOST: Final = 10_000
"""Of more, those are forgotten that count no longer: any other may be one that a batch of garbage waits for."""
ASKED_AT_ONCE: Final = 8
"""So many names are one question: a batch of garbage may have more than anybody answers in time."""
_NEVER: Final = "", -inf
ANSWER_SECONDS: Final = 60.0
"""A question that takes longer has not been answered: whoever waits says so."""
DENIED_SECONDS: Final = 30.0
"""For so long nobody asks again for a schema that is not there: somebody may register it meanwhile."""


class SchemaName(NamedTuple):
    """What a record calls its writer's schema: an id, which means something in its ``context`` only, or a GUID.

    A context is written as it stands before a subject, ``:.booking:``; the default one is nothing.
    """

    id: int | None = None
    guid: str | None = None
    context: str = ""

    @property
    def in_play(self) -> bool:
        """Whether it is what play writes, where nothing is registered."""
        return self.id == _IN_PLAY[0] or self.guid == _IN_PLAY[1]

    def __str__(self) -> str:
        return (
            f"GUID {self.guid}"
            if self.id is None
            else f"id {self.id}" + (self.context and f" in the context {self.context}")
        )


def name_in(frame: Frame, context: str) -> SchemaName:
    """The name that stands before a payload, or in its header. A GUID means the same in every context."""
    return SchemaName(frame.id, None, context) if frame.guid is None else SchemaName(None, frame.guid)


class Written(Struct, frozen=True):
    """A writer's schema, with everything that it refers to."""

    schema: Schema
    resolved: Resolved


Answer: TypeAlias = Written | str | Exception
"""A schema; why there is none, which is a verdict; or what has kept a registry from answering, one of :data:`AWAY`."""
Ask: TypeAlias = Callable[[Sequence[SchemaName]], Awaitable[Sequence[Answer]]]
"""Asks for schemas in one go; an answer for each, in order."""


class Writers:
    """The writers' schemas that one process knows. For one event loop.

    Without ``ask`` there is nobody to ask. ``in_play``, a record with the id 0 was written with the schema that the
    type of its name and version has in this process.
    """

    def __init__(
        self,
        ask: Ask | None = None,
        monotonic: Callable[[], float] = lambda: 0.0,
        *,
        in_play: bool = False,
        played: Iterable[Declaration] = (),
        alone_because: str = "no registry is named here that could be asked",
    ) -> None:
        """``played`` are the types that are published here; that of a reader need not be among them."""
        self.in_play = in_play
        self._alone_because = alone_because
        self._monotonic = monotonic
        self._played = {(name, each.version): each for each in played for name in each.names}
        self._ask = ask
        self._written: dict[SchemaName, Written] = {}
        self._denied: dict[SchemaName, tuple[str, float]] = {}
        self._asking = asyncio.Lock()

    @property
    def alone(self) -> bool:
        """Whether nobody can be asked."""
        return self._ask is None

    def learn(self, name: SchemaName, written: Written) -> None:
        """Know a schema without asking: that of a type of ours, by the committed lock file."""
        self._written[name] = written

    def find(self, name: SchemaName) -> Written | str | None:
        """A schema, or why there is none, or None where nobody has been asked."""
        found = self._written.get(name)
        if found is not None:
            return found
        if self._ask is None:
            return self._alone_because
        denied = self._denied.get(name)
        return None if denied is None else denied[0]

    def unknown(self, names: Iterable[SchemaName], *, again: bool = False) -> Sequence[SchemaName]:
        """Those of these names that must be asked for: nobody has, or it is a while since they were denied.

        Also those denied just now, when they are asked for ``again``.
        """
        since = inf if again else self._monotonic() - DENIED_SECONDS
        return [each for each in names if each not in self._written and self._denied.get(each, _NEVER)[1] <= since]

    def played(self, declaration: Declaration, version: int) -> Declaration | None:
        """The type of this process that is called so, or was, and has this version."""
        return next((found for name in declaration.names if (found := self._played.get((name, version)))), None)

    async def acquire(self, names: Iterable[SchemaName], *, again: bool = False) -> None:
        """Ask for these; what is known is not asked for, what was denied just now only ``again``.

        Any number is asked for, so many at a time that an answer comes in time. When the last has come, all that were
        denied were denied just now. Raises one of :data:`AWAY` where nobody answers, or not in time; what has been
        answered is known all the same.
        """
        if self._ask is None:
            return
        self._forget()
        wanted = self.unknown(names, again=again)
        denied: dict[SchemaName, str] = {}
        for start in range(0, len(wanted), ASKED_AT_ONCE):
            some = wanted[start : start + ASKED_AT_ONCE]
            await self._acquire(self._ask, some, again=again)
            denied |= {each: self._denied[each][0] for each in some if each in self._denied}
        now = self._monotonic()
        self._denied |= {name: (why, now) for name, why in denied.items()}

    def _forget(self) -> None:
        if len(self._denied) > _DENIED_MOST:
            since = self._monotonic() - DENIED_SECONDS
            self._denied = {name: each for name, each in self._denied.items() if each[1] > since}

    async def _acquire(self, ask: Ask, names: Sequence[SchemaName], *, again: bool) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._asking:
                # Somebody else may have asked meanwhile.
                wanted = self.unknown(names, again=again)
                answers = await ask(wanted) if wanted else ()
                self._take(wanted, answers)
        except TimeoutError:
            raise ServerAway(f"no registry of schemas has answered within {ANSWER_SECONDS:g} s") from None
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer

    def _take(self, names: Sequence[SchemaName], answers: Sequence[Answer]) -> None:
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, Written):
                self._written[name] = answer
                self._denied.pop(name, None)
            elif isinstance(answer, str):
                self._denied[name] = answer, self._monotonic()
