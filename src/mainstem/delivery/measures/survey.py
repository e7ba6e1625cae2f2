"""What waits in the stores of a process's tasks, counted a few keys at a time: it must not hold up what is counted."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final, Protocol

from mainstem.clock import Clock
from mainstem.delivery.failures import NO_ALERTS, Letters, Parking
from mainstem.delivery.ledger import Ledger
from mainstem.delivery.plan import Plan
from mainstem.telemetry import log

COUNTED_MOST: Final = 10_000
"""Keys of a handler, in each task, are counted up to here."""
AT_ONCE: Final = 200
"""After so many keys the events have their turn."""
FRESH_SECONDS: Final = 0.5
"""All who ask within so much time are told the same."""
WATCH_SECONDS: Final = 10.0


class Owned(Protocol):
    """A task that this process owns."""

    @property
    def ledger(self) -> Ledger | None:
        """Its books, once it has begun."""
        ...


class Owner(Protocol):
    """Whoever runs the tasks of a group."""

    @property
    def tasks(self) -> Mapping[int, Owned]:
        """Those that this process owns now."""
        ...


ByHandler = dict[str, Letters]


class Survey:
    """Counts the parked keys and dead letters of a process, by group and handler."""

    def __init__(self, plans: Sequence[Plan], owners: Mapping[str, Owner], clock: Clock) -> None:
        """Both may still grow."""
        self._plans = plans
        self._owners = owners
        self._clock = clock
        self._found: dict[str, ByHandler] = {}
        self._at: float | None = None
        self._standing: set[tuple[str, str]] = set()

    async def look(self) -> Mapping[str, ByHandler]:
        """What waits now, or did a moment ago."""
        now = self._clock.monotonic()
        if self._at is None or now - self._at >= FRESH_SECONDS:
            self._at = now
            self._found = {plan.group: await self._of(plan) for plan in self._plans}
        return self._found

    async def letters(self) -> Mapping[str, tuple[Letters, tuple[str, ...]]]:
        """By group what waits in all, and what is to be said of it."""
        found = {}
        for plan in self._plans:
            total = _total((await self.look()).get(plan.group, {}))
            found[plan.group] = total, tuple(plan.alerts.passed(total).values())
        return found

    async def _of(self, plan: Plan) -> ByHandler:
        found = {each.name: Letters() for each in plan.processors}
        owner = self._owners.get(plan.group)
        for task in list(owner.tasks.values()) if owner is not None else ():
            if task.ledger is not None:
                parking = Parking(task.ledger.state)
                for name in parking.names:
                    found[name] = found.get(name, Letters()).with_another(await self._count(parking, name))
        return found

    async def _count(self, parking: Parking, handler: str) -> Letters:
        dead = parked = dead_age_ms = parked_age_ms = 0
        marks = islice(parking.of(handler), COUNTED_MOST)
        while some := list(islice(marks, AT_ONCE)):
            now = self._clock.now_ms()
            for _, mark in some:
                if mark.next_ms is None:
                    dead, dead_age_ms = dead + 1, max(dead_age_ms, now - mark.failure.last_ms)
                else:
                    parked, parked_age_ms = parked + 1, max(parked_age_ms, now - mark.failure.first_ms)
            await asyncio.sleep(0)
        return Letters(dead, parked, dead_age_ms, parked_age_ms)

    # -- telling

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """Inside the block, thresholds that are passed are told in the log, once each; without any, nothing is done."""
        if all(plan.alerts == NO_ALERTS for plan in self._plans):
            yield
            return
        telling = asyncio.create_task(self._tell_now_and_then())
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _tell_now_and_then(self) -> None:
        while True:
            try:
                await self.tell()
            except Exception as error:  # noqa: BLE001 - whatever it is, those who work will find out
                log.warning("it cannot be counted what waits: %s", error)
            await asyncio.sleep(WATCH_SECONDS)

    async def tell(self) -> None:
        """Say what has been passed since the last time, and what no longer is."""
        found = await self.look()
        for plan in self._plans:
            passed = plan.alerts.passed(_total(found.get(plan.group, {})))
            for name, said in passed.items():
                if (plan.group, name) not in self._standing:
                    self._standing.add((plan.group, name))
                    log.error("group %r: %s: mainstem dead-letters list %s", plan.group, said, plan.group)
            for group, name in [each for each in self._standing if each[0] == plan.group and each[1] not in passed]:
                self._standing.discard((group, name))
                log.info("group %r: the threshold %s is not passed any more", group, name)


def _total(found: ByHandler) -> Letters:
    total = Letters()
    for each in found.values():
        total = total.with_another(each)
    return total
