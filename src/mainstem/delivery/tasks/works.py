"""What runs in a lane: an event, a due timer, a parked sequence to be worked off, a command."""

from msgspec import Struct

from mainstem.broker import Batch, Record, TopicPartition, single
from mainstem.delivery.context import Context
from mainstem.delivery.failures import Answer, Command, Failure, Letter, Mark, answer, place_of
from mainstem.delivery.lanes import Intake
from mainstem.delivery.outputs import Effects, no_effects
from mainstem.delivery.plan import TIMER_TOPIC
from mainstem.delivery.tasks.desk import Desk, Place, Stopped
from mainstem.delivery.tasks.handler import Handler
from mainstem.delivery.tasks.routes import Routes
from mainstem.errors import DecodingFailed
from mainstem.identifiers import derive
from mainstem.state import Timer, timers


class EventWork(Struct, gc=False, eq=False):
    """An event for its handlers, one after the other."""

    key: bytes | None
    desk: Desk
    intake: Intake
    index: int
    event: object
    handlers: tuple[Handler, ...]

    async def run(self) -> None:
        """Handle the event; its effects and its completion enter the books together."""
        desk = self.desk
        handlers = self.handlers
        if len(handlers) != 1 or desk.parking.some or desk.checkpoints.some:
            desk.ledger.settle(self.intake, self.index, await self._all())
            return
        # The common case, with nothing between the event and its handler.
        handler = handlers[0]
        context = Context(handler.scope, self.intake.batch, self.index)
        try:
            if handler.plain:
                effects = await handler.run(self.event, context)
            else:
                result = await handler.call(self.event, context)  # type: ignore[misc]  # it is not plain
                if result is not None:
                    context.publish_result(result)
                effects = context.take_effects()
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, its policy decides
            desk.incarnation.check()
            at = Place(self.intake.batch, self.index)
            effects = await desk.handle(handler, self.event, at, {}, error)
        else:
            if desk.checkpoints.some:
                effects = effects or no_effects()
                desk.checkpoints.done(context, effects)
        desk.ledger.settle(self.intake, self.index, effects)

    async def _all(self) -> Effects:
        at = Place(self.intake.batch, self.index)
        effects = no_effects()
        for handler in self.handlers:
            effects.take_in(await self.desk.handle(handler, self.event, at, effects.writes))
        return effects


class BatchWork(Struct, eq=False):
    """Many events at once for the batch handlers among ``handlers``, then one by one for the others."""

    key: bytes | None
    desk: Desk
    intake: Intake
    events: list[tuple[int, object]]
    handlers: tuple[Handler, ...]

    async def run(self) -> None:
        """Handle them; all their effects and completions enter the books together."""
        desk, effects = self.desk, no_effects()
        for handler in self.handlers:
            if handler.processor.batch:
                await self._together(handler, effects)
            else:
                for index, event in self.events:
                    at = Place(self.intake.batch, index)
                    effects.take_in(await desk.handle(handler, event, at, effects.writes))
        desk.ledger.absorb(effects)
        for index, _ in self.events:
            desk.ledger.settle(self.intake, index, None)

    async def _together(self, handler: Handler, effects: Effects) -> None:
        """One call for all events whose key is not parked; if it fails for good, one call each finds the poison."""
        desk = self.desk
        free: list[tuple[int, object]] = []
        for index, event in self.events:
            letter = Letter.of(self.intake.batch, index) if desk.parking.some else None
            mark = None if letter is None else desk.parking.mark(handler.name, place_of(letter), effects)
            if mark is not None and letter is not None:
                desk.parking.add_behind(effects, handler.name, letter, mark)
            else:
                free.append((index, event))
        if not free:
            return
        whole = Place(self._as_one(free[0][0]), 0)
        attempt = await desk.attempt(handler, [event for _, event in free], whole, effects.writes)
        if isinstance(attempt, Effects):
            effects.take_in(attempt)
            return
        for index, event in free:
            at = Place(self.intake.batch, index)
            effects.take_in(await desk.handle(handler, [event], at, effects.writes))

    def _as_one(self, index: int) -> Batch:
        """The record that a whole batch is handled as: it has no key, and the id and place of its first event."""
        record = self.intake.batch.record(index)
        keyless = Record(None, None, record.timestamp_ms, record.common, record.own)
        at = TopicPartition(self.intake.batch.topic, self.intake.batch.partition)
        return single(at, self.intake.batch.offsets[index], keyless)


class UndecodableWork(Struct, gc=False, eq=False):
    """A record whose bytes are not what its envelope says: it becomes a dead letter of each handler that wants it."""

    key: bytes | None
    desk: Desk
    intake: Intake
    index: int
    error: DecodingFailed
    handlers: tuple[Handler, ...]

    async def run(self) -> None:
        """Park it with its bytes intact, behind what is parked of its key already."""
        desk = self.desk
        at = Place(self.intake.batch, self.index)
        letter = at.letter()
        effects = no_effects()
        for handler in self.handlers:
            mark = desk.parking.mark(handler.name, place_of(letter))
            if mark is not None:
                desk.parking.add_behind(effects, handler.name, letter, mark)
            else:
                effects.take_in(desk.undecodable(handler, letter, self.error))
        desk.ledger.settle(self.intake, self.index, effects)


class TimerWork(Struct, eq=False):
    """A due timer: an event of its key, with an id of its own."""

    key: bytes | None
    desk: Desk
    timer: Timer
    firing: set[Timer]

    async def run(self) -> None:
        """Read the timer's row again; if it is still due, handle it, and remove the row in the same commit."""
        desk, timer = self.desk, self.timer
        try:
            if not timers.is_due(desk.ledger.state.get, timer):
                return
            handler = desk.by_timer[timer.name]
            effects = no_effects()
            timers.cancel(desk.ledger.state.get, effects.write, timer.name, timer.key)
            at = Place(timer_batch(desk, handler, timer), 0)
            effects.take_in(await desk.handle(handler, timer, at, effects.writes))
            desk.ledger.absorb(effects)
        finally:
            self.firing.discard(timer)


def timer_batch(desk: Desk, handler: Handler, timer: Timer) -> Batch:
    """The record that a firing is handled as; it is copied when the firing parks."""
    event_id = derive(desk.group, handler.name, timer.key or b"", timer.name, str(timer.due_ms))
    record = Record(timer.key, None, timer.due_ms, own={"ce_id": event_id.encode()})
    return single(TopicPartition(f"{TIMER_TOPIC}:{timer.name}", desk.task), timer.due_ms, record)


class RetryWork(Struct, eq=False):
    """A parked sequence whose next try is due: its events, in order, until one fails again."""

    key: bytes | None
    desk: Desk
    routes: Routes
    handler: Handler
    place: bytes
    timer: Timer | None
    firing: set[Timer]

    async def run(self) -> None:
        """Work the sequence off, unless somebody has changed its next try meanwhile."""
        try:
            timer = self.timer
            if timer is None or timers.is_due(self.desk.ledger.state.get, timer):
                await work_off(self.desk, self.routes, self.handler, self.place)
        finally:
            if self.timer is not None:
                self.firing.discard(self.timer)


async def work_off(desk: Desk, routes: Routes, handler: Handler, place: bytes) -> None:
    """Handle the events of a sequence in order; the mark goes in the commit of the last one."""
    parking = desk.parking
    mark = parking.mark(handler.name, place)
    while mark is not None:
        letter = parking.first(handler.name, place, mark)
        at = Place(letter.batch(), 0)
        effects = no_effects()
        try:
            event = routes.open(letter)
        except DecodingFailed as error:
            attempt: Effects | Stopped = Stopped(Failure.of(error, desk.clock.now_ms(), mark.failure), None)
        else:
            before = mark.failure if mark.failure.failures else None
            attempt = await desk.attempt(handler, event, at, effects.writes, before=before)
        if isinstance(attempt, Stopped):
            mark = Mark(mark.first, mark.end, attempt.next_ms, attempt.failure)
            parking.write_mark(effects, handler.name, place, mark)
            desk.tell_stopped(effects, handler.name, letter, mark)
            desk.ledger.absorb(effects)
            return
        effects.take_in(attempt)
        mark = parking.take_first(effects, handler.name, place, mark)
        if mark is None:
            effects.facts.append(desk.audit.worked_off(handler.name, place, desk.clock.now_ms()))
        desk.ledger.absorb(effects)


class CommandWork(Struct, eq=False):
    """A command from the inbox, in the lane of the key it is about."""

    key: bytes | None
    desk: Desk
    routes: Routes
    intake: Intake
    index: int
    command: Command

    async def run(self) -> None:
        """Apply the command, and answer it; the command is completed in the same commit."""
        desk, command = self.desk, self.command
        effects = no_effects()
        mark = desk.parking.mark(command.handler, command.place)
        handler = desk.handlers.get(command.handler)
        found = 0 if mark is None or handler is None else mark.waiting
        if mark is not None and handler is not None:
            self._apply(effects, mark)
        text = f"{command.action}: {found} events" if found else f"{command.action}: nothing is parked there"
        given = Answer(command.id, desk.task, found, text)
        effects.facts.append(answer(desk.group, given, desk.clock.now_ms()))
        desk.ledger.settle(self.intake, self.index, effects)
        if found and command.action == "redrive" and handler is not None:
            await work_off(desk, self.routes, handler, command.place)

    def _apply(self, effects: Effects, mark: Mark) -> None:
        desk, command, now = self.desk, self.command, self.desk.clock.now_ms()
        handler, place = command.handler, command.place
        letter = desk.parking.first(handler, place, mark)
        if command.action == "redrive":
            desk.ledger.counters.redriven += mark.waiting
            fresh = mark.again(now)
            desk.parking.write_mark(effects, handler, place, fresh)
            effects.facts.append(desk.audit.tell("redriven", handler, place, fresh, letter, now, command.reason))
            return
        effects.facts.append(desk.audit.tell("discarded", handler, place, mark, letter, now, command.reason))
        desk.parking.drop(effects, handler, place, mark)
        effects.facts.append(desk.audit.worked_off(handler, place, now))
