"""How much of a process one dependency may hold: calls, those that wait for one, and connections."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Literal, ParamSpec, TypeVar

from msgspec import Struct

from mainstem.errors import BulkheadFull, DefinitionError
from mainstem.resilience.calls import guarding

P = ParamSpec("P")
R = TypeVar("R")

Entry = Literal["go", "wait", "full"]


class BulkheadState(Struct, frozen=True, array_like=True, gc=False):
    """How many calls are under way, how many wait, and how many connections are open."""

    active: int = 0
    pending: int = 0
    connections: int = 0


class BulkheadRule(Struct, frozen=True, kw_only=True):
    """At most ``active`` calls at a time, ``pending`` that wait for their turn, and ``connections`` that are open.

    The three limits are those that Envoy puts before a cluster; 25 at a time and nobody waiting are Resilience4j's
    defaults. ``pending_seconds`` is how long one waits at most; 0 connections means that they are not limited.
    """

    active: int = 25
    pending: int = 0
    pending_seconds: float = 1.0
    connections: int = 0

    def __post_init__(self) -> None:
        """Refuse a bulkhead that nobody could pass, with ``DefinitionError``."""
        if self.active < 1 or self.pending < 0 or self.connections < 0 or not self.pending_seconds > 0:
            raise DefinitionError(
                f"a bulkhead for {self.active} active, {self.pending} pending, {self.connections} connections, "
                f"waiting {self.pending_seconds} seconds",
                why="nobody could pass it",
                remedy="give active from 1, pending and connections from 0, pending_seconds above 0",
            )

    def enter(self, state: BulkheadState) -> tuple[BulkheadState, Entry]:
        """Ask to make a call: go, wait until somebody leaves, or neither."""
        if state.active < self.active:
            return BulkheadState(state.active + 1, state.pending, state.connections), "go"
        if state.pending < self.pending:
            return BulkheadState(state.active, state.pending + 1, state.connections), "wait"
        return state, "full"

    def leave(self, state: BulkheadState) -> tuple[BulkheadState, bool]:
        """A call has ended; True when its place goes to the one who has waited longest, and who is active now."""
        if state.pending:
            return BulkheadState(state.active, state.pending - 1, state.connections), True
        return BulkheadState(state.active - 1, 0, state.connections), False

    def give_up(self, state: BulkheadState) -> BulkheadState:
        """One who waited does so no longer."""
        return BulkheadState(state.active, state.pending - 1, state.connections)

    def connect(self, state: BulkheadState) -> tuple[BulkheadState, bool]:
        """Ask to open a connection."""
        if self.connections and state.connections >= self.connections:
            return state, False
        return BulkheadState(state.active, state.pending, state.connections + 1), True

    def disconnect(self, state: BulkheadState) -> BulkheadState:
        """A connection has been closed."""
        return BulkheadState(state.active, state.pending, state.connections - 1)


class Bulkhead:
    """A bulkhead around the calls of one event loop to one dependency, or of one tenant.

    ``@bulkhead`` stands above an ``async def`` function, ``async with bulkhead.call():`` around any code; both raise
    ``BulkheadFull``. Who waits goes in the order of arrival, and nobody overtakes. ``with bulkhead.connection():``
    spans the life of a connection.
    """

    __slots__ = ("_waiting", "name", "rule", "state")

    def __init__(self, rule: BulkheadRule | None = None, *, name: str = "") -> None:
        """``name`` stands in errors."""
        self.rule = rule or BulkheadRule()
        self.name = name
        self.state = BulkheadState()
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def call(self) -> AsyncGenerator[None, None]:
        """Around one call. Raises ``BulkheadFull`` without having begun, at once or after ``pending_seconds``."""
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def connection(self) -> Generator[None, None, None]:
        """Around the life of one connection. Raises ``BulkheadFull`` when there are as many as may be."""
        self.state, granted = self.rule.connect(self.state)
        if not granted:
            raise self._full(f"{self.state.connections} connections are open")
        try:
            yield
        finally:
            self.state = self.rule.disconnect(self.state)

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[object, object, R]]:
        """A function that calls ``function`` within the bulkhead."""

        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            await self._enter()
            try:
                return await function(*args, **kwargs)
            finally:
                self._leave()

        return guarding(function, call)

    async def _enter(self) -> None:
        self.state, entry = self.rule.enter(self.state)
        if entry == "full":
            raise self._full(f"{self.state.active} calls are under way and {self.state.pending} wait")
        if entry == "wait":
            await self._turn()

    async def _turn(self) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            async with asyncio.timeout(self.rule.pending_seconds) as limit:
                await mine
        except BaseException:
            if mine.done() and not mine.cancelled():
                # The place was handed over and the wait ended at the same moment: it goes to the next.
                self._leave()
            elif mine in self._waiting:
                self._waiting.remove(mine)
                self.state = self.rule.give_up(self.state)
            if limit.expired():
                raise self._full(f"no place became free within {self.rule.pending_seconds:g} s") from None
            raise

    def _leave(self) -> None:
        # Who was cancelled may not have run since, to take his leave himself.
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
            self.state = self.rule.give_up(self.state)
        self.state, handed_over = self.rule.leave(self.state)
        if handed_over:
            self._waiting.popleft().set_result(None)

    def _full(self, why: str) -> BulkheadFull:
        return BulkheadFull(
            "the call was not made: the bulkhead is full",
            where=self.name,
            why=why,
            remedy="try again later, shed load, or let more through if the dependency can bear it",
        )
