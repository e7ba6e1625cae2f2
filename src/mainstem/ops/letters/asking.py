"""Commands to a group: put into its inbox, and waited for until they are answered and have had their effect."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple

from msgspec import Struct

from mainstem.broker import Batch, Broker, read
from mainstem.clock import Clock
from mainstem.delivery import (
    Command,
    Entry,
    answers_topic,
    audit_topic,
    decode_answer,
    decode_entry,
    ends_of,
    is_notice,
    send,
)


class Outcome(Struct):
    """What became of commands about sequences.

    ``answered`` of the ``sent`` ones were, about ``events`` in all. ``done`` sequences are worked off or discarded,
    ``failed_again`` have stopped again, ``gone`` were not there any more, ``scheduled`` begin later; the rest of the
    answered is under way. ``held_back`` were not even sent, because too many before them had failed again.
    ``refused`` says of some why they were left as they are; they are not among the others.
    """

    sent: int = 0
    answered: int = 0
    events: int = 0
    done: int = 0
    failed_again: int = 0
    gone: int = 0
    scheduled: int = 0
    held_back: int = 0
    refused: list[str] = []

    @property
    def unanswered(self) -> int:
        """Commands that no process has taken up yet."""
        return self.sent - self.answered

    @property
    def under_way(self) -> int:
        """Sequences that are being worked off."""
        over = self.done + self.failed_again + self.gone + self.scheduled + len(self.refused)
        return self.answered - over

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return not (self.unanswered or self.under_way)

    @property
    def failing(self) -> float:
        """The share of those that have failed again, of all that have come to an end."""
        return self.failed_again / max(1, self.failed_again + self.done)


class SequenceOrder(NamedTuple):
    """A command for a task, about the sequence that the audit topic names so.

    It is over when its effect has been told; with its answer when the effect comes ``later``.
    """

    task: int
    command: Command
    sequence_key: bytes = b""
    later: bool = False


class Asking:
    """Commands to one group, and what is heard of them."""

    def __init__(self, broker: Broker, group: str, clock: Clock) -> None:
        self.outcome = Outcome()
        self._broker = broker
        self._group = group
        self._clock = clock
        self._unanswered: dict[str, SequenceOrder] = {}
        # True once the audit topic has told that the command was carried out; what it tells then is the effect.
        self._under_way: dict[tuple[int, bytes | None], bool] = {}

    async def ask(
        self, orders: Sequence[SequenceOrder], patience_seconds: float, heard: Callable[[int], None]
    ) -> Outcome:
        """Send commands; wait until all is over, or nothing is heard for so many seconds.

        ``heard`` is called with the number of sequences that are over. May be called again: outcomes add up.
        """
        topics = (answers_topic(self._group), audit_topic(self._group))
        batches = read(self._broker.log, await ends_of(self._broker, topics))
        async with aclosing(batches):
            self._unanswered = {order.command.id: order for order in orders}
            self._under_way = {(order.task, order.sequence_key): False for order in orders if not order.later}
            self.outcome.sent += len(orders)
            await send(self._broker, self._group, orders, self._clock.now_ms())
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
        return (
            self.outcome.done
            + self.outcome.failed_again
            + self.outcome.gone
            + self.outcome.scheduled
            + len(self.outcome.refused)
        )

    def _hear(self, batch: Batch) -> None:
        answers = batch.topic == answers_topic(self._group)
        for key, value in zip(batch.keys, batch.values, strict=True):
            if answers:
                self._answered(value)
            elif not is_notice(key):
                entry = None if value is None else decode_entry(value)
                self._told((batch.partition, key if entry is None else entry.sequence_key), entry)

    def _answered(self, value: bytes | None) -> None:
        answer = decode_answer(value or b"")
        order = self._unanswered.pop(answer.id, None)
        if order is None:
            return
        self.outcome.answered += 1
        self.outcome.events += answer.found
        if answer.refused:
            self.outcome.refused.append(answer.text)
            return
        self.outcome.gone += not answer.found
        self.outcome.scheduled += bool(answer.found) and order.later

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
