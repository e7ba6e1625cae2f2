"""Retirement: what a group that nobody runs remembers of a handler that does not exist any more is forgotten."""

from collections.abc import Callable, Iterator

from msgspec import Struct

from mainstem.broker import GroupDescription
from mainstem.clock import Clock
from mainstem.delivery.commit import Point, no_point
from mainstem.delivery.context import Effects, no_effects
from mainstem.delivery.failures import Audit, Checkpoints, Parking, renamed, retired
from mainstem.delivery.roster import known_handlers, struck_out
from mainstem.delivery.upkeep.custody import Keeper, in_custody
from mainstem.state import Firing, TaskState, timers

TIMERS_AT_ONCE = 1_000


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

    keeper: Keeper
    group: GroupDescription
    handler: str
    timers: tuple[str, ...] = ()

    async def look(self) -> Remembered:
        """What is remembered, as it was committed last."""
        found = Remembered()
        for task in range(self.group.tasks):
            state = TaskState(await self.keeper.snapshot(self.group.name, task))
            found.tasks += self.handler in known_handlers(state)
            for name in self._names(state):
                for _, _, mark in Parking(state).owing(name):
                    found.sequences += 1
                    found.events += mark.waiting
                found.checkpoints += sum(1 for _ in Checkpoints(state).of(name))
            found.timers += sum(1 for name in self.timers for _ in timers.named(state, name)) + len(self._begun(state))
        return found

    async def carry_out(self, clock: Clock, reason: str, done: Callable[[int], None], point: Point = no_point) -> None:
        """Take each task over, which fences whoever had it, and forget. ``done`` hears of each sequence and timer.

        What was parked stands in the audit topic as discarded. Positions stay. It is done in several commits; whoever
        dies in between may repeat it, and so may who gets :class:`~mainstem.errors.Fenced`, because somebody has
        started the group meanwhile. ``point`` hears the named steps of each commit.
        """
        for task in range(self.group.tasks):
            async with in_custody(self.keeper, self.group, task) as custody:
                if custody is None:
                    continue
                for effects, count in self._pages(task, custody.state, clock, reason):
                    await custody.commit(effects, point)
                    done(count)

    def _names(self, state: TaskState) -> list[str]:
        """Under which names something of the handler may stand: it may have been in the middle of a renaming."""
        known = known_handlers(state).get(self.handler)
        return [self.handler] if known is None or not known.once else [self.handler, known.once]

    def _begun(self, state: TaskState) -> list[Firing]:
        return [each for each in timers.begun(state) if each.timer.name in self.timers]

    def _pages(self, task: int, state: TaskState, clock: Clock, reason: str) -> Iterator[tuple[Effects, int]]:
        """What is to be committed; the handler's own row goes last, so that a rest is found again."""
        parking, checkpoints, audit = Parking(state), Checkpoints(state), Audit(self.group.name, task)
        known = known_handlers(state).get(self.handler)
        if known is not None and known.once:
            for page in renamed(parking, checkpoints, audit, (known.once, self.handler), clock.now_ms()):
                yield page, 0
        for page in retired(parking, checkpoints, audit, self.handler, clock.now_ms(), reason):
            yield page, sum(record.value is None for _, record in page.facts)
        begun = no_effects()
        for firing in self._begun(state):
            timers.end(begun.write, firing)
        yield begun, len(begun.writes)
        for name in self.timers:
            effects, count = no_effects(), 0
            for timer in timers.named(state, name):
                timers.cancel(state.get, effects.write, timer.name, timer.key)
                count += 1
                if count == TIMERS_AT_ONCE:
                    yield effects, count
                    effects, count = no_effects(), 0
            yield effects, count
        yield struck_out(self.handler), 0
