"""A broker whose commits end as a test wants them to."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast

from mainstem.broker import Broker, Change, Ownership, Record, TopicPartition, Transaction
from mainstem.errors import CommitRefused, CommitUnknown, DiskFull, Fenced, MainstemError

Ending: TypeAlias = Literal["done", "fenced", "refused", "lost", "unknown", "full"]
"""``lost`` and ``unknown`` look the same to who commits; of the first nothing has happened, of the second all of it."""


class Faulty:
    """Hands everything on to a real broker, and decides how each commit of a task ends."""

    def __init__(self, broker: Broker, ending: Callable[["Commit"], Ending]) -> None:
        """``ending`` is asked about every commit."""
        self._broker = broker
        self.ending = ending
        self.commits: list[Commit] = []
        self.take_overs = 0

    @property
    def broker(self) -> Broker:
        """Itself, as a broker."""
        return cast("Broker", self)

    @property
    def group(self) -> Any:
        """The role that is changed."""
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def join(self, *arguments: Any, **options: Any) -> Any:
        """Join for real."""
        return Member(self, await self._broker.group.join(*arguments, **options))

    async def passing(self) -> None:
        """Is awaited before each commit of facts."""

    def transaction(self, ownership: Ownership) -> "Commit":
        """A transaction that is watched."""
        commit = Commit(ownership.transaction(), self)
        self.commits.append(commit)
        return commit


class Member:
    """A membership whose tasks are watched."""

    def __init__(self, faulty: Faulty, membership: Any) -> None:
        """A real one."""
        self._faulty = faulty
        self._membership = membership

    def __getattr__(self, name: str) -> Any:
        return getattr(self._membership, name)

    async def take_over(self, task: int) -> Any:
        """Take over for real."""
        self._faulty.take_overs += 1
        return Owner(self._faulty, await self._membership.take_over(task))


class Owner:
    """An ownership whose transactions are watched."""

    def __init__(self, faulty: Faulty, ownership: Ownership) -> None:
        """A real one."""
        self._faulty = faulty
        self._ownership = ownership

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ownership, name)

    def transaction(self) -> Transaction:
        """One that is watched."""
        return self._faulty.transaction(self._ownership)


class Commit:
    """A transaction that remembers what it was given."""

    def __init__(self, transaction: Transaction, faulty: Faulty) -> None:
        """A real one."""
        self._transaction = transaction
        self._faulty = faulty
        self.records: list[Record] = []
        self.rows: list[Change] = []
        self.named: dict[TopicPartition, int] = {}
        self.ended: Ending | None = None

    def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
        """Add records."""
        self.records += records
        self._transaction.append(at, records)

    def changes(self, changes: Iterable[Change]) -> None:
        """Add changes."""
        given = list(changes)
        self.rows += given
        self._transaction.changes(given)

    def positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Name positions."""
        self.named.update(positions)
        self._transaction.positions(positions)

    async def commit(self) -> Mapping[TopicPartition, int]:
        """End as it is wanted."""
        if self.records:
            await self._faulty.passing()
        self.ended = self._faulty.ending(self)
        if self.ended in ("done", "unknown"):
            done = await self._transaction.commit()
            if self.ended == "done":
                return done
        else:
            self._transaction.abort()
        errors: dict[Ending, type[MainstemError]] = {"fenced": Fenced, "refused": CommitRefused, "full": DiskFull}
        raise errors.get(self.ended, CommitUnknown)(f"it was to be {self.ended}")

    def abort(self) -> None:
        """Drop it."""
        self._transaction.abort()


def by_chance(seed: int, share: float) -> Callable[[Commit], Ending]:
    """Endings that are bad now and then; the first one surely, and never where nothing was published."""
    chance = random.Random(seed)
    bad: list[Ending] = ["fenced", "refused", "lost", "unknown"]
    begun: list[bool] = []

    def ending(commit: Commit) -> Ending:
        if not commit.records or (begun and chance.random() >= share):
            return "done"
        begun.append(True)
        return chance.choice(bad)

    return ending
