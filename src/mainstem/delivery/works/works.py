"""What runs in a lane: an event, a parked sequence to be worked off, a command about one."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from mainstem.delivery.commands import Command, Decisions, answered
from mainstem.delivery.context import Effects, Gathered, RunContext, no_effects
from mainstem.delivery.desk import RAISED, Desk, Handler, Routes, Slot, failure_of, lets_pass
from mainstem.delivery.failures import Failure, Letter, Mark, Stopped, place_alone
from mainstem.delivery.lanes import Intake
from mainstem.schemas.writers import AWAY
from mainstem.state import Timer, timers

WORKED_OFF_AT_ONCE = 100
"""So many events of a parked sequence are handled before the event loop gets a turn."""


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
        if len(handlers) != 1 or desk.checkpoints.some or (desk.parking.some and desk.must_look(self.key)):
            await _one_after_the_other(self, handlers, Gathered())
            return
        # The common case, with nothing between the event and its handler.
        handler = handlers[0]
        context = RunContext(handler.footing, self.intake.batch, self.index)
        try:
            if handler.plain:
                effects = await handler.run(self.event, context)
            else:
                result = await handler.awaitable(self.event, context)
                if result is not None:
                    context.publish_result(result)
                effects = context.take_effects()
        except RAISED as error:  # its policy decides
            context.take_effects()
            failure = failure_of(error, handler.name)
            desk.incarnation.check()
        else:
            if desk.checkpointed:
                effects = effects or no_effects()
                desk.checkpoints.done(context, effects)
            desk.ledger.settle(self.intake, self.index, effects)
            return
        # Behind the except clause: within it, whatever the next run raises would be told as a consequence of this one.
        await _one_after_the_other(self, handlers, Gathered(), failure)


class SievedWork(Struct, gc=False, eq=False):
    """An event for its handlers, of which one may have been given it before."""

    key: bytes | None
    desk: Desk
    intake: Intake
    index: int
    event: object
    handlers: tuple[Handler, ...]

    async def run(self) -> None:
        """Handle the event; its effects and its completion enter the books together."""
        await _one_after_the_other(self, self.handlers, Gathered())


class BrokenWork(Struct, gc=False, eq=False):
    """An event whose handler raised ``error`` in a worker thread, with what those before it have done."""

    key: bytes | None
    desk: Desk
    intake: Intake
    index: int
    event: object
    handlers: tuple[Handler, ...]
    gathered: Gathered
    error: Exception

    async def run(self) -> None:
        """Go on with it as the policy of the handler says, and with those behind it."""
        await _one_after_the_other(self, self.handlers[len(self.gathered.through) :], self.gathered, self.error)


async def _one_after_the_other(
    work: EventWork | SievedWork | BrokenWork,
    handlers: Sequence[Handler],
    gathered: Gathered,
    error: Exception | None = None,
) -> None:
    """Run handlers for an event, and settle it; ``error`` is how the first run of the first one has ended already."""
    desk = work.desk
    at = Slot(work.intake.batch, work.index)
    for handler in handlers:
        await desk.handle(handler, work.event, at, gathered, error)
        error = None
    desk.checkpoints.close(gathered)
    desk.ledger.settle(work.intake, work.index, gathered)


class BatchWork(Struct, eq=False):
    """Many events at once for the batch handlers among ``handlers``, then one by one for the others."""

    key: bytes | None
    desk: Desk
    intake: Intake
    events: list[tuple[int, object]]
    handlers: tuple[Handler, ...]

    async def run(self) -> None:
        """Handle them; all their effects and completions enter the books together."""
        desk, gathered = self.desk, Gathered()
        for handler in self.handlers:
            if handler.processor.batch:
                await self._together(handler, gathered)
            else:
                for index, event in self.events:
                    await desk.handle(handler, event, Slot(self.intake.batch, index), gathered)
        desk.checkpoints.close(gathered)
        desk.ledger.absorb(gathered)
        for index, _ in self.events:
            desk.ledger.settle(self.intake, index, None)

    async def _together(self, handler: Handler, gathered: Gathered) -> None:
        """One call for all events whose key is not parked; if it fails for good, one call each finds the poison."""
        desk, batch = self.desk, self.intake.batch
        free = [
            (index, event)
            for index, event in self.events
            if (desk.plain_sailing and handler.sieve is None)
            or not desk.set_aside(handler, event, Slot(batch, index), gathered)
        ]
        if len(free) > 1:
            with handler.together(batch, [index for index, _ in free]):
                attempt = await desk.attempt(handler, [event for _, event in free], Slot(batch, free[0][0]), gathered)
            if isinstance(attempt, Effects):
                gathered.take_in(attempt)
                gathered.through += [(handler.name, batch, index) for index, _ in free]
                return
        for index, event in free:
            await desk.handle(handler, event, Slot(batch, index), gathered)


class SpoiltWork(Struct, gc=False, eq=False):
    """An event that cannot be given to some of its handlers, by name, because of an error: a dead letter of theirs.

    Its bytes may not be what its envelope says, or a predicate may have failed to judge it.
    """

    key: bytes | None
    desk: Desk
    intake: Intake
    index: int
    event: object
    handlers: tuple[Handler, ...]
    errors: Mapping[str, Exception]

    async def run(self) -> None:
        """Park it with its bytes intact, behind what is parked of its key already; the other handlers run."""
        desk, gathered = self.desk, Gathered()
        at = Slot(self.intake.batch, self.index)
        for handler in self.handlers:
            error = self.errors.get(handler.name)
            if error is None:
                await desk.handle(handler, self.event, at, gathered)
            else:
                desk.refuse(handler, at, gathered, error)
        desk.checkpoints.close(gathered)
        desk.ledger.settle(self.intake, self.index, gathered)


class RetryWork(Struct, eq=False):
    """A parked sequence whose next try is due: its events, in order, until one fails again."""

    key: bytes | None
    desk: Desk
    routes: Routes
    handler: str
    place: bytes
    timer: Timer
    done: Callable[[Timer], None]

    async def run(self) -> None:
        """Work the sequence off, unless somebody has changed its next try meanwhile."""
        try:
            if timers.is_due(self.desk.ledger.state.get, self.timer):
                self.desk.counted.retried(self.handler)
                await work_off(self.desk, self.routes, (self.handler, self.place))
        finally:
            self.done(self.timer)


async def work_off(desk: Desk, routes: Routes, sequence: tuple[str, bytes]) -> None:
    """Handle the events of a sequence in order; the mark goes in the commit of the last one."""
    parking = desk.parking
    mark = parking.mark(*sequence)
    while mark is not None:
        effects = Gathered()
        if await _stops_at(desk, routes, sequence, mark, effects):
            desk.ledger.absorb(effects)
            return
        mark = parking.take_first(effects, *sequence, mark)
        if mark is None:
            effects.facts.append(desk.audit.worked_off(sequence, desk.clock.now_ms()))
        desk.ledger.absorb(effects)
        if mark is not None and mark.first % WORKED_OFF_AT_ONCE == 0:
            # The handler may never wait, and the sequence be long; the other keys and the commits want a turn.
            await asyncio.sleep(0)


async def _stops_at(desk: Desk, routes: Routes, sequence: tuple[str, bytes], mark: Mark, effects: Gathered) -> bool:
    """Run those that have yet to handle the first event of a sequence, in order; whether one of them stops it there."""
    parking = desk.parking
    letter = parking.first(*sequence, mark)
    owed = letter.owed_by(sequence[0])
    for number, name in enumerate(owed):
        handler = desk.handlers.get(name)
        if handler is None:
            continue  # retired: what is registered is compared with what is remembered before anything runs
        before = mark.failure if mark.failure.failures else None
        attempt = await _again(desk, routes, handler, letter, effects, before)
        if not isinstance(attempt, Stopped):
            effects.take_in(attempt)
        elif lets_pass(handler, attempt) and sequence[1] != place_alone(letter):
            desk.park(handler, replace(letter, owed=None), attempt, effects)
        else:
            mark = replace(mark, next_ms=attempt.next_ms, failure=attempt.failure, held=attempt.held)
            letter = replace(letter, owed=owed[number:])
            parking.letters.put_again(effects, sequence, letter, mark.first)
            parking.write_mark(effects, *sequence, mark)
            desk.tell_stopped(effects, name, sequence, letter, mark)
            return True
        if number + 1 < len(owed):
            # In these effects, so that a checkpoint of a later one leaves nothing for this one to do again.
            mark = mark.untried()
            parking.keep_first(effects, sequence, mark, replace(letter, owed=owed[number + 1 :]))
    return False


async def _again(
    desk: Desk, routes: Routes, handler: Handler, letter: Letter, effects: Gathered, before: Failure | None
) -> Effects | Stopped:
    """Run a handler for an event that was parked; what it has done, or why it stopped."""
    at = Slot(letter.batch(), 0)
    try:
        await routes.acquaintance.ask_again(at.batch)
    except AWAY as away:
        return desk.unanswered(away.what, before)
    try:
        event = routes.open(letter)
        wanted = routes.wanted(handler, at.batch, 0)
    except Exception as error:  # noqa: BLE001 - a predicate may raise anything
        return desk.not_given(handler, error, before)
    if not wanted:
        return no_effects()
    return await desk.in_turn(handler, event, at, effects, before=before)


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
        decisions = Decisions(desk.parking, desk.parties, desk.checkpoints, desk.audit, self.routes.open)
        if command.action == "edit" and (letter := decisions.edited(command)):
            # Whether its handler could be given it may need a schema; that nobody tells it now is said in the answer.
            with suppress(*AWAY):
                await self.routes.acquaintance.ask_again(letter.batch())
        effects, now = no_effects(), desk.clock.now_ms()
        applied = decisions.apply(command, effects, now)
        if command.action == "redrive" and applied.found:
            desk.counted.redriven(command.handler, applied.found)
        effects.facts.extend(answered(desk.group, desk.task, command.id, applied, now))
        desk.ledger.settle(self.intake, self.index, effects)
        if applied.begins:
            await work_off(desk, self.routes, (command.handler, command.place))
