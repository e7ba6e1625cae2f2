"""What an event causes: facts and store changes, gathered until they are committed."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec
from msgspec import Struct

from mainstem.broker import Batch, Record, TopicPartition

Fact: TypeAlias = tuple[TopicPartition, Record]
"""A record, and the partition it goes to."""

Writes: TypeAlias = dict[tuple[str, bytes], bytes | None]
"""Changed rows: store and key, and the new value or None."""

Look: TypeAlias = Callable[[str, bytes], bytes | None]
"""The value of a key in a store, or None."""

Through: TypeAlias = tuple[str, Batch, int]
"""A handler, by name, that is through with an event: it has succeeded, parked or given up."""


class Effects(Struct, gc=False):
    """What a handler has done so far: facts to append, and store changes by store and key.

    ``wake_ms`` is the earliest time that a timer among the changes is due, ``letters`` how many more events are parked
    with them, or fewer.
    """

    facts: list[Fact]
    writes: Writes
    wake_ms: int | None = None
    letters: int = 0

    def write(self, store: str, key: bytes, value: bytes | None) -> None:
        """Change a row."""
        self.writes[store, key] = value

    def wake_at(self, due_ms: int) -> None:
        """Among the changes is a timer that is due then."""
        self.wake_ms = due_ms if self.wake_ms is None else min(self.wake_ms, due_ms)

    def over(self, read: Look) -> Look:
        """A look at rows that sees what has been done so far, and below it what ``read`` sees."""

        def look(store: str, key: bytes) -> bytes | None:
            at = (store, key)
            return self.writes[at] if at in self.writes else read(store, key)

        return look

    def take_in(self, later: "Effects") -> None:
        """Add what happened afterwards."""
        self.facts += later.facts
        self.writes.update(later.writes)
        self.letters += later.letters
        if later.wake_ms is not None:
            self.wake_at(later.wake_ms)


def no_effects() -> Effects:
    """Nothing done yet."""
    return Effects([], {})


class Gathered(Effects, gc=False):
    """What the handlers of an event have done so far, one after the other, and which of them are through with it."""

    facts: list[Fact] = msgspec.field(default_factory=list)
    writes: Writes = msgspec.field(default_factory=dict)
    through: list[Through] = msgspec.field(default_factory=list)

    def hand_over(self, last: Effects) -> Effects:
        """Everything so far and ``last``, to be committed now; what is gathered begins anew."""
        given = Effects(self.facts, self.writes, self.wake_ms, self.letters)
        given.take_in(last)
        self.facts, self.writes, self.wake_ms, self.letters = [], {}, None, 0
        return given
