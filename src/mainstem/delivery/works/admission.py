"""From a batch to works: who wants which record, and its event, decoded."""

from collections.abc import Mapping, Sequence

from mainstem.broker import Batch, TopicPartition
from mainstem.delivery.commands import LATER_ACTIONS, Command, decode_command
from mainstem.delivery.desk import Acquaintance, BoundRoute, Desk, Handler, Routes
from mainstem.delivery.failures import lane_of
from mainstem.delivery.lanes import Intake, Work
from mainstem.delivery.measures import anybody_looks
from mainstem.delivery.works.closing import CloseWork
from mainstem.delivery.works.later import LaterWork
from mainstem.delivery.works.works import BatchWork, CommandWork, EventWork, SievedWork, SpoiltWork
from mainstem.errors import DecodingFailed
from mainstem.events import CE_EVENTVERSION, CE_TYPE
from mainstem.schemas import DECODER_ERRORS
from mainstem.telemetry import log


class Admission:
    """Makes the works of one task. What no handler wants is passed over without decoding, and counted by type."""

    def __init__(
        self, desk: Desk, routes: Routes, inbox: str, starts: Mapping[str, Mapping[TopicPartition, int]]
    ) -> None:
        """``starts`` says from which offset on a handler takes part that was added to a running group."""
        self.desk = desk
        self._routes = routes
        self._inbox = inbox
        self._starts = starts
        self._looked_at = False
        self._sieves = any(each.apart for each in desk.handlers.values())
        self._batches = any(each.processor.batch for each in desk.handlers.values())

    def in_binary_mode(self, batch: Batch) -> Batch:
        """The batch to be taken into work: events in structured mode look like all others."""
        return self._routes.in_binary_mode(batch)

    @property
    def acquaintance(self) -> Acquaintance:
        """The schemas to be known before a batch can be taken into work."""
        return self._routes.acquaintance

    def works(self, batch: Batch, intake: Intake) -> Sequence[Work]:
        """The works of a batch, in offset order. Records that need none are done in the intake."""
        if not len(batch):
            return []
        before, self._looked_at = self._looked_at, anybody_looks()
        if before or self._looked_at:
            for handler in self.desk.handlers.values():
                handler.begin()
        works = self._single(batch, intake)
        if self._sieves or self.desk.giving_way.some:
            works = _sieved(works, self.desk)
        return _together(works) if self._batches else works

    def _single(self, batch: Batch, intake: Intake) -> Sequence[Work]:
        if batch.topic == self._inbox:
            return self._commands(batch, intake)
        if not self._routes.has_envelope(batch.topic):
            bound = self._routes.find(batch.topic, None)
            assert bound is not None
            return self._of_type(batch, intake, bound, range(len(batch)))
        type_name = batch.common.get(CE_TYPE)
        if type_name is not None:
            return self._named(batch, intake, type_name, range(len(batch)))
        return self._mixed(batch, intake)

    def _mixed(self, batch: Batch, intake: Intake) -> Sequence[Work]:
        if CE_TYPE not in batch.own.names():
            return self._without_type(batch, intake, range(len(batch)))
        indexes: dict[bytes | None, list[int]] = {}
        for index, type_name in enumerate(batch.own.column(CE_TYPE)):
            indexes.setdefault(type_name, []).append(index)
        found: list[tuple[int, Work]] = []
        for type_name, at in indexes.items():
            if type_name is None:
                works = self._without_type(batch, intake, at)
            else:
                works = self._named(batch, intake, type_name, at)
            found += [(work.index, work) for work in works]  # type: ignore[attr-defined]  # whatever is made of one record has its index
        if len(indexes) > 1:
            found.sort(key=lambda each: each[0])
        return [work for _, work in found]

    def _named(self, batch: Batch, intake: Intake, type_name: bytes, at: Sequence[int]) -> Sequence[Work]:
        bound = self._routes.find(batch.topic, type_name)
        if bound is None:
            self._pass_over(batch.topic, intake, at, type_name.decode(errors="replace"))
            return []
        return self._of_type(batch, intake, bound, at)

    def _pass_over(self, topic: str, intake: Intake, at: Sequence[int], name: str) -> None:
        desk = self.desk
        first = desk.ledger.skip(intake, at, name)
        if first is not None:
            # Once: it may be meant so, and it may be the only sign of a type that was renamed or misspelt.
            log.info("task %d of %r: nobody takes %r from %s; it is passed over", desk.task, desk.group, first, topic)

    def _without_type(self, batch: Batch, intake: Intake, at: Sequence[int]) -> Sequence[Work]:
        error = DecodingFailed(
            f"the record has no {CE_TYPE}",
            where=batch.topic,
            why="CloudEvents requires it; the record may come from a producer that writes no envelope",
            remedy="correct the producer, or declare the topic with Topic(..., envelope=None)",
        )
        handlers = self._routes.of_topic(batch.topic)
        return [
            self._spoilt(batch, intake, index, self._begun(handlers, batch, index), error)
            for index in at
            if not intake.is_done(index)
        ]

    def _spoilt(
        self, batch: Batch, intake: Intake, index: int, handlers: tuple[Handler, ...], error: DecodingFailed
    ) -> Work:
        errors = {each.name: error for each in handlers}
        return SpoiltWork(batch.keys[index], self.desk, intake, index, None, handlers, errors)

    def _of_type(self, batch: Batch, intake: Intake, bound: BoundRoute, at: Sequence[int]) -> Sequence[Work]:
        desk, keys, values = self.desk, batch.keys, batch.values
        whole = len(at) == len(batch) and not intake.low and not intake.ahead
        if not whole:
            at = [index for index in at if not intake.is_done(index)]
        self._prefetch(bound, keys if whole else [keys[index] for index in at])
        if self._selective(bound, batch):
            return [work for index in at if (work := self._one(batch, intake, bound, index)) is not None]
        decoders, handlers = self._routes.decoders(bound, batch), bound.handlers
        if CE_EVENTVERSION in batch.own.names():
            versions = batch.own.column(CE_EVENTVERSION)
            try:
                return [EventWork(keys[i], desk, intake, i, decoders[versions[i]](values[i]), handlers) for i in at]  # type: ignore[arg-type]  # None raises TypeError
            except DECODER_ERRORS:
                pass  # one of them cannot be decoded, or is of a version that is not known: find out which
        elif (decode := decoders.get(batch.common.get(CE_EVENTVERSION))) is not None:
            try:
                if whole:
                    events = list(map(decode, values))  # type: ignore[arg-type]  # None raises TypeError
                    return [
                        EventWork(key, desk, intake, index, event, handlers)
                        for index, (key, event) in enumerate(zip(keys, events, strict=True))
                    ]
                return [EventWork(keys[i], desk, intake, i, decode(values[i]), handlers) for i in at]  # type: ignore[arg-type]  # None raises TypeError
            except DECODER_ERRORS:
                pass  # one of them cannot be decoded: find out which
        return [work for index in at if (work := self._one(batch, intake, bound, index)) is not None]

    def _one(self, batch: Batch, intake: Intake, bound: BoundRoute, index: int) -> Work | None:
        desk, key = self.desk, batch.keys[index]
        handlers, errors = self._wanting(bound, batch, index)
        if not handlers or batch.values[index] is None:
            desk.ledger.skip(intake, (index,), bound.declaration.wire_name)
            return None
        version = batch.common.get(CE_EVENTVERSION)
        if version is None and CE_EVENTVERSION in batch.own.names():
            version = batch.own.column(CE_EVENTVERSION)[index]
        try:
            event = self._routes.decode(bound, batch, index, version)
        except DecodingFailed as error:
            return self._spoilt(batch, intake, index, handlers, error)
        if errors:
            return SpoiltWork(key, desk, intake, index, event, handlers, errors)
        return EventWork(key, desk, intake, index, event, handlers)

    # -- handlers that do not want every event of their type

    def _selective(self, bound: BoundRoute, batch: Batch) -> bool:
        at = TopicPartition(batch.topic, batch.partition)
        return any(
            each.processor.where is not None or self._starts.get(each.name, {}).get(at, 0) > batch.offsets[0]
            for each in bound.handlers
        )

    def _wanting(
        self, bound: BoundRoute, batch: Batch, index: int
    ) -> tuple[tuple[Handler, ...], Mapping[str, Exception]]:
        """Who wants an event, and whose predicate has raised."""
        begun = self._begun(bound.handlers, batch, index)
        if all(each.processor.where is None for each in begun):
            return begun, {}
        envelope = self._routes.envelope(bound.declaration, batch, index)
        wanting: list[Handler] = []
        errors: dict[str, Exception] = {}
        for each in begun:
            where = each.processor.where
            try:
                if where is None or where(envelope):
                    wanting.append(each)
            except Exception as error:  # noqa: BLE001 - a predicate may raise anything, and is its handler's business
                wanting.append(each)
                errors[each.name] = error
        return tuple(wanting), errors

    def _begun(self, handlers: tuple[Handler, ...], batch: Batch, index: int) -> tuple[Handler, ...]:
        """Those whose first offset lies at or before an event."""
        at = TopicPartition(batch.topic, batch.partition)
        offset = batch.offsets[index]
        return tuple(each for each in handlers if self._starts.get(each.name, {}).get(at, 0) <= offset)

    def _prefetch(self, bound: BoundRoute, keys: Sequence[bytes | None]) -> None:
        desk = self.desk
        # A worker thread may add one meanwhile.
        stores = {store for handler in bound.handlers for store in handler.footing.stores.copy()}
        if not stores and not desk.parking.some:
            return
        known = [key for key in keys if key is not None]
        for store in sorted(stores):  # in an order that is the same in every run of a simulation
            desk.ledger.state.prefetch(store, known)
        if desk.parking.some:
            desk.parking.prefetch(known)

    # -- the inbox

    def _commands(self, batch: Batch, intake: Intake) -> Sequence[Work]:
        works: list[Work] = []
        for index, value in enumerate(batch.values):
            if intake.is_done(index):
                continue
            try:
                command: Command = decode_command(value or b"")
                later = command.action in LATER_ACTIONS
                lane = self.desk.later.lane(command) if later else lane_of(command.place)
            except DECODER_ERRORS as error:
                log.error(
                    "the command at %s[%d] offset %d: %s", batch.topic, batch.partition, batch.offsets[index], error
                )
                self.desk.ledger.skip(intake, (index,), "a command that cannot be read")
                continue
            if command.action == "close":
                works.append(CloseWork(None, self.desk, intake, index, command))
            elif later:
                works.append(LaterWork(lane, self.desk, intake, index, command))
            else:
                works.append(CommandWork(lane, self.desk, self._routes, intake, index, command))
        return works


def _sieved(works: Sequence[Work], desk: Desk) -> Sequence[Work]:
    """The same works, with those set apart that a handler may not be given at once."""
    events = [each for each in works if isinstance(each, EventWork)]
    desk.doubles.prefetch(
        (handler, each.event, each.intake.batch, each.index) for each in events for handler in each.handlers
    )
    return [_apart(each, desk) if isinstance(each, EventWork) else each for each in works]


def _apart(work: EventWork, desk: Desk) -> Work:
    handlers = work.handlers
    if any(each.processor.batch for each in handlers) or not any(each.apart for each in handlers):
        return work
    lane = desk.doubles.lane(handlers, work.event, work.intake.batch, work.index)
    return SievedWork(lane, desk, work.intake, work.index, work.event, handlers)


def _together(works: Sequence[Work]) -> Sequence[Work]:
    """Neighbouring events for the same handlers as one work, where a batch handler is among these."""
    joined: list[Work] = []
    for work in works:
        if not isinstance(work, EventWork) or not any(each.processor.batch for each in work.handlers):
            joined.append(work)
            continue
        last = joined[-1] if joined else None
        if isinstance(last, BatchWork) and last.handlers == work.handlers:
            last.events.append((work.index, work.event))
        else:
            joined.append(BatchWork(None, work.desk, work.intake, [(work.index, work.event)], work.handlers))
    return joined
