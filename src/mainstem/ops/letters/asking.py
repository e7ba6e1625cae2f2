"""Commands to a group: put into its inbox, and waited for until they are answered and have had their effect."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Final

from msgspec import Struct

from mainstem.broker import Batch, Broker, Record, TopicPartition, inbox_of, read
from mainstem.clock import Clock
from mainstem.delivery import (
    Action,
    Command,
    Entry,
    answers_topic,
    audit_topic,
    decode_answer,
    decode_entry,
    encode_command,
)
from mainstem.identifiers import Identifiers

AT_ONCE: Final = 500


class Outcome(Struct):
    """What became of commands about sequences.

    ``answered`` of the ``sent`` ones were, about ``events`` in all. ``done`` sequences are worked off or discarded,
    ``failed_again`` have stopped again, ``gone`` were not there any more; the rest of the answered is under way.
    """

    sent: int = 0
    answered: int = 0
    events: int = 0
    done: int = 0
    failed_again: int = 0
    gone: int = 0

    @property
    def unanswered(self) -> int:
        """Commands that no process has taken up yet."""
        return self.sent - self.answered

    @property
    def under_way(self) -> int:
        """Sequences that are being worked off."""
        return self.answered - self.done - self.failed_again - self.gone

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return not (self.unanswered or self.under_way)


class Asking:
    """Commands to one group, and what is heard of them."""

    def __init__(self, broker: Broker, group: str, clock: Clock, identifiers: Identifiers) -> None:
        self.outcome = Outcome()
        self._broker = broker
        self._group = group
        self._clock = clock
        self._identifiers = identifiers
        self._unanswered: set[str] = set()
        # True once the audit topic has told that the command was carried out; what it tells then is the effect.
        self._under_way: dict[tuple[int, bytes | None], bool] = {}

    async def ask(
        self,
        action: Action,
        entries: Sequence[Entry],
        reason: str,
        patience_seconds: float,
        heard: Callable[[int], None],
    ) -> Outcome:
        """Send a command about each sequence; wait until all is over, or nothing is heard for so many seconds.

        ``heard`` is called with the number of sequences that are over.
        """
        ends = await self._ends()
        batches = read(self._broker.log, ends)
        async with aclosing(batches):
            await self._send(action, entries, reason)
            while not self.outcome.over:
                before = self._over()
                try:
                    async with asyncio.timeout(patience_seconds):
                        batch = await anext(batches)
                except TimeoutError:
                    break
                self._hear(batch)
                heard(self._over() - before)
        return self.outcome

    def _over(self) -> int:
        return self.outcome.done + self.outcome.failed_again + self.outcome.gone

    async def _ends(self) -> Mapping[TopicPartition, int]:
        names = (answers_topic(self._group), audit_topic(self._group))
        described = await self._broker.admin.topics(names)
        ends: dict[TopicPartition, int] = {}
        for topic in described.values():
            ends.update((at, end) for at, (_, end) in topic.bounds.items())
        return ends

    async def _send(self, action: Action, entries: Iterable[Entry], reason: str) -> None:
        rest = iter(entries)
        while some := list(islice(rest, AT_ONCE)):
            records: dict[TopicPartition, list[Record]] = {}
            now = self._clock.now_ms()
            for entry in some:
                command = Command(self._identifiers.new(), action, entry.handler, entry.place, reason)
                at = TopicPartition(inbox_of(self._group), entry.task)
                records.setdefault(at, []).append(Record(command.id.encode(), encode_command(command), now))
                self._unanswered.add(command.id)
                self._under_way[entry.task, entry.sequence_key] = False
            transaction = self._broker.log.transaction()
            for at, found in records.items():
                transaction.append(at, found)
            await transaction.commit()
            self.outcome.sent += len(some)

    def _hear(self, batch: Batch) -> None:
        answers = batch.topic == answers_topic(self._group)
        for key, value in zip(batch.keys, batch.values, strict=True):
            if answers:
                self._answered(value)
            else:
                entry = None if value is None else decode_entry(value)
                self._told((batch.partition, key if entry is None else entry.sequence_key), entry)

    def _answered(self, value: bytes | None) -> None:
        answer = decode_answer(value or b"")
        if answer.id not in self._unanswered:
            return
        self._unanswered.discard(answer.id)
        self.outcome.answered += 1
        self.outcome.events += answer.found
        self.outcome.gone += not answer.found

    def _told(self, key: tuple[int, bytes | None], entry: Entry | None) -> None:
        if key not in self._under_way:
            return
        if entry is not None and entry.status in ("redriven", "discarded"):
            self._under_way[key] = True
        elif self._under_way[key]:
            del self._under_way[key]
            if entry is None:
                self.outcome.done += 1
            else:
                self.outcome.failed_again += 1
