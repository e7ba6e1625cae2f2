"""Which tasks of a group this process stands by for, as the group changes."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from mainstem.broker import GroupSpec
from mainstem.broker.kafka.calls import background
from mainstem.broker.kafka.copies import Standbys, to_follow
from mainstem.broker.kafka.groups.groups import Groups
from mainstem.errors import MainstemError
from mainstem.telemetry import log

LOOK_SECONDS: Final = 5.0
RESTLESS_SECONDS: Final = 0.5
"""While some task has no owner, the group is about to change."""


class Reserve:
    """Looks at the group, and lets the standbys follow."""

    def __init__(
        self, groups: Groups, standbys: Standbys, spec: GroupSpec, owned: Callable[[], frozenset[int]]
    ) -> None:
        """``owned`` are the tasks that this process has, or is about to have."""
        self._groups = groups
        self._standbys = standbys
        self._spec = spec
        self._owned = owned
        self._member: Callable[[], str] = str
        self._news = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self, member: Callable[[], str]) -> None:
        """Look from now on; ``member`` is what this process is called now."""
        self._member = member
        self._running = background(self._run(), f"standbys of {self._spec.name}")

    def hear(self) -> None:
        """The tasks of this process have changed."""
        self._news.set()

    async def close(self) -> None:
        """Stand by no more."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._standbys.follow_none(self._spec.name)

    async def _run(self) -> None:
        while True:
            self._news.clear()
            settled = False
            try:
                settled = await self._look()
            except MainstemError as error:
                log.warning("standbys of %r: the group cannot be looked at: %s", self._spec.name, error)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if settled else RESTLESS_SECONDS):
                    await self._news.wait()

    async def _look(self) -> bool:
        """Follow what is to be followed now; whether every task has an owner."""
        name, standbys = self._spec.name, self._standbys
        seats = await self._groups.seats(name)
        unowned = frozenset(range(self._spec.tasks)).difference(*(seat.tasks for seat in seats))
        wanted = to_follow(seats, self._member(), self._spec.standbys)
        # Whoever is to have what nobody has now may be this process: it is followed on until that is known.
        await standbys.follow(name, lambda: (wanted | (unowned & standbys.tasks(name))) - self._owned())
        return not unowned
