"""Putting commands into the inbox of a group, from outside, and waiting for what its tasks answer."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

from mainstem.broker import Broker, Record, TopicPartition, inbox_of, read
from mainstem.clock import Clock
from mainstem.delivery.commands.inbox import Answer, Command, answers_topic, decode_answer, encode_command
from mainstem.errors import NotAnswered

AT_ONCE: Final = 500


class Addressed(Protocol):
    """A command and the task that it is for."""

    @property
    def task(self) -> int:
        """The task."""
        ...

    @property
    def command(self) -> Command:
        """The command."""
        ...


class Order(NamedTuple):
    """A command for a task."""

    task: int
    command: Command


class Answered(Struct, frozen=True):
    """An answer, with all parts of its contents."""

    answer: Answer
    contents: bytes


class Questions(Struct, frozen=True):
    """Commands to one group that are over with their answer."""

    broker: Broker
    group: str
    clock: Clock
    patience_seconds: float

    async def ask(self, orders: Sequence[Addressed]) -> Mapping[str, Answered]:
        """The answers, by the id of the command. Raises :class:`~mainstem.errors.NotAnswered`."""
        parts: dict[str, dict[int, Answer]] = {order.command.id: {} for order in orders}
        missing = set(parts)
        batches = read(self.broker.log, await ends_of(self.broker, [answers_topic(self.group)]))
        async with aclosing(batches):
            await send(self.broker, self.group, orders, self.clock.now_ms())
            while missing:
                try:
                    async with asyncio.timeout(self.patience_seconds):
                        batch = await anext(batches)
                except TimeoutError:
                    raise await self.unanswered(len(missing), len(orders)) from None
                for value in batch.values:
                    answer = decode_answer(value or b"")
                    if answer.id in parts:
                        parts[answer.id][answer.part] = answer
                        if len(parts[answer.id]) == answer.parts:
                            missing.discard(answer.id)
        return {
            each: Answered(found[0], b"".join(found[part].contents for part in sorted(found)))
            for each, found in parts.items()
        }

    async def unanswered(self, missing: int, sent: int) -> NotAnswered:
        """The error to be raised when nobody has answered."""
        members = len((await self.broker.admin.groups([self.group]))[self.group].members)
        processes = "1 process" if members == 1 else f"{members} processes"
        return NotAnswered(
            f"{missing} of {sent} command{'s'[: sent - 1]} to {self.group!r} not answered",
            where=inbox_of(self.group),
            why=f"nothing was heard for {self.patience_seconds:g} s from the group's {processes}"
            if members
            else "no process runs the group",
            remedy="start the group: the commands wait in its inbox, and are applied then; there is no need to "
            "repeat them, unless it was a question",
        )


async def ends_of(broker: Broker, topics: Iterable[str]) -> Mapping[TopicPartition, int]:
    """Where topics end now, by partition."""
    described = await broker.admin.topics(topics)
    return {at: end for topic in described.values() for at, (_, end) in topic.bounds.items()}


async def send(broker: Broker, group: str, orders: Iterable[Addressed], now_ms: int) -> None:
    """Put commands into the inbox of a group, a block at a time."""
    rest = iter(orders)
    while some := list(islice(rest, AT_ONCE)):
        transaction = broker.log.transaction()
        records: dict[TopicPartition, list[Record]] = {}
        for order in some:
            at = TopicPartition(inbox_of(group), order.task)
            records.setdefault(at, []).append(Record(order.command.id.encode(), encode_command(order.command), now_ms))
        for at, found in records.items():
            transaction.append(at, found)
        await transaction.commit()
