"""A lease: one holder at a time, over all processes and machines that name the same broker.

It is a group with a single task and nothing to read, so it is held, renewed, taken over and fenced as every task is:
the member lives as long as its event loop turns, and the owner's epoch is the token.
"""

import asyncio
import re
from contextlib import AsyncExitStack
from typing import Final, Self

from mainstem.broker import GroupSpec, Membership, Ownership, TopicPartition
from mainstem.calendar import Duration, seconds
from mainstem.clock import SystemClock
from mainstem.errors import (
    BrokerError,
    CommitRefused,
    CommitUnknown,
    DefinitionError,
    DiskFull,
    Fenced,
    LeaseLost,
    LeaseTaken,
    MembershipLost,
)
from mainstem.identifiers import Identifiers
from mainstem.service.brokers import Backend, connected, named_broker
from mainstem.settings import Settings
from mainstem.telemetry import log

GROUP_PREFIX: Final = "lease."
"""The group of a lease is called so, and then by its name."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TASK: Final = 0
_ANOTHERS: Final = (Fenced, CommitRefused, CommitUnknown, MembershipLost)


class Lease:
    """Holds a lease while its block of ``async with`` runs; made by :func:`lease`."""

    def __init__(self, name: str, broker: str | Backend | None, settings: Settings, *, wait: bool | Duration) -> None:
        if not _NAME.fullmatch(name):
            raise DefinitionError(
                f"a lease cannot be called {name!r}",
                why="a group of the broker is named after it",
                remedy="begin with a letter or digit; go on with letters, digits, dots, underscores and hyphens",
            )
        self.name = name
        self.token = 0
        """Grows with each holder; 0 before the block."""
        self._group = GROUP_PREFIX + name
        self._broker = broker
        self._fast = wait is False
        self._wait_seconds = None if isinstance(wait, bool) else seconds(wait)
        self._settings = settings
        self._stack = AsyncExitStack()
        self._confirming = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._host: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._woken = False
        self._why: str | None = None
        self._membership: Membership | None = None
        self._ownership: Ownership | None = None
        self._inbox: dict[TopicPartition, int] = {}

    @property
    def held(self) -> bool:
        """Whether it is held, as far as is known here without asking."""
        return self.token > 0 and self._why is None and self._ownership is not None

    async def confirm(self) -> int:
        """Ask the broker whether it is held still; returns the token.

        Raises :class:`~mainstem.errors.LeaseLost` where it is not, or where that cannot be known.
        """
        async with self._confirming:
            if self._why is None and self._ownership is not None:
                transaction = self._ownership.transaction()
                transaction.positions(self._inbox)
                try:
                    await transaction.commit()
                except _ANOTHERS as error:
                    self._why = error.what
        if not self.held:
            raise self._lost()
        return self.token

    async def __aenter__(self) -> Self:
        named = self._broker
        if named is None or isinstance(named, str):
            named = named_broker(named, self._settings, dev=False)
        clock = SystemClock()
        try:
            broker = await self._stack.enter_async_context(connected(named, clock, Identifiers(clock)))
            async with asyncio.timeout(self._wait_seconds) as limit:
                await self._acquire(broker)
        except TimeoutError:
            await self._stack.aclose()
            if not limit.expired():
                raise
            raise self._taken() from None
        except BaseException:
            await self._stack.aclose()
            raise
        assert self._membership is not None
        self._host = asyncio.current_task()
        self._cancelling = 0 if self._host is None else self._host.cancelling()
        self._watching = asyncio.create_task(self._watch(self._membership), name=f"lease {self.name}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        host, self._host = self._host, None
        assert host is not None
        assert self._watching is not None
        self._watching.cancel()
        cancelled = host.uncancel() if self._woken else host.cancelling()
        await asyncio.shield(self._give_back())
        if self._why is None:
            return
        if kind is None or (issubclass(kind, asyncio.CancelledError) and cancelled <= self._cancelling):
            # Nobody else has cancelled this task, and no other error is on its way.
            raise self._lost() from None

    async def _acquire(self, broker: Backend) -> None:
        settings = self._settings
        spec = GroupSpec(
            self._group, self._group, 1, session_timeout_seconds=settings.session_timeout_seconds, grace_seconds=0
        )
        at = TopicPartition(spec.inbox, _TASK)
        while True:
            membership = await broker.group.join(spec)
            try:
                while _TASK not in await membership.assignment():
                    if self._fast:
                        raise self._taken()
                ownership = await membership.take_over(_TASK)
                self._inbox = {at: ownership.positions.get(at, (await broker.log.bounds(at))[0])}
            except _ANOTHERS as error:
                log.info("the lease %r is asked for anew: %s", self.name, error.what)
                await _left(membership)
            except BaseException:
                await asyncio.shield(_left(membership))
                raise
            else:
                self._membership, self._ownership, self.token = membership, ownership, ownership.epoch
                return

    async def _watch(self, membership: Membership) -> None:
        """Wait until it is lost; then whoever holds it is cancelled."""
        try:
            while _TASK in await membership.assignment():
                pass
            why = "it has been given to another process"
        except BrokerError as error:
            why = error.what
        self._why = self._why or why
        log.warning("the lease %r is lost, with the token %d: %s", self.name, self.token, why)
        if self._host is not None:
            self._woken = True
            self._host.cancel()

    async def _give_back(self) -> None:
        membership, self._ownership = self._membership, None
        assert membership is not None
        try:
            await membership.release(_TASK)
        except (BrokerError, DiskFull) as error:
            log.warning("the lease %r cannot be given back in order: %s", self.name, error)
        await _left(membership)
        await self._stack.aclose()

    def _taken(self) -> LeaseTaken:
        return LeaseTaken(
            f"the lease {self.name!r} is held by another",
            where=f"group {self._group}",
            why="there is one holder at a time; one that has died is known to be dead after the session timeout",
            remedy=f"wait for it (wait=True, or for so long: wait='10s'); see who: mainstem groups show {self._group}",
        )

    def _lost(self) -> LeaseLost:
        return LeaseLost(
            f"the lease {self.name!r} is not held any more",
            where=f"token {self.token}",
            why=self._why or "its block has ended",
            remedy="stop what it was held for, and ask for it anew; whoever holds it now has a greater token",
        )


def lease(
    name: str,
    *,
    broker: str | Backend | None = None,
    wait: bool | Duration = True,
    settings: Settings | None = None,
) -> Lease:
    """Let one process at a time run a block: ``async with mainstem.lease("nightly-report") as lease``.

    ``broker`` is a URL, or a broker that is open and stays open; without one the settings name it. The block begins
    when the lease is held; with ``wait=False``, or when a duration has passed,
    :class:`~mainstem.errors.LeaseTaken` is raised instead. It is renewed while the event loop turns. A holder that has
    died, or has stood still for the session timeout, is replaced, and :class:`~mainstem.errors.LeaseLost` raised in
    its block, which is cancelled as by a time-out.

    What the block does outside is fenced by whoever takes ``lease.token`` along and refuses a smaller one; or asks
    before: ``await lease.confirm()``.
    """
    return Lease(name, broker, settings or Settings.load(), wait=wait)


async def _left(membership: Membership) -> None:
    try:
        await membership.leave()
    except (BrokerError, DiskFull) as error:
        log.warning("leaving the group of a lease: %s", error)
