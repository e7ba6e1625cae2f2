"""Questions to the tasks of a group, and the whole letters that they answer with."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Final

from msgspec import Struct

from mainstem.broker import Broker, inbox_of, read
from mainstem.clock import Clock
from mainstem.delivery import Answer, Command, Entry, Page, answers_topic, decode_answer, decode_page
from mainstem.errors import NotAnswered
from mainstem.identifiers import Identifiers
from mainstem.ops.letters.asking import Order, ends_of, send
from mainstem.ops.screen import plural

SEQUENCES_AT_ONCE: Final = 20
"""A page of each is held in memory."""


class Answered(Struct, frozen=True):
    """An answer, with all parts of its contents."""

    answer: Answer
    contents: bytes


class Questions(Struct, frozen=True):
    """Commands that are over with their answer."""

    broker: Broker
    group: str
    clock: Clock
    patience_seconds: float

    async def ask(self, orders: Sequence[Order]) -> Mapping[str, Answered]:
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
        members = (await self.broker.admin.groups([self.group]))[self.group].members
        return NotAnswered(
            f"{missing} of {plural(sent, 'command')} to {self.group!r} not answered",
            where=inbox_of(self.group),
            why=f"nothing was heard for {self.patience_seconds:g} s from the group's {plural(len(members), 'process')}"
            if members
            else "no process runs the group",
            remedy="start the group: the commands wait in its inbox, and are applied then; there is no need to "
            "repeat them, unless it was a question",
        )

    async def pages(self, entries: Sequence[Entry]) -> AsyncIterator[tuple[Entry, int, Page]]:
        """All letters of these sequences, as (sequence, number of the first letter, page); some sequences at a time.

        A sequence that is not there any more has none. The pages of one sequence come in order.
        """
        rest = iter(entries)
        while some := [(entry, 0) for entry in islice(rest, SEQUENCES_AT_ONCE)]:
            for entry, _, first in await self._pages(some):
                number = 0
                page: Page | None = first
                while page is not None and page.letters:
                    yield entry, number, page
                    number += len(page.letters)
                    page = await self.page(entry, number) if number < page.waiting else None

    async def page(self, entry: Entry, number: int) -> Page | None:
        """Letters of a sequence from the ``number``th on; None when it is not there any more."""
        found = await self._pages([(entry, number)])
        return found[0][2] if found else None

    async def _pages(self, wanted: Sequence[tuple[Entry, int]]) -> list[tuple[Entry, int, Page]]:
        identifiers = Identifiers(self.clock)
        asked = [
            (entry, number, Command(identifiers.new(), "read", entry.handler, entry.place, number=number))
            for entry, number in wanted
        ]
        answers = await self.ask([Order(entry.task, command) for entry, _, command in asked])
        return [
            (entry, number, decode_page(answers[command.id].contents))
            for entry, number, command in asked
            if answers[command.id].answer.found
        ]
