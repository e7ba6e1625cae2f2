"""Questions to the tasks of a group, and the whole letters that they answer with."""

from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Final

from mainstem.delivery import Command, Entry, Order, Page, Questions, decode_page
from mainstem.identifiers import Identifiers

SEQUENCES_AT_ONCE: Final = 20
"""A page of each is held in memory."""


class Reading(Questions, frozen=True):
    """Questions about letters."""

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
