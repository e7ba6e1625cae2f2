"""Which handlers a task has known, and from where on each takes part.

A handler's name is its identity. One that is new to a running group begins behind the highest completed event, and its
first offsets are recorded; one that was renamed says ``was=``; a recorded one that nobody registers any more stops
the start, because what it has parked would be forgotten. In play it does so only where something is parked.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from mainstem.broker import TopicPartition, completed_key
from mainstem.delivery.context import Effects, no_effects
from mainstem.delivery.failures import Audit, Checkpoints, Parking, renamed
from mainstem.delivery.lanes import Progress
from mainstem.delivery.ledger import Places
from mainstem.delivery.plan import HANDLERS_STORE, Plan
from mainstem.delivery.processor import Processor
from mainstem.errors import DefinitionError
from mainstem.state import TaskState
from mainstem.telemetry import log

Starts = dict[str, dict[TopicPartition, int]]


class Known(Struct, frozen=True):
    """A handler's row: its first offsets, and the name under which what is left of it waits to be moved, or nothing."""

    starts: dict[str, int]
    once: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Known).decode


def relocated_starts(row: bytes, places: Places) -> bytes:
    """The row of a handler as it must be where the records are moved to."""
    found = _decode(row)
    starts: dict[str, int] = {}
    for name, offset in found.starts.items():
        topic, _, partition = name.rpartition("/")
        starts[name] = places.first_from(TopicPartition(topic, int(partition)), offset)
    return _encode(Known(starts, found.once))


def known_handlers(state: TaskState) -> dict[str, Known]:
    """The handlers that a task knows."""
    return {key.decode(): _decode(row) for key, row in state.walk(HANDLERS_STORE)}


def struck_out(handler: str) -> Effects:
    """A handler is not known any more."""
    return Effects([], {(HANDLERS_STORE, handler.encode()): None})


class Roster:
    """The handlers recorded in one task's store; once called, ``starts`` are the first offsets of those registered."""

    def __init__(self, plan: Plan, state: TaskState, parking: Parking, checkpoints: Checkpoints, audit: Audit) -> None:
        self.starts: Starts = {}
        self._group = plan.group
        self._dev = plan.dev
        self._parking = parking
        self._checkpoints = checkpoints
        self._audit = audit
        self._known = known_handlers(state)

    def call(
        self,
        processors: Sequence[Processor],
        progress: Mapping[TopicPartition, Progress],
        now_ms: int,
        anew: Collection[TopicPartition] = (),
    ) -> Iterator[Effects]:
        """Compare with what is registered now. Raises DefinitionError for the missing.

        In ``anew`` the group has no position: what is recorded there is of a topic that was deleted meanwhile.
        Gives the changes in pages, one at least; each is to be committed before the next is asked for.
        """
        renames, gone = self._renames(processors)
        for name in gone:
            log.info("group %r: nobody registers the handler %r any more, and nothing waits for it", self._group, name)
            del self._known[name]
            yield struck_out(name)
        names = {completed_key(at).decode(): at for at in progress}
        # With the first positions: whoever takes over behind that commit finds some, and would take these for right.
        if (first := self._forget_starts({completed_key(at).decode() for at in anew})).writes:
            yield first
        last = no_effects()
        for processor in processors:
            row = self._known.get(renames.get(processor.name, processor.name))
            if row is None:
                row = Known(_behind(processor, progress if self._known else {}))
                last.write(HANDLERS_STORE, processor.name.encode(), _encode(row))
            self.starts[processor.name] = {names[at]: row.starts[at] for at in names.keys() & row.starts.keys()}
        for name, row in self._known.items():
            if row.once:
                yield from self._move(row.once, name, now_ms)
                yield Effects([], {(HANDLERS_STORE, name.encode()): _encode(Known(row.starts))})
        for new, old in renames.items():
            starts = self._known[old].starts
            yield Effects(
                [], {**struck_out(old).writes, (HANDLERS_STORE, new.encode()): _encode(Known(starts, once=old))}
            )
            yield from self._move(old, new, now_ms)
            last.write(HANDLERS_STORE, new.encode(), _encode(Known(starts)))
        yield last

    def _forget_starts(self, gone: set[str]) -> Effects:
        forgotten = no_effects()
        for name, row in self._known.items():
            if gone & row.starts.keys():
                starts = {at: offset for at, offset in row.starts.items() if at not in gone}
                self._known[name] = Known(starts, row.once)
                forgotten.write(HANDLERS_STORE, name.encode(), _encode(self._known[name]))
        return forgotten

    def _renames(self, processors: Sequence[Processor]) -> tuple[dict[str, str], list[str]]:
        """The recorded names of processors that have another one now, and those that can be forgotten."""
        known = set(self._known)
        renames: dict[str, str] = {}
        for processor in processors:
            for name in known & {processor.name, *processor.was}:
                known.remove(name)
                if name != processor.name:
                    renames[processor.name] = name
            both = {processor.name, *processor.was} & set(self._known)
            if len(both) > 1:
                raise self._two_in_one(processor.name, next(name for name in processor.was if name in both))
        missing = [name for name in sorted(known) if not self._dev or self._waits(name)]
        if missing:
            raise self._missing(missing)
        return renames, sorted(known)

    def _waits(self, name: str) -> bool:
        """Whether anything is parked or checkpointed under a name, or one that it is just being moved from."""
        names = filter(None, (name, self._known[name].once))
        found = (rows for each in names for rows in (self._parking.owing(each), self._checkpoints.of(each)))
        return any(next(iter(rows), None) is not None for rows in found)

    def _move(self, old: str, new: str, now_ms: int) -> Iterator[Effects]:
        return renamed(self._parking, self._checkpoints, self._audit, (old, new), now_ms)

    def _two_in_one(self, name: str, old: str) -> DefinitionError:
        return DefinitionError(
            f"group {self._group!r} remembers both {name!r} and {old!r}, and one handler would be both",
            where="the task's store",
            why="what one of them has parked would take the place of what the other has",
            remedy="for a handler that was removed, " + self._retire(old),
        )

    def _retire(self, name: str) -> str:
        return f"run: mainstem retire {self._group} {name} --yes, with the --dev or --broker of mainstem run"

    def _missing(self, names: list[str]) -> DefinitionError:
        listed = ", ".join(repr(name) for name in names)
        return DefinitionError(
            f"group {self._group!r} remembers handlers that nobody registers: {listed}",
            where="the task's store",
            why="they were renamed or removed; what they have parked or set would be forgotten in silence",
            remedy=f'for a new name, register with was=("{names[0]}",); for a removed one, ' + self._retire(names[0]),
        )


def _behind(processor: Processor, progress: Mapping[TopicPartition, Progress]) -> dict[str, int]:
    """Offsets behind everything that is completed of a handler's inputs."""
    topics = {each.topic for each in processor.inputs}
    return {completed_key(at).decode(): each.highest for at, each in progress.items() if at.topic in topics}
