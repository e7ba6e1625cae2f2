"""What the works of a task share: running a handler until it succeeds, is parked, or is given up."""

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from mainstem.broker import Batch, Record, TopicPartition, single
from mainstem.clock import Clock
from mainstem.delivery.context import Context, Effects, Gathered, Incarnation, no_effects
from mainstem.delivery.desk.handler import RAISED, Handler, failure_of
from mainstem.delivery.failures import (
    PASSED_OVER,
    Audit,
    Checkpoints,
    Discard,
    Failure,
    GiveUp,
    Letter,
    Mark,
    Park,
    Parking,
    Pause,
    RunAgain,
    Status,
    Stopped,
    Verdict,
    Wait,
    place_alone,
    place_at,
    place_of,
    raised_at,
)
from mainstem.delivery.gates import Doubles, Limits
from mainstem.delivery.guards import GIVES_WAY, Breakers, GivingWay, Passage, Pauses, Turn
from mainstem.delivery.ledger import Ledger
from mainstem.delivery.measures import Counted
from mainstem.delivery.schedules import LaterDecisions
from mainstem.errors import EventRefused, VersionUnknown
from mainstem.telemetry import event_logger, log

UNANSWERED_MS: Final = 10_000
"""After so long a parked event asks again for its schema, when no registry has answered."""


class Desk(Struct, frozen=True):
    """One incarnation's books, parked sequences and checkpoints, with time and chance."""

    group: str
    task: int
    incarnation: Incarnation
    ledger: Ledger
    counted: Counted
    parking: Parking
    checkpoints: Checkpoints
    doubles: Doubles
    limits: Limits
    audit: Audit
    later: LaterDecisions
    clock: Clock
    chance: Callable[[], float]
    handlers: Mapping[str, Handler]
    by_timer: Mapping[str, Handler]
    pauses: Pauses
    giving_way: GivingWay
    breakers: Breakers
    parties: Mapping[str, frozenset[str]]
    """Who waits together with a handler, itself included: those with which it shares stores."""
    parks: bool = True
    """Whether an event may wait. Otherwise one that fails inline is told in the audit topic, and passed over."""

    @property
    def plain_sailing(self) -> bool:
        """Whether nothing is parked and nothing has been checkpointed, so that nobody need look."""
        return not (self.parking.some or self.checkpoints.some)

    @property
    def checkpointed(self) -> bool:
        """Whether something has been checkpointed; asked behind a run, in which that may have happened."""
        return self.checkpoints.some

    def must_look(self, key: bytes | None) -> bool:
        """Whether an event of a key may have to wait, or somebody counts what becomes of it."""
        return self.breakers.some or (key is not None and self.parking.is_parked(key))

    async def handle(
        self, handler: Handler, event: object, at: "Slot", gathered: Gathered, error: Exception | None = None
    ) -> None:
        """Run a handler for an event, and gather what it does; when its key is parked, let the event wait instead.

        ``error`` is how a first run has ended already.
        """
        if error is None and self.set_aside(handler, event, at, gathered):
            return
        attempt = await self.in_turn(handler, event, at, gathered, error=error)
        if isinstance(attempt, Effects):
            gathered.take_in(attempt)
        else:
            self.park(handler, at.letter(), attempt, gathered)
        gathered.through.append((handler.name, at.batch, at.index))

    def refuse(self, handler: Handler, at: "Slot", gathered: Gathered, error: Exception) -> None:
        """Make an event that a handler cannot be given a dead letter of it, with its bytes intact."""
        if self.passed_by(handler, at, gathered):
            return
        self.counted.failed()
        letter = at.letter()
        log.warning("%s[%d] offset %d for %s: %s", letter.topic, letter.partition, letter.offset, handler.name, error)
        self.park(handler, letter, self.not_given(handler, error), gathered)
        gathered.through.append((handler.name, at.batch, at.index))

    def not_given(self, handler: Handler, error: Exception, before: Failure | None = None) -> Stopped:
        """How an event ends that a handler cannot be given: as a dead letter.

        Only one of a version that is not known yet may wait for who knows it, where the policy names that error and
        says when; trying at once would be of no use.
        """
        now = self.clock.now_ms()
        failure = Failure.of(error, now, before)
        retry = handler.processor.retry
        if not (isinstance(error, VersionUnknown) and retry.names(error)):
            return Stopped(failure, None)
        verdict = retry.later_on(error, failure.failures, self.chance, now - failure.first_ms)
        return Stopped(failure, now + verdict.after_ms if isinstance(verdict, Park) else None)

    def set_aside(self, handler: Handler, event: object, at: "Slot", gathered: Gathered) -> bool:
        """Whether the handler is not to be given the event now: it is a double, or there is nothing to run."""
        return self.is_double(handler, event, at, gathered) or self.passed_by(handler, at, gathered)

    def is_double(self, handler: Handler, event: object, at: "Slot", gathered: Gathered) -> bool:
        """Whether the handler has been given the event before, and need not run."""
        if handler.sieve is None:
            return False
        try:
            double = self.doubles.is_double(handler, event, at.batch, at.index, gathered)
        except EventRefused as error:
            self.refuse(handler, at, gathered, error)
            return True
        if double:
            self.counted.doubled(handler.name)
            context = handler.context(at.batch, at.index)
            logger = event_logger(context.event_id, handler.name, context.trace)
            logger.info("a double, passed over: %s[%d] offset %d", context.topic, context.partition, context.offset)
            gathered.through.append((handler.name, at.batch, at.index))
        return double

    def passed_by(self, handler: Handler, at: "Slot", gathered: Gathered) -> bool:
        """Whether the handler need not run, because it is through with the event, or its key is parked."""
        if self.checkpoints.some and self.checkpoints.is_through(handler.name, at.batch, at.index):
            gathered.through.append((handler.name, at.batch, at.index))
            return True
        if not self.parking.some or handler.processor.order == "none":
            return False
        place = at.place()
        # The place of an event without a key is its own: who has parked it before has come to a later one's checkpoint.
        fresh = at.batch.keys[at.index] is None and not self.checkpoints.some
        found = self.parking.holding(handler.name, self.parties[handler.name], place, gathered, fresh=fresh)
        if found is None:
            return False
        name, mark = found
        self.parking.add_behind(gathered, (name, place), at.letter(), mark, handler.name)
        if self.giving_way.puts_aside(handler.name):
            self.counted.put_aside(handler.name)
        gathered.through.append((handler.name, at.batch, at.index))
        return True

    async def in_turn(
        self,
        handler: Handler,
        event: object,
        at: "Slot",
        gathered: Gathered,
        *,
        error: Exception | None = None,
        before: Failure | None = None,
    ) -> "Effects | Stopped":
        """The same as :meth:`attempt`, when the handler does not give way and its limit lets it run.

        Before that it has not failed.
        """
        if error is None and self.giving_way.puts_aside(handler.name):
            self.counted.put_aside(handler.name)
            again_ms = self.giving_way.again_ms(at.batch.timestamps[at.index])
            return Stopped(before or self._not_now(GIVES_WAY), again_ms)
        next_ms = None if error else await self.limits.turn(handler.name, handler.limit, at.batch.keys[at.index])
        if next_ms is None:
            return await self.attempt(handler, handler.alone(event), at, gathered, error=error, before=before)
        return Stopped(before or self._not_now("over its rate limit"), next_ms)

    def unanswered(self, why: str, before: Failure | None) -> Stopped:
        """How an event ends whose schema nobody tells now: it waits, and has not failed."""
        return Stopped(before or self._not_now(why), self.clock.now_ms() + UNANSWERED_MS)

    def _not_now(self, why: str) -> Failure:
        """What stands where others have a failure."""
        now = self.clock.now_ms()
        return Failure(0, now, now, "", why, "")

    async def attempt(
        self,
        handler: Handler,
        given: object,
        at: "Slot",
        gathered: Gathered,
        *,
        error: Exception | None = None,
        before: Failure | None = None,
    ) -> "Effects | Stopped":
        """Run a handler, again as often as its policy says inline; what it has done, or why it stopped.

        A batch is handled at the place of its first event.
        """
        failure, again = before, None
        turn = Turn(self.pauses, handler.name)
        passage = Passage(self.breakers, turn, handler.processor.retry, at.place())
        slot = None if isinstance(given, list) and len(given) > 1 else at
        at = at.keyless() if handler.processor.batch else at
        while True:
            context = handler.context(at.batch, at.index, gathered, attempt=1 + (failure.failures if failure else 0))
            self.checkpoints.resume(context)
            try:
                if error is not None:
                    raise error
                if not await passage.open(given, again, failure):
                    turn.end(well=False)
                    return passage.held(failure, self.clock.now_ms())
                effects = await handler.run(given, context) or no_effects()
            except RAISED as raised:  # its policy decides
                found = failure_of(raised, handler.name)
                self.incarnation.check()
                failure = Failure.of(found, self.clock.now_ms(), failure)
                verdict = passage.failed(found, self._verdict(handler, found, failure), parks=self.parks)
                self._tell_failed(handler, context, (found, failure), given, verdict)
                if not isinstance(verdict, RunAgain | Pause):
                    turn.end(well=False)
                    return self._stop(context, slot, passage, failure, verdict)
                error, again = None, verdict
            else:
                passage.went_well()
                if self.checkpoints.some:
                    self.checkpoints.done(context, effects)
                return effects

    def _verdict(self, handler: Handler, error: Exception, failure: Failure) -> Verdict:
        self.counted.failed()
        age_ms = failure.last_ms - failure.first_ms
        verdict = handler.processor.retry.verdict(error, failure.failures, self.chance, age_ms)
        if isinstance(verdict, RunAgain | Pause):
            self.counted.retried(handler.name)
        elif not (self.parks or isinstance(verdict, Discard)):
            verdict = GiveUp()
        return verdict

    def _tell_failed(
        self, handler: Handler, context: Context, how: tuple[Exception, Failure], given: object, verdict: Verdict
    ) -> None:
        error, failure = how
        count, place = failure.failures, raised_at(error)
        # The verdict belongs into the first line, also where the error goes on below.
        what, *more = failure.error.split("\n", 1)
        text = "failed (%d) at %s: %s: %s; %s" + "\n%s" * len(more)
        if handler.processor.batch and isinstance(given, list) and len(given) > 1:
            # Any of them may be the cause: the line must not name the first.
            where = f"{handler.name}, {len(given)} events from {context.topic}[{context.partition}]"
            then = verdict if isinstance(verdict, RunAgain | Pause) else "each event alone now"
            log.warning("%s: " + text, where, count, place, failure.error_type, what, then, *more)
        else:
            logger = event_logger(context.event_id, handler.name, context.trace)
            logger.warning(text, count, place, failure.error_type, what, verdict, *more)

    def park(self, handler: Handler, letter: Letter, stopped: "Stopped", effects: Effects) -> None:
        """Park the key of an event, or make it a dead letter."""
        if not self.parks:
            self.counted.dead_lettered(handler.name)
            nowhere = handler.name, place_of(letter)
            effects.facts.append(self.audit.discarded(nowhere, stopped.failure, letter, PASSED_OVER))
            return
        place = place_alone(letter) if lets_pass(handler, stopped) else place_of(letter)
        sequence = handler.name, place
        mark = self.parking.park(effects, sequence, letter, stopped)
        if mark is not None:
            self.tell_stopped(effects, handler.name, sequence, letter, mark)

    def _stop(
        self, context: Context, at: "Slot | None", passage: Passage, failure: Failure, verdict: Verdict
    ) -> "Effects | Stopped":
        """No further run. All that an event does which its policy discards is to say so; its key's later ones go on."""
        if isinstance(verdict, Wait):
            return passage.held(failure, self.clock.now_ms())
        if not isinstance(verdict, Discard) or at is None:
            return Stopped(failure, self.clock.now_ms() + verdict.after_ms if isinstance(verdict, Park) else None)
        self.counted.discarded(context.handler)
        fact = self.audit.discarded((context.handler, at.place()), failure, at.letter(), verdict.reason)
        effects = Effects([fact], {})
        if self.checkpoints.some:
            self.checkpoints.done(context, effects)
        return effects

    def tell_stopped(
        self, effects: Effects, handler: str, sequence: tuple[str, bytes], letter: Letter, mark: Mark
    ) -> None:
        """Count and tell that a handler has stopped a sequence, for a while or for good."""
        status: Status
        if mark.next_ms is None:
            self.counted.dead_lettered(handler)
            status = "dead-lettered"
        else:
            self.counted.parked(handler)
            status = "parked"
        if self.checkpoints.some:
            self.checkpoints.parked(handler, letter.batch(), effects)
        now = self.clock.now_ms()
        effects.facts.append(self.audit.tell(status, sequence, mark, letter, now))


def lets_pass(handler: Handler, stopped: Stopped) -> bool:
    """Whether later events of the key need not wait for one that a handler has failed at."""
    order = handler.processor.order
    return order == "none" or (order == "skip" and stopped.next_ms is None)


class Slot(Struct, frozen=True, gc=False):
    """One record of a batch. Its place is something else: what names a parked sequence."""

    batch: Batch
    index: int

    def letter(self) -> Letter:
        """A copy of the record, to be kept."""
        return Letter.of(self.batch, self.index)

    def keyless(self) -> "Slot":
        """The same record without its key: a batch holds many, so a batch handler must not build upon one."""
        batch, index = self.batch, self.index
        record = batch.record(index)
        keyless = Record(None, record.value, record.timestamp_ms, record.common, record.own)
        return Slot(single(TopicPartition(batch.topic, batch.partition), batch.offsets[index], keyless), 0)

    def place(self) -> bytes:
        """What names a sequence that begins with this event, beside its handler."""
        batch, index = self.batch, self.index
        return place_at(batch.keys[index], batch.topic, batch.partition, batch.offsets[index])
