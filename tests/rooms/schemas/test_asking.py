"""What is asked of a registry for readers, when it stops answering, and what is remembered of it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from mainstem.clock import SystemClock
from mainstem.errors import ServerAway
from mainstem.registry import LocalRegistry
from mainstem.registry.contents import InMemory
from mainstem.schemas.documents import Schema
from mainstem.schemas.framing import Frame
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
