"""A task: one incarnation of owning it, from reading to committing."""

import asyncio
from collections.abc import Callable, Mapping

from mainstem.broker import Batch, Ownership, Reader, TopicPartition
from mainstem.delivery.commit import CommitClock, commit
from mainstem.delivery.context import Incarnation, no_effects
from mainstem.delivery.desk import Desk, Routes
from mainstem.delivery.failures import Audit
from mainstem.delivery.guards import Breakers, Lateness, Notices, Pauses
from mainstem.delivery.lanes import Lanes, Progress
from mainstem.delivery.ledger import Ledger, Strain
from mainstem.delivery.measures import HotKeys
from mainstem.delivery.plan import Plan
from mainstem.delivery.roster import Roster, enter, note_inputs
from mainstem.delivery.schedules import next_runs
from mainstem.delivery.tasks.environment import Environment
from mainstem.delivery.tasks.fitting import fit_out, stand_guard
from mainstem.delivery.tasks.positions import first_positions, restore
from mainstem.delivery.tasks.strain import is_input, made_ms, strain_of
from mainstem.delivery.tasks.unread import Unread
from mainstem.delivery.works import Admission, Alarm, Hops, plain_events
from mainstem.state import Rows, TaskState
from mainstem.telemetry import log


class Task:
    """Reads the task's partitions, runs handlers in lanes, and commits, until it is drained or lost."""

    def __init__(
        self,
        plan: Plan,
        ownership: Ownership,
        rows: Rows,
        environment: Environment,
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        """``begun`` is called when the first positions are committed."""
        self._begun = begun
        self._plan = plan
        self._ownership = ownership
        self._environment = environment
        self._settings = environment.settings
        self._state = TaskState(rows)
        self._incarnation = Incarnation(f"task {ownership.task} of {plan.group!r}, epoch {ownership.epoch}")
        self._lanes = Lanes(plan.lanes, self._fail, self._something_came, is_input)
        self._notices = Notices(Audit(plan.group, ownership.task), environment.clock)
        self._pauses = Pauses(self._incarnation.name, environment.clock, self._lanes, self._notices)
        self._unread = Unread(self._incarnation.name, environment, self._pauses, self._fail, self._notices)
        self._breakers = Breakers({each.name: each.fuse for each in plan.processors if each.fuse is not None})
        self._alarm = Alarm(self._state, environment.clock, self._lanes.add, environment.later)
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Also where nobody comes to ask any more, because something else has ended the task first.
        self._failed.add_done_callback(lambda failed: failed.cancelled() or failed.exception())
        self._draining = asyncio.Event()
        self._ticking: asyncio.TimerHandle | None = None
        settings = environment.settings
        self._commit_clock = CommitClock(settings.commit_interval_ms / 1_000, settings.commit_events)
        self._commit_due = asyncio.Event()
        self._positions: Mapping[TopicPartition, int] = {}
        self._event_bytes = 1
        self._in_commit = False
        self._nothing_to_read = False
        self._hops: Hops | None = None
        self._lateness: Lateness | None = None
        self._hot = HotKeys(environment.clock)
        self._desk: Desk | None = None
        self.ledger: Ledger | None = None

    @property
    def in_flight(self) -> int:
        """Events read and not finished; those of a partition that has just asked for a schema count as one."""
        return self._lanes.in_flight + self._unread.asking

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """The positions committed last, by input; empty before the first commit."""
        return self._positions

    @property
    def paused(self) -> Mapping[str, float]:
        """Why its inputs, or one of them, stand still, and for how many seconds; empty when they do not."""
        return {**self._pauses.reasons, **self._unread.reasons}

    @property
    def next_ms(self) -> int | None:
        """When the event was made that is to begin next; None when none waits for a lane."""
        return made_ms(self._lanes.first)

    @property
    def held(self) -> bool:
        """Whether its inputs stand still."""
        return self._pauses.some

    @property
    def resting(self) -> bool:
        """Whether there is nothing to be read, and nothing is under way."""
        return self._nothing_to_read and not self._lanes.in_flight

    @property
    def strain(self) -> Strain:
        """What shows that it has too much to do."""
        desk = self._desk
        return Strain() if desk is None else strain_of(desk.giving_way, self._hot, self._lanes, desk.clock)

    @property
    def open_breakers(self) -> Mapping[str, float]:
        """The breakers of its handlers that are not closed, and for how many seconds."""
        return self._notices.of("open")

    @property
    def got_on(self) -> bool:
        """Whether it has committed anything beyond its first positions."""
        return self.ledger is not None and self.ledger.counters.commits > 1

    def drain(self) -> None:
        """Stop reading, finish what is in flight within the grace period, commit, and return from :meth:`run`."""
        self._draining.set()

    def kill(self) -> None:
        """End at once, without another commit: the task has been lost."""
        self._incarnation.alive = False
        if not self._failed.done():
            self._failed.cancel()

    async def run(self) -> None:
        """Own the task until it is drained. Raises what made it impossible to go on; nothing is committed then."""
        try:
            admission = await self._prepare()
            self._begun()
            reader = self._environment.broker.log.reader(self._positions)
            self._pauses.govern(reader, [at for at in self._positions if at.topic != self._plan.inbox])
            self._watch_lateness(admission.desk)
            loops = (
                asyncio.create_task(self._read(reader, admission)),
                asyncio.create_task(self._commit_when_due(admission.desk)),
                asyncio.create_task(self.until_draining()),
            )
            try:
                await asyncio.wait([*loops, self._failed], return_when=asyncio.FIRST_COMPLETED)
                if self._draining.is_set() and not self._failed.done():
                    await self._finish(*loops[:2])
                for each in (*loops, self._failed):
                    if each.done() and not each.cancelled():
                        each.result()
            finally:
                for each in loops:
                    each.cancel()
                await asyncio.gather(*loops, return_exceptions=True)
                reader.close()
        finally:
            self._incarnation.alive = False
            self._alarm.stop()
            if self._lateness is not None:
                self._lateness.close()
            self._environment.right_of_way.leave(self._plan.group, self._pauses)
            self._breakers.stop()
            await self._unread.stop()
            if self._ticking is not None:
                self._ticking.cancel()
            await self._lanes.stop()

    # -- taking over

    async def _prepare(self) -> Admission:
        plan, environment = self._plan, self._environment
        # Before anything else is read: what a newer one has left may mean something else.
        first = no_effects()
        if self._ownership.remembers:
            enter(plan, self._ownership.task, self._state, first)
        inputs = plan.inputs_of(self._ownership.task)
        described = await environment.broker.admin.topics({at.topic for at in inputs})
        topic_ids = {name: each.topic_id for name, each in described.items()}
        positions = await first_positions(plan, self._ownership, environment.broker, self._state, topic_ids)
        if self._ownership.remembers:
            note_inputs(self._state, {at: topic_ids[at.topic] for at in inputs if at.topic in topic_ids}, first)
        progress = {at: Progress(position) for at, position in positions.items()}
        ledger = self.ledger = Ledger(
            self._state,
            progress,
            topic_ids,
            commit_events=self._settings.commit_events,
            on_wake=self._alarm.wake,
            on_change=self._something_came,
        )
        ledger.letters.limit(self._settings.parked_events_most, self._pauses)
        ledger.remembers = self._ownership.remembers
        await restore(ledger, self._ownership, positions)
        desk = fit_out(
            plan, self._ownership.task, environment, self._incarnation, ledger, (self._pauses, self._breakers)
        )
        routes = Routes(plan, desk.handlers, environment.writers)
        roster = Roster(plan, self._state, desk.parking, desk.checkpoints, desk.audit)
        ledger.absorb(first)
        anew = positions.keys() - self._ownership.positions.keys()
        pages = roster.call(plan.processors, progress, environment.clock.now_ms(), anew)
        for page in pages if self._ownership.remembers else (no_effects(),):
            ledger.absorb(page)
            # The first offsets are fixed before the first event: whoever takes over later must not choose again.
            self._positions = await self._commit(desk)
        ledger.absorb(next_runs(self._state, plan.schedules_of(self._ownership.task), environment.clock.now_ms()))
        self._alarm.begin(desk, routes)
        stand_guard(desk, self._notices)
        if environment.executor is not None and any(each.plain for each in plan.processors):
            seconds = self._settings.commit_interval_ms / 1000
            self._hops = Hops(environment.executor, self._lanes, plan.lanes, desk, seconds)
        return Admission(desk, routes, plan.inbox, roster.starts)

    def _watch_lateness(self, desk: Desk) -> None:
        """Look how far behind it is, where somebody gives way to it."""
        self._desk = desk
        waiters = desk.giving_way.waiters() + self._environment.right_of_way.join(self._plan.group, self._pauses)
        if waiters:
            self._lateness = Lateness(self._environment.clock, waiters, self)

    # -- running

    async def _read(self, reader: Reader, admission: Admission) -> None:
        ledger, lanes = admission.desk.ledger, self._lanes
        while not self._draining.is_set():
            batch = reader.take()
            if batch is None:
                self._nothing_to_read = True
                self._reconsider()
                await reader.wait()
                self._nothing_to_read = False
                continue
            batch = admission.in_binary_mode(batch)
            if unknown := admission.acquaintance.unknown(batch):
                self._unread.put_back(batch, unknown, reader, admission.acquaintance)
                continue
            admission.desk.counted.read(batch.topic, len(batch))
            if batch.topic != self._plan.inbox:
                self._look_at(batch)
            at = TopicPartition(batch.topic, batch.partition)
            intake = ledger.progress[at].admit(batch)
            works = admission.works(batch, intake)
            # What was passed over moves the position as well, and nothing else.
            self._something_came()
            if self._hops is not None and not admission.desk.checkpoints.some and (plain := plain_events(works)):
                await self._hops.work_off(plain)
            else:
                lanes.add(works)
            if self._alarm.awaits_events:
                self._alarm.read(at, batch.next_offset)
            # One turn of the loop: handlers that do not wait are through with the batch after it.
            await asyncio.sleep(0)
            if lanes.in_flight:
                event_bytes = sum(map(len, filter(None, batch.values))) // (len(batch) or 1)
                await lanes.at_most(self._room(event_bytes), lambda: self._pauses.some)

    def _look_at(self, batch: Batch) -> None:
        """What a batch of an input says about the load; for a batch now and then, unless somebody gives way."""
        if self._hot.due:
            self._hot.sample(batch)
        if self._lateness is not None:
            self._lateness.read(batch)

    def _room(self, event_bytes: int) -> int:
        """How many events may be in flight before the next batch is read, with events as large as the last ones."""
        self._event_bytes = max(event_bytes, (self._event_bytes + event_bytes) // 2, 1)
        return min(self._settings.buffer_events, self._settings.buffer_bytes // self._event_bytes)

    def _something_came(self) -> None:
        self._commit_clock.something_came(asyncio.get_running_loop().time())
        self._reconsider()

    def _reconsider(self) -> None:
        """Let a commit happen when it is due as things stand now."""
        due = self._commit_clock.due(self._books.pending(resting=self.resting))
        if due is None:
            return
        loop = asyncio.get_running_loop()
        if due <= loop.time():
            self._commit_due.set()
        elif self._ticking is None or due < self._ticking.when():
            if self._ticking is not None:
                self._ticking.cancel()
            self._ticking = loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        self._reconsider()

    async def _commit_when_due(self, desk: Desk) -> None:
        ledger = desk.ledger
        while True:
            await self._commit_due.wait()
            if not ledger.moved(self._positions):
                self._commit_due.clear()
                self._commit_clock.nothing_pends()
                continue
            self._in_commit = True
            self._commit_clock.rest_from(asyncio.get_running_loop().time())
            try:
                self._positions = await self._commit(desk)
            except BaseException:
                # Before a handler hears of it that waits in its checkpoint: this is no failure of its own.
                self._incarnation.alive = False
                raise
            self._in_commit = False
            busy = self._lanes.in_flight or self._pauses.standing or self._breakers.some
            if not (desk.plain_sailing or busy or ledger.moved(self._positions)):
                # Nothing is under way that could be parking a key just now.
                desk.parking.look_again()
                desk.checkpoints.look_again()

    async def _commit(self, desk: Desk) -> Mapping[TopicPartition, int]:
        """Commit what is in the books; the positions it was committed with."""
        clock = self._environment.clock
        began = clock.monotonic()
        self._commit_due.clear()
        self._commit_clock.nothing_pends()
        cut = await commit(desk.ledger, self._ownership, self._environment.point)
        self._hot.due = True
        took = clock.monotonic() - began
        self._commit_clock.took(took)
        desk.counted.committed(cut, took)
        return cut.positions

    # -- ending

    async def until_draining(self) -> None:
        """Return when the task is to be drained, also where it has ended by itself meanwhile."""
        await self._draining.wait()

    async def _finish(self, reading: "asyncio.Task[None]", committing: "asyncio.Task[None]") -> None:
        """Drain: the reading has stopped; let handlers finish, then commit what they did."""
        self._alarm.stop()
        reading.cancel()
        self._pauses.close()
        finished = asyncio.ensure_future(self._lanes.at_most(0))
        # Without commits nobody need finish anything; and some may be waiting for one.
        try:
            ended, _ = await asyncio.wait(
                [finished, committing, self._failed],
                timeout=self._settings.grace_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            finished.cancel()
        if finished not in ended:
            why = "because nothing can be committed any more" if ended else "after the grace period"
            log.warning("%s: %d events abandoned %s", self._incarnation.name, self._lanes.in_flight, why)
            await self._lanes.stop()
        ledger = self._books
        # A commit on its way may carry no positions: nothing in the books tells of it any more.
        while (self._in_commit or ledger.moved(self._positions)) and not committing.done() and not self._failed.done():
            await asyncio.wait([ledger.committed(), committing, self._failed], return_when=asyncio.FIRST_COMPLETED)

    def _fail(self, error: BaseException) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)

    @property
    def _books(self) -> Ledger:
        assert self.ledger is not None
        return self.ledger
