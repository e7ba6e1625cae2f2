"""What a handler is given beside its event: its memory, its timers, what it may publish.

Everything a handler does through its context is kept apart until the handler has succeeded; one that raises leaves
no trace, except for what it committed itself with :meth:`Context.checkpoint`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeVar, overload

from mainstem.broker import Headers
from mainstem.calendar import Duration
from mainstem.delivery.context.delivered import Delivered
from mainstem.delivery.context.effects import Effects, Gathered, Origin
from mainstem.delivery.context.firing import due_ms, firing_tag, later_lineage, waiting_fact
from mainstem.delivery.context.reading import inherited_from
from mainstem.delivery.context.refusals import no_key, no_store, strange_key, strange_store, strange_timer
from mainstem.delivery.context.stores import FreeKey, Readable, Store, row_key
from mainstem.events import (
    CE_CAUSATIONID,
    CE_CORRELATIONID,
    TRACEPARENT,
    TRACESTATE,
    Attributes,
    lineage,
)
from mainstem.state import Owner, Scheduled, Timer, schedules, timers
from mainstem.telemetry import EventLogger, Trace, event_logger

V = TypeVar("V")
D = TypeVar("D")

_SEVERAL: Final = (list, tuple)
"""A union would be made anew for each event."""


class Context(Delivered, gc=False, eq=False):
    """An event's place in the log, and the means to remember, publish and wake up later.

    Made by the runtime, one for each run of a handler; not to be used after the handler has returned. What the runtime
    does with it is in :class:`RunContext`, which it really is.
    """

    _earlier: Gathered | None = None
    _effects: Effects | None = None
    _caused: int = 0
    """How many events this handler has published for this event, and timers set; the ids of both count on from it."""
    _lineage: Headers | None = None
    attempt: int = 1
    """1 in the first run of the handler for this event; one more after each failure."""
    _ended: bool = False
    _uncommitted: int = 0
    """How many checkpoints have begun whose end this handler has not seen."""

    # -- where this run belongs

    @property
    def trace(self) -> Trace | None:
        """The span around this run of the handler; where nobody makes spans, the trace context of the event."""
        inherited = self._lineage or inherited_from(self._batch, self._index)
        traceparent = inherited.get(TRACEPARENT)
        return None if traceparent is None else Trace(traceparent, inherited.get(TRACESTATE))

    @property
    def log(self) -> EventLogger:
        """The logger ``mainstem``, with event id, handler and trace in every line."""
        return event_logger(self.event_id, self._footing.handler, self.trace)

    # -- memory

    @overload
    def get(self, store: Readable[V], default: None = None, *, key: FreeKey | None = None) -> V | None: ...
    @overload
    def get(self, store: Readable[V], default: V | D, *, key: FreeKey | None = None) -> V | D: ...
    def get(self, store: Readable[V], default: D | None = None, *, key: FreeKey | None = None) -> V | D | None:
        """The value that the store holds for the event's key (or for ``key``, with ``scope="partition"``).

        Sees what this handler and earlier events of the key have put. The value is the caller's own copy.
        """
        at = self._row_key(store, key)
        row = self._read(store.name, at)
        if key is None:
            self._footing.stores.add(store.name)
        if row is None:
            return default
        value = store.unpack(row, 0 if store.expire_after_ms is None else self.now_ms)
        return default if value is None else value

    def put(self, store: Store[V], value: V, *, key: FreeKey | None = None) -> None:
        """Remember a value for the event's key; it commits with everything else that this event causes.

        Raises :class:`~mainstem.errors.EventRefused` for a value that is none of the store's type.
        """
        at = self._row_key(store, key)
        packed = store.pack(value, 0 if store.expire_after_ms is None else self.now_ms)
        self._write(store.name, at, packed)

    def delete(self, store: Readable[object], *, key: FreeKey | None = None) -> None:
        """Forget the value."""
        at = self._row_key(store, key)
        self._write(store.name, at, None)

    def scan(
        self, store: Readable[V], start: FreeKey = b"", stop: FreeKey | None = None, *, limit: int
    ) -> list[tuple[bytes, V]]:
        """Rows with ``start <= key < stop`` in key order, at most ``limit``; for stores with ``scope="partition"``.

        Sees what has been put so far. Expired rows are left out, so fewer than ``limit`` may come although there are
        more.
        """
        first = self._row_key(store, start)
        end = None if stop is None else row_key(stop)
        now = self.now_ms
        uncommitted = {
            key: value
            for each in (self._earlier, self._effects)
            if each is not None
            for (name, key), value in each.writes.items()
            if name == store.name
        }
        rows = self._footing.state.scan(store.name, first, end, limit=limit, over=uncommitted)
        return [(key, value) for key, row in rows if (value := store.unpack(row, now)) is not None]

    def _row_key(self, store: Readable[object], key: FreeKey | None) -> bytes:
        footing = self._footing
        try:
            declared = footing.declared.get(store.name)
        except AttributeError:
            raise no_store(store, footing.handler) from None
        if declared is not store:
            raise strange_store(store.name, footing.handler)
        if key is not None:
            if store.scope == "partition":
                return row_key(key)
            raise strange_key(store.name, footing.handler, key)
        found = self._batch.keys[self._index]
        if found is None or store.scope == "partition":
            raise no_key(store.name, footing.handler, free=store.scope == "partition", batch=footing.batch)
        return found

    def _read(self, store: str, key: bytes) -> bytes | None:
        at = (store, key)
        effects = self._effects
        if effects is not None and at in effects.writes:
            return effects.writes[at]
        earlier = self._earlier
        if earlier is not None and at in earlier.writes:
            return earlier.writes[at]
        return self._footing.state.get(store, key)

    def _write(self, store: str, key: bytes, value: bytes | None) -> None:
        (self._effects or self._begin()).writes[store, key] = value

    def _begin(self) -> Effects:
        incarnation = self._footing.incarnation
        if not incarnation.alive:
            incarnation.check()
        if self._ended:
            raise self._footing.used_after_its_run(
                f"{self.topic}[{self.partition}] offset {self.offset}, event {self.event_id}"
            )
        effects = self._effects = Effects([], {})
        return effects

    # -- facts

    def publish(
        self,
        event: object,
        *,
        subject: str | None = None,
        time: datetime | None = None,
        extensions: Mapping[str, str] | None = None,
    ) -> None:
        """Publish an event together with everything else that this event causes.

        Its id derives from service, group, handler, this event's id and its place among the outputs, so that a
        second run publishes it under the same id. Its timestamp is this event's, and so is its time unless ``time``
        says when it happened. ``subject`` is what it is about; ``extensions`` are further CloudEvents attributes by
        name, each of 1 to 20 lowercase letters and digits. Raises :class:`~mainstem.errors.EventRefused` when it
        cannot be encoded, was not declared, or what is stated about it is not allowed.
        """
        stated = None
        if subject is not None or time is not None or extensions:
            self._footing.outputs.check_attributes((event,))
            stated = Attributes(subject, time, extensions).headers(self.timestamp_ms)
        self._publish(event, stated)

    def _publish(self, event: object, stated: Headers | None = None) -> None:
        footing, batch, index = self._footing, self._batch, self._index
        effects = self._effects
        if effects is None:
            effects = self._begin()
        if footing.latest and (latest := footing.latest.get(type(event))):
            origin = Origin(footing.derivation, batch, index, self._caused, self._lineage, stated)
            effects.facts.append(latest(event, origin, batch.timestamps[index]))
            self._caused += 1
            return
        inherited = self._lineage
        if inherited is None:
            inherited = self._lineage = inherited_from(batch, index)
        if stated is not None:
            inherited = {**inherited, **stated}
        event_id = footing.derivation.nth(inherited[CE_CAUSATIONID], self._caused)
        fact = footing.outputs.fact_of(event)
        effects.facts.append(fact(event, event_id, inherited, batch.timestamps[index]))
        self._caused += 1

    # -- time

    def wake(self, name: str, *, after: Duration | None = None, at: int | datetime | None = None) -> None:
        """Set a durable timer of this key: ``after`` so much time, or ``at`` a wall-clock time.

        ``at`` is milliseconds since 1970 (UTC), or an aware ``datetime``. One of the same name and key is replaced.
        When it is due, ``@service.on_timer(name)`` runs in this key's lane, and its timestamp is the time it was due. A
        time before this event's own counts as this event's: nothing happens before its cause.
        """
        self._known_timer(name)
        due = due_ms((f"context.wake({name!r})", self._footing.place), after, at, self.now_ms, self.timestamp_ms)
        inherited = self._lineage or inherited_from(self._batch, self._index)
        firing_id = self._footing.derivation.of("timer", inherited[CE_CAUSATIONID], str(self._caused))
        effects = self._effects or self._begin()
        timers.put(self._read, effects.write, Timer(due, name, self.key), firing_tag(firing_id, inherited))
        self._caused += 1
        effects.wake_at(due)

    def cancel(self, name: str) -> bool:
        """Remove a timer of this key; False when none was set. One that is firing is not set any more."""
        self._known_timer(name)
        return timers.cancel(self._read, self._write, name, self.key)

    def _known_timer(self, name: str) -> None:
        if name not in self._footing.timers:
            raise strange_timer(name, self._footing.handler, self._footing.timers)

    def publish_later(
        self, event: object, *, after: Duration | None = None, at: int | datetime | None = None, name: str | None = None
    ) -> str:
        """Publish an event when it is time: ``after`` so much, or ``at`` a wall-clock time, as in :meth:`wake`.

        It is encoded now, waits in the store of this task, and is published once, in a commit, with a timestamp of when
        it was due; those due at the same time in the order in which this key has scheduled them. Returns its handle for
        :meth:`cancel_later`: ``name``, by which a later call for this key replaces it, or else its id. Raises as
        :meth:`publish` does.
        """
        footing = self._footing
        due = due_ms(("context.publish_later(event)", footing.place), after, at, self.now_ms, self.timestamp_ms)
        inherited = self._lineage or inherited_from(self._batch, self._index)
        event_id = footing.derivation.nth(inherited[CE_CAUSATIONID], self._caused)
        fact = footing.outputs.fact_of(event)(event, event_id, later_lineage(inherited), due)
        handle = footing.handle(event_id, name)
        effects = self._effects or self._begin()
        waiting = Scheduled(due, Owner(handle, self.key), waiting_fact(fact))
        schedules.put(self._read, effects.write, waiting, footing.stamp())
        self._caused += 1
        effects.wake_at(due)
        return handle

    def cancel_later(self, handle: str) -> bool:
        """Let an event not be published that this key has scheduled; False when it has been, or never was to be."""
        return schedules.cancel(self._read, self._write, Owner(handle, self.key))

    # -- commit

    async def checkpoint(self) -> None:
        """Commit what this event has caused so far, and keep its lane; returns once that is durable.

        That includes what the event's earlier handlers have caused: they are not run again. If the handler fails or
        the process dies later, the next run finds in its stores what was put before.
        """
        effects, earlier = self._effects, self._earlier
        if effects is None and not self._uncommitted and (earlier is None or not (earlier.writes or earlier.facts)):
            return
        effects = effects or self._begin()
        self._effects = None
        # One that is given up, by a time-out for instance, commits all the same, and the next one waits for that.
        self._uncommitted += 1
        if earlier is None:
            await self._footing.checkpoint(self, self._caused, effects, [])
        else:
            await self._footing.checkpoint(self, self._caused, earlier.hand_over(effects), earlier.through)
        self._uncommitted -= 1

    def idempotency_key(self, label: str) -> str:
        """A key for calls to the outside: the same in every run, another for each group, handler, event and label."""
        return self._footing.derivation.of("idempotency", self.event_id, label)


class RunContext(Context, gc=False, eq=False):
    """The context of one run. A handler knows it as :class:`Context`, so that none of this is offered to it.

    It is the same object and not one around another: a second object for each event would cost what a call costs.
    """

    def resume(self, caused: int) -> None:
        """Before a run: an earlier one has made a checkpoint, which may not have ended when that run did."""
        self._caused, self._uncommitted = caused, 1

    def carry(self, trace: Trace) -> None:
        """From here on, what is published belongs to this place in a trace, instead of the event's own."""
        inherited = inherited_from(self._batch, self._index)
        causes = inherited[CE_CORRELATIONID], inherited[CE_CAUSATIONID]
        self._lineage = lineage(*causes, trace.traceparent, trace.tracestate)

    def beside(self, store: Readable[object]) -> object:
        """What stands beside the store of a cache."""
        return self._footing.caches[store.name]

    def check(self, store: Readable[object]) -> None:
        """Raise StoreRefused where the handler may not use a store, or the event has no key."""
        self._row_key(store, None)

    def kept(self, store: Readable[V]) -> V | None:
        """The value that a store holds for the event's key, also when it has expired."""
        row = None if self.key is None else self._read(store.name, self.key)
        return None if row is None else store.unpack(row, 0)

    def is_set(self, timer: str) -> bool:
        """Whether a timer of this key is set."""
        return timers.is_set(self._read, timer, self.key)

    def publish_result(self, result: object) -> None:
        """Publish what a handler has returned: an event, or several in a list or tuple."""
        if isinstance(result, _SEVERAL):
            for event in result:
                self._publish(event)
        else:
            self._publish(result)

    def take_effects(self) -> Effects | None:
        """The run has ended; returns what the handler has done, for the runtime to take in if it has succeeded."""
        effects = self._effects
        self._effects = None
        self._ended = True
        return effects
