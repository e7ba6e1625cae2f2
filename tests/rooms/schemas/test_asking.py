"""What is asked of a registry for readers, when it stops answering, and what is remembered of it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal
from uuid import UUID

import pytest

from mainstem.clock import SystemClock
from mainstem.errors import ServerAway
from mainstem.registry import LocalRegistry
from mainstem.registry.contents import InMemory
from mainstem.schemas.documents import Reference, Schema
from mainstem.schemas.framing import Frame
from mainstem.schemas.registries import Registered
from mainstem.schemas.writers import DENIED_SECONDS, Answer, Asking, SchemaName, Writers, Written, name_in

ORDER = Schema('{"type":"record","name":"Order","fields":[]}')
GUID = "89791762-2336-4186-9674-299b90a802e2"


class Leaving(LocalRegistry):
    """A registry that is away after so many questions."""

    def __init__(self, answers: int) -> None:
        super().__init__(InMemory(SystemClock()))
        self.left = answers
        self.asked = 0

    async def by_id(self, id: int, subject: str = "") -> Schema:
        """As the protocol says."""
        self.asked += 1
        if self.asked > self.left:
            raise ServerAway("nobody answers")
        return await super().by_id(id, subject)


async def test_once_nobody_answers_no_more_is_asked() -> None:
    """What was answered counts, the rest has no answer; and what has left is not asked again: it is opened anew."""
    opened: list[Leaving] = []

    @asynccontextmanager
    async def door() -> AsyncIterator[Leaving]:
        opened.append(Leaving(answers=3))
        await opened[-1].register("order", ORDER)
        yield opened[-1]

    asking = Asking(door)
    names = [SchemaName(number) for number in range(1, 31)]
    answers = await asking.ask(names)
    assert [type(each) for each in answers] == [Written, str, str, *[ServerAway] * 27]
    assert opened[0].asked < len(names)
    assert [type(each) for each in await asking.ask(names[:1])] == [Written]
    assert len(opened) == 2
    await asking.close()


async def test_old_denials_are_forgotten() -> None:
    """Garbage names thousands of schemas, and would fill the memory of a process that reads for months."""
    now = [0.0]

    async def ask(names: Sequence[SchemaName]) -> Sequence[Answer]:
        return ["there is none"] * len(names)

    writers = Writers(ask, lambda: now[0])
    garbage = [SchemaName(number) for number in range(1, 10_002)]
    await writers.acquire(garbage)
    assert writers.find(garbage[0]) == "there is none"
    now[0] = DENIED_SECONDS + 1
    await writers.acquire([SchemaName(20_000)])
    assert [each for each in garbage if writers.find(each) is not None] == []
    assert writers.find(SchemaName(20_000)) == "there is none"


def test_a_name_is_the_same_wherever_it_means_the_same() -> None:
    """A GUID does in every context, and an id in its own; those of play are no names."""
    assert name_in(Frame(b"", None, GUID), ":.booking:") == name_in(Frame(b"", None, GUID), "")
    assert name_in(Frame(b"", 7), ":.booking:") != name_in(Frame(b"", 7), "")
    assert SchemaName(0).in_play
    assert SchemaName(None, str(UUID(int=0))).in_play
    assert not SchemaName(1).in_play
    assert not SchemaName(None, GUID).in_play


class Endless(LocalRegistry):
    """A registry whose schemas refer to ``wide`` others each, which are all there."""

    def __init__(self, wide: int) -> None:
        super().__init__(InMemory(SystemClock()))
        self.wide = wide
        self.asked = 0

    async def by_id(self, id: int, subject: str = "") -> Schema:  # noqa: ARG002 - as the protocol has it
        """As the protocol says."""
        return self._referring(f"{id}")

    async def version(
        self,
        subject: str,
        version: int | Literal["latest"],  # noqa: ARG002 - as the protocol has it
        *,
        deleted: bool = False,  # noqa: ARG002 - as the protocol has it
    ) -> Registered | None:
        """As the protocol says."""
        self.asked += 1
        return Registered(subject, 1, 1, self._referring(subject))

    def _referring(self, name: str) -> Schema:
        return Schema(
            ORDER.text, references=tuple(Reference(f"{name}.{n}", f"{name}.{n}", 1) for n in range(self.wide))
        )


@pytest.mark.parametrize(("wide", "most"), [(1, 50), (30, 500), (501, 0)])
async def test_references_are_followed_so_far(wide: int, most: int) -> None:
    """Not for ever: a chain of any length, and ways that fork, are a verdict after few questions."""
    registry = Endless(wide)

    @asynccontextmanager
    async def door() -> AsyncIterator[Endless]:
        yield registry

    asking = Asking(door)
    assert await asking.ask([SchemaName(1)]) == ["it refers to more schemas than are followed"]
    assert registry.asked <= most
    await asking.close()
