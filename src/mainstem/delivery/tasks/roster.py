"""Which handlers a task has known, and from where on each takes part.

A handler's name is its identity. One that is new to a running group begins behind the highest completed event, and its
first offsets are recorded; one that was renamed says ``was=``; a recorded one that nobody registers any more stops
the start, because what it has parked would be forgotten. :class:`Retirement` strikes such a one out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import msgspec
from msgspec import Struct

from mainstem.broker import Broker, GroupDescription, TopicPartition, completed_key
from mainstem.clock import Clock
from mainstem.delivery.context import Effects, no_effects
from mainstem.delivery.custody import in_custody
from mainstem.delivery.failures import Audit, Checkpoints, Mark, Parking
from mainstem.delivery.lanes import Progress
from mainstem.delivery.processor import Processor
from mainstem.errors import DefinitionError
from mainstem.state import Rows, TaskState, timers

STORE = "$handlers"
HANDLERS_MOST = 10_000
SEQUENCES_MOST = 1_000_000
AT_ONCE = 1_000
"""How many sequences or timers go into one commit."""

Starts = dict[str, dict[TopicPartition, int]]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, int]).decode


class Roster:
    """The handlers recorded in one task's store."""

    def __init__(self, group: str, state: TaskState, parking: Parking, checkpoints: Checkpoints) -> None:
        self._group = group
        self._state = state
        self._parking = parking
        self._checkpoints = checkpoints
        self._known = {key.decode(): _decode(row) for key, row in state.scan(STORE, limit=HANDLERS_MOST)}

    def call(
        self, processors: Sequence[Processor], progress: Mapping[TopicPartition, Progress], effects: Effects
    ) -> Starts:
        """Compare with what is registered now; changes go into ``effects``. Raises DefinitionError for the missing."""
        first_time = not self._known
        starts: Starts = {}
        for processor in processors:
            row = self._known.pop(processor.name, None)
            for old in processor.was:
                renamed = self._known.pop(old, None)
                if renamed is not None and row is not None:
                    raise self._two_in_one(processor.name, old)
                if renamed is not None:
                    row = renamed
                    effects.write(STORE, old.encode(), None)
                    self._parking.rename(effects, old, processor.name)
                    self._checkpoints.rename(effects, old, processor.name)
                    effects.write(STORE, processor.name.encode(), _encode(row))
            if row is None:
                topics = {each.topic for each in processor.inputs}
                behind = {at: each.highest for at, each in progress.items() if at.topic in topics}
                row = {} if first_time else {completed_key(at).decode(): offset for at, offset in behind.items()}
                effects.write(STORE, processor.name.encode(), _encode(row))
            starts[processor.name] = {at: row[name] for at in progress if (name := completed_key(at).decode()) in row}
        if self._known:
            raise self._missing(sorted(self._known))
        return starts

    def _two_in_one(self, name: str, old: str) -> DefinitionError:
        return DefinitionError(
            f"group {self._group!r} remembers both {name!r} and {old!r}, and one handler would be both",
            where="the task's store",
            why="what one of them has parked would take the place of what the other has",
            remedy=f"for a handler that was removed, run: mainstem retire {self._group} {old}",
        )

    def _missing(self, names: list[str]) -> DefinitionError:
        listed = ", ".join(repr(name) for name in names)
        return DefinitionError(
            f"group {self._group!r} remembers handlers that nobody registers: {listed}",
            where="the task's store",
            why="they were renamed or removed; what they have parked or set would be forgotten in silence",
            remedy=f'for a new name, register with was=("{names[0]}",); '
            f"for a removed one, run: mainstem retire {self._group} {names[0]}",
        )


class Remembered(Struct):
    """What tasks remember of a handler: how many know it, what it has parked, and timers that are set."""

    tasks: int = 0
    sequences: int = 0
    events: int = 0
    timers: int = 0
    checkpoints: int = 0

    @property
    def something(self) -> bool:
        """Whether there is anything to be forgotten."""
        return self != Remembered()


class Retirement(Struct, frozen=True):
    """A handler that does not exist any more, and timers by name that nobody handles, in a group that nobody runs."""

    broker: Broker
    rows_of: Callable[[int], Rows]
    group: GroupDescription
    handler: str
    timers: tuple[str, ...] = ()

    def look(self) -> Remembered:
        """What is remembered, as it was committed last."""
        found = Remembered()
        for task in range(self.group.tasks):
            state = TaskState(self.rows_of(task))
            marks = self._marks(Parking(state))
            found.tasks += state.get(STORE, self.handler.encode()) is not None
            found.sequences += len(marks)
            found.events += sum(mark.waiting for _, mark in marks)
            found.timers += sum(len(timers.named(state, name, SEQUENCES_MOST)) for name in self.timers)
            found.checkpoints += len(Checkpoints(state).of(self.handler))
        return found

    async def carry_out(self, clock: Clock, reason: str, done: Callable[[int], None]) -> None:
        """Take each task over, which fences whoever had it, and forget. ``done`` hears of each sequence and timer.

        What was parked stands in the audit topic as discarded. Positions stay. Raises
        :class:`~mainstem.errors.Fenced` when somebody has started the group meanwhile; it can be repeated.
        """
        for task in range(self.group.tasks):
            async with in_custody(self.broker, self.group, task) as custody:
                if custody is None:
                    continue
                for effects, count in self._effects(task, clock, reason):
                    await custody.commit(effects)
                    done(count)

    def _effects(self, task: int, clock: Clock, reason: str) -> Iterator[tuple[Effects, int]]:
        """What is to be committed, in pieces; the handler's own row goes last, so that a rest is found again."""
        state = TaskState(self.rows_of(task))
        parking = Parking(state)
        audit = Audit(self.group.name, task)
        marks = iter(self._marks(parking))
        while some := list(islice(marks, AT_ONCE)):
            effects, now = no_effects(), clock.now_ms()
            for place, mark in some:
                letter = parking.first(self.handler, place, mark)
                effects.facts.append(audit.tell("discarded", (self.handler, place), mark, letter, now, reason))
                parking.drop(effects, self.handler, place, mark)
                effects.facts.append(audit.worked_off((self.handler, place), now))
            yield effects, len(some)
        for name in self.timers:
            waiting = iter(timers.named(state, name, SEQUENCES_MOST))
            while due := list(islice(waiting, AT_ONCE)):
                effects = no_effects()
                for timer in due:
                    timers.cancel(state.get, effects.write, timer.name, timer.key)
                yield effects, len(due)
        effects = no_effects()
        Checkpoints(state).forget_all(effects, self.handler)
        effects.write(STORE, self.handler.encode(), None)
        yield effects, 0

    def _marks(self, parking: Parking) -> list[tuple[bytes, Mark]]:
        return [(place, mark) for handler, place, mark in parking.marks(SEQUENCES_MOST) if handler == self.handler]
