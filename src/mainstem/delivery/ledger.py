"""What a task has done since its last commit: facts, store changes, and how far it has come.

An event's effects and its completion enter together, in one call without an await, so a cut at any moment is
consistent: it holds all of an event or nothing of it.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, TypeAlias, cast

import msgspec
from msgspec import Struct

from mainstem.broker import COMPLETED_STORE, Change, Record, TopicPartition, completed_key
from mainstem.delivery.context import Effects, Facts
from mainstem.delivery.guards import LetterCount
from mainstem.delivery.lanes import Intake, Progress, Ranges
from mainstem.errors import BrokerError
from mainstem.state import TaskState

SKIPPED_TYPES_MOST = 100
"""So many types are counted by name; who writes to a topic may invent any number of them."""
OTHER_TYPES = "(other types)"
_NAME_CHARACTERS = 200


@dataclass(slots=True)
class Counters:
    """What a task has done since it was taken over, for whoever watches."""

    handled: int = 0
    published: int = 0
    commits: int = 0
    failures: int = 0
    parked: int = 0
    dead_lettered: int = 0
    redriven: int = 0
    discarded: int = 0
    doubles: int = 0
    put_aside: int = 0
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, type_name: str, count: int) -> str | None:
        """Count what was passed over by its type, or among the others; the name if it is the first of that name."""
        skipped, name = self.skipped, type_name[:_NAME_CHARACTERS]
        if name not in skipped and len(skipped) >= SKIPPED_TYPES_MOST:
            name = OTHER_TYPES
        first = name not in skipped
        skipped[name] = skipped.get(name, 0) + count
        return name if first else None

    def until_now(self) -> "Counters":
        """A copy, which counts no further."""
        return replace(self, skipped=dict(self.skipped))


class Completed(Struct, frozen=True):
    """Offsets completed beyond a position, and the topic id and position that they belong to."""

    topic_id: str
    position: int
    ranges: Ranges


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Completed).decode


class Places(Protocol):
    """Where the records of a log are in its copy on another broker."""

    def first_from(self, at: TopicPartition, offset: int) -> int:
        """The place of the first record at or behind ``offset``; the end where there is none."""
        ...

    def last_before(self, at: TopicPartition, offset: int) -> int:
        """The place of the last record before ``offset``; -1 where there is none."""
        ...


def relocated_completed(at: TopicPartition, row: bytes, places: Places, topic_id: str) -> bytes | None:
    """The row of a completed set as it must be where the records are moved to; None when nothing is left of it."""
    found = _decode(row)
    moved = [(places.first_from(at, first), places.last_before(at, last + 1)) for first, last in found.ranges]
    ranges = [(first, last) for first, last in moved if first <= last]
    return _encode(Completed(topic_id, places.first_from(at, found.position), ranges)) if ranges else None


Rows: TypeAlias = Mapping[tuple[str, bytes], bytes | None]
"""By store and key, new values, or None for a deletion."""


class Pending(NamedTuple):
    """What waits for the next commit: events, whether there is more than positions, and whether anybody waits for it.

    ``resting`` says that nothing is under way, and nothing is there to be read.
    """

    events: int
    changed: bool
    waited_for: bool
    resting: bool


@dataclass(frozen=True, slots=True)
class Cut:
    """All that one commit carries, and who waits for it."""

    facts: Mapping[TopicPartition, list[Record]]
    changes: list[Change]
    positions: Mapping[TopicPartition, int]
    waiters: list[asyncio.Future[None]]
    events: int


class Ledger:
    """The books of one task."""

    __slots__ = (
        "_commit_events",
        "_completed_rows",
        "_facts",
        "_mark",
        "_topic_ids",
        "_waiters",
        "changed",
        "counters",
        "events",
        "last_rows",
        "letters",
        "on_change",
        "on_parked",
        "on_wake",
        "progress",
        "remembers",
        "state",
    )

    def __init__(
        self,
        state: TaskState,
        progress: Mapping[TopicPartition, Progress],
        topic_ids: Mapping[str, str],
        *,
        commit_events: int,
        on_wake: Callable[[int], None],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_wake`` hears the due time of every timer that is set.

        ``on_change`` hears of the first event and of the first change after a cut, of as many events as a commit is to
        carry, and of whoever waits for one.
        """
        self.state = state
        self.progress = progress
        self.counters = Counters()
        self.letters = LetterCount(state)
        self.on_wake = on_wake
        self.remembers = True
        """Otherwise what is completed beyond a position is handled again by the next owner."""
        self.on_change = on_change
        self.on_parked: Callable[[Effects], None] = lambda _: None
        """Hears of changes with which events are parked, or worked off, once they are in the books."""
        self.last_rows: Callable[[], Rows] = dict
        """Gives what is written once for many events, when all else has been taken out for a commit."""
        self.events = 0
        self.changed = False
        self._topic_ids = topic_ids
        self._commit_events = commit_events
        self._mark = 1
        self._facts = Facts()
        self._waiters: list[asyncio.Future[None]] = []
        self._completed_rows: set[TopicPartition] = set()

    def settle(self, intake: Intake, index: int, effects: Effects | None) -> None:
        """An event is done, with these effects."""
        if effects is not None:
            self.absorb(effects)
        intake.done(index)
        self.events += 1
        if self.events >= self._mark:
            self._reach()

    def _reach(self) -> None:
        """The first event since a cut, or as many as a commit is to carry: one comparison tells both."""
        self._mark = self._commit_events if self._mark == 1 else sys.maxsize
        self.on_change()

    def absorb(self, effects: Effects) -> None:
        """Take effects in that complete no event: those of a timer, a checkpoint, a worked-off letter."""
        if effects.writes:
            self.state.apply(effects.writes)
        if effects.facts:
            self._facts.add(effects.facts)
        if effects.letters:
            self.letters.add(effects)
            self.on_parked(effects)
        if effects.wake_ms is not None:
            self.on_wake(effects.wake_ms)
        if not self.changed and (effects.writes or effects.facts):
            self.changed = True
            self.on_change()

    def skip(self, intake: Intake, indexes: Iterable[int], type_name: str) -> str | None:
        """Pass over records that no handler wants; counted by type, so that a misspelt one is seen.

        The name that they are counted under, if they are the first of it.
        """
        count = 0
        for index in indexes:
            if not intake.is_done(index):
                intake.done(index)
                count += 1
        return self.counters.skip(type_name, count)

    def committed(self) -> asyncio.Future[None]:
        """A future for the commit that will carry everything taken in so far."""
        future = asyncio.get_running_loop().create_future()
        self._waiters.append(future)
        self.on_change()
        return future

    def pending(self, *, resting: bool) -> Pending:
        """What waits for the next commit."""
        return Pending(self.events, self.changed, bool(self._waiters), resting)

    def moved(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Whether there is anything to commit since ``positions`` were."""
        return bool(self.events or self.changed or self._waiters) or any(
            each.position() != positions.get(at) for at, each in self.progress.items()
        )

    def cut(self) -> Cut:
        """Take everything out for a commit."""
        positions = {at: progress.position() for at, progress in self.progress.items()}
        if self.remembers:
            self.state.apply(self._completed(positions))
            self.state.apply(self.letters.row())
            self.state.apply(self.last_rows())
        # A row of the state is to the broker a change, by the same names in the same order: none is made anew.
        changes = cast("list[Change]", self.state.cut())
        cut = Cut(self._facts.cut(), changes, positions, self._waiters, self.events)
        self._waiters, self.events, self.changed, self._mark = [], 0, False, 1
        return cut

    def _completed(self, positions: Mapping[TopicPartition, int]) -> dict[tuple[str, bytes], bytes | None]:
        rows: dict[tuple[str, bytes], bytes | None] = {}
        for at, progress in self.progress.items():
            ranges = progress.completed()
            if ranges:
                self._completed_rows.add(at)
                row = Completed(self._topic_ids[at.topic], positions[at], ranges)
                rows[COMPLETED_STORE, completed_key(at)] = _encode(row)
            elif at in self._completed_rows:
                self._completed_rows.discard(at)
                rows[COMPLETED_STORE, completed_key(at)] = None
        return rows

    def restore(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read what an earlier owner had completed beyond ``positions``. Raises BrokerError when they disagree."""
        for at, progress in self.progress.items():
            row = self.state.get(COMPLETED_STORE, completed_key(at))
            if row is None:
                continue
            found = _decode(row)
            if found.topic_id != self._topic_ids[at.topic] or found.position != positions.get(at):
                raise BrokerError(
                    f"the position of {at.topic}[{at.partition}] and what is completed beyond it disagree",
                    where=f"position {positions.get(at)}, completed set of {found.position}",
                    why="the position was moved, or the topic deleted and created again, behind the group's back",
                    remedy="mainstem groups reset moves both together",
                )
            progress.restore(found.ranges)
            self._completed_rows.add(at)


class HotKey(Struct, frozen=True):
    """A key that makes a large share of what a task has read lately, in text where its bytes are.

    So many of its events wait in its lane, the oldest of them ``wait_ms`` after it was made.
    """

    key: str
    share: float
    waiting: int
    wait_ms: int


class Strain(Struct, frozen=True):
    """What shows that a task has too much to do: handlers that give way, for so many seconds, and a hot key."""

    giving_way: Mapping[str, float] = {}
    hot: HotKey | None = None


class Runnable(Protocol):
    """A task that this process owns, in one incarnation. It has a ledger once it has begun, if it has one at all."""

    @property
    def ledger(self) -> Ledger | None:
        """Its books."""
        ...

    @property
    def in_flight(self) -> int:
        """Events read and not finished."""
        ...

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """The positions committed last, by input; empty before the first commit."""
        ...

    @property
    def paused(self) -> Mapping[str, float]:
        """Why its inputs stand still, and for how many seconds; empty when they do not."""
        ...

    @property
    def strain(self) -> Strain:
        """What shows that it has too much to do."""
        ...

    @property
    def open_breakers(self) -> Mapping[str, float]:
        """The breakers of its handlers that are not closed, and for how many seconds."""
        ...

    @property
    def got_on(self) -> bool:
        """Whether it has committed anything beyond its first positions."""
        ...

    async def run(self) -> None:
        """Own it until it is drained."""
        ...

    async def until_draining(self) -> None:
        """Return when it is to be drained."""
        ...

    def drain(self) -> None:
        """Finish, commit, and return from :meth:`run`."""
        ...

    def kill(self) -> None:
        """End at once: it has been lost."""
        ...
