"""Who moves: a group of one task on the target, so that there is one mover, and a diary of how far it has come.

Records and the diary's line about them are appended in one transaction of that task. Whoever takes the task over fences
the mover before it and aborts what that one has open; so the diary is the truth, and no record comes twice.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from msgspec import Struct

from mainstem.broker import (
    Broker,
    GroupSpec,
    Membership,
    Ownership,
    Record,
    TopicPartition,
    TopicSpec,
    inbox_of,
    read_all,
)
from mainstem.errors import StoreRefused

MOVER: Final = "mainstem.mover"
DIARY: Final = TopicPartition("mainstem.moves", 0)
_INBOX: Final = TopicPartition(inbox_of(MOVER), 0)
BOOKKEEPING: Final = frozenset({DIARY.topic, _INBOX.topic})
"""Topics of a mover itself; a move leaves them where they are."""


class Begun(Struct, frozen=True, tag=True):
    """A move has begun; until it is given up, the topics and groups of its names are its own.

    ``added`` are the keys that it adds to topics which are not.
    """

    move: str
    origin: str
    topics: dict[str, str]
    groups: list[str]
    added: dict[str, list[bytes]] = {}


class Copied(Struct, frozen=True, tag=True):
    """So far is everything copied: the next offset of the source, by partition."""

    move: str
    following: list[tuple[TopicPartition, int]]


class Finished(Struct, frozen=True, tag=True):
    """All is there and proven; how topics and groups stood at that moment."""

    move: str
    ends: dict[str, tuple[int, ...]]
    epochs: dict[str, tuple[int, ...]]


class GivenUp(Struct, frozen=True, tag=True):
    """The move was taken back."""

    move: str


Line = Begun | Copied | Finished | GivenUp

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


class Diary:
    """What is written of one move."""

    def __init__(self) -> None:
        """Nothing is written yet."""
        self.begun: Begun | None = None
        self.following: dict[TopicPartition, int] = {}
        self.finished: Finished | None = None

    def take_in(self, line: Line) -> None:
        """The next line."""
        if isinstance(line, Begun):
            self.begun = line
        elif isinstance(line, Copied):
            self.following.update(line.following)
        elif isinstance(line, Finished):
            self.finished = line
        else:
            self.begun, self.following, self.finished = None, {}, None


class Mover:
    """The one process that moves, from its take-over on."""

    def __init__(self, broker: Broker, ownership: Ownership, move: str) -> None:
        """``move`` is the id of what is moved."""
        self._broker = broker
        self._ownership = ownership
        self.move = move

    async def diary(self) -> Diary:
        """What is written of this move."""
        diary = Diary()
        async for batch in read_all(self._broker, DIARY.topic):
            for value in batch.values:
                line = _decode(value or b"")
                if line.move == self.move:
                    diary.take_in(line)
        return diary

    async def write(self, line: Line, facts: Mapping[TopicPartition, Sequence[Record]] | None = None) -> None:
        """Append records and the line about them, both or neither. Raises Fenced when another mover has begun."""
        transaction = self._ownership.transaction()
        for at, records in (facts or {}).items():
            transaction.append(at, records)
        transaction.append(DIARY, [Record(None, _encode(line), 1)])
        transaction.positions({_INBOX: self._ownership.positions.get(_INBOX, 0)})
        await transaction.commit()


@asynccontextmanager
async def moving(broker: Broker, move: str) -> AsyncIterator[Mover]:
    """Be the mover, and fence whoever was it before; in the end the group of movers is forgotten."""
    await broker.admin.create(TopicSpec(DIARY.topic, 1))
    try:
        membership = await _joined(broker)
    except StoreRefused:
        # Whoever was here before has been killed while it deleted the group: a part of it is left.
        await broker.admin.delete_group(MOVER)
        membership = await _joined(broker)
    try:
        ownership = await membership.take_over(0)
        yield Mover(broker, ownership, move)
        await membership.release(0)
    finally:
        await membership.leave()
    await broker.admin.delete_group(MOVER)


async def _joined(broker: Broker) -> Membership:
    # Nobody waits for an assignment here: whoever moves already is not waited for, but fenced.
    return await broker.group.join(GroupSpec(MOVER, MOVER, 1), pinned=frozenset({0}))
