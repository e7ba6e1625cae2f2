"""Rate limits that workers share: what a handler was given lately is kept in the task's store, and moves with it.

What the limit has counted is committed with the task, whether the event succeeds or not: a call that failed was made.
"""

import asyncio
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from mainstem.clock import Clock
from mainstem.delivery.context import Effects
from mainstem.delivery.ledger import Ledger
from mainstem.errors import DefinitionError
from mainstem.options import Stated
from mainstem.resilience import (
    Count,
    Counts,
    FixedWindow,
    LeakingBucket,
    LeakingQueue,
    Level,
    SlidingCounter,
    TokenBucket,
    Verdict,
)

Rule: TypeAlias = TokenBucket | LeakingBucket | LeakingQueue | FixedWindow | SlidingCounter
Per: TypeAlias = Literal["key", "group"]

LIMITS_STORE: Final = "$limits"
WAIT_MS: Final = 1_000
"""A key whose turn comes within this time keeps its lane; another one parks, so that others may have the lane."""

_encode = msgspec.msgpack.Encoder().encode
_level = msgspec.msgpack.Decoder(Level).decode
_count = msgspec.msgpack.Decoder(Count).decode
_counts = msgspec.msgpack.Decoder(Counts).decode


class Limit(Struct, frozen=True, metaclass=Stated):
    """How often a handler may run. ``rule`` is one of those of ``mainstem.resilience``.

    ``per="key"``: so often for each event key. One whose turn does not come within a second is parked until it does,
    which counts as no failure; the other keys go on. ``per="group"``: so often for all keys together. Each task may do
    its share, the limit divided by the number of tasks, and its lanes wait.
    """

    rule: Rule
    per: Per = "key"

    def __post_init__(self) -> None:
        """Refuse what no type checker has seen."""
        if not isinstance(self.rule, Rule) or self.per not in ("key", "group"):
            raise DefinitionError(
                f"Limit({self.rule!r}, per={self.per!r}) is no limit",
                why="a rule is a bucket, a queue, a fixed window or a sliding counter: what has counted in a few "
                'numbers; it holds per="key" or per="group"',
                remedy="write Limit(TokenBucket(limit=5, period_ms=1_000))",
            )

    def share(self, tasks: int) -> Rule:
        """What one of so many tasks may do. Raises :class:`DefinitionError` where there is not one for each."""
        if self.per == "key" or tasks == 1:
            return self.rule
        rule = self.rule
        parts = {name: getattr(rule, name) // tasks for name in ("limit", "capacity", "places") if hasattr(rule, name)}
        if not parts["limit"] or not parts.get("capacity", 1):
            raise DefinitionError(
                f"{rule!r} cannot be divided by {tasks} tasks",
                why="each of them may do its share, and the share would be nothing",
                remedy="state the rate for a longer period, or declare the group with fewer tasks",
            )
        if "places" in parts:
            parts["places"] = max(1, parts["places"])
        return msgspec.structs.replace(rule, **parts)


class Limits:
    """What one task has counted."""

    __slots__ = ("_clock", "_ledger", "_shares", "_tasks")

    def __init__(self, ledger: Ledger, clock: Clock, tasks: int) -> None:
        self._ledger = ledger
        self._clock = clock
        self._tasks = tasks
        self._shares: dict[str, Rule] = {}

    async def turn(self, handler: str, limit: Limit | None, key: bytes | None) -> int | None:
        """Wait until a handler may run; or say, as wall-clock time, when it may that is not worth waiting for."""
        while limit is not None:
            verdict = self._ask(handler, limit, key)
            if verdict.allowed:
                if verdict.wait_ms:
                    await asyncio.sleep(verdict.wait_ms / 1_000)
                return None
            if limit.per == "key" and verdict.retry_after_ms > WAIT_MS:
                return self._clock.now_ms() + verdict.retry_after_ms
            await asyncio.sleep(verdict.retry_after_ms / 1_000)
        return None

    def _ask(self, handler: str, limit: Limit, key: bytes | None) -> Verdict:
        """Ask, and keep what comes of it at once: other lanes may ask before the event is done."""
        state, now = self._ledger.state, self._clock.now_ms()
        row_key = handler.encode() + b"\x00" + ((key or b"") if limit.per == "key" else b"")
        row = state.get(LIMITS_STORE, row_key)
        rule = self._shares.get(handler) or self._shares.setdefault(handler, limit.share(self._tasks))
        match rule:
            case FixedWindow():
                after: Struct
                after, verdict = rule.step(None if row is None else _count(row), now)
            case SlidingCounter():
                after, verdict = rule.step(None if row is None else _counts(row), now)
            case _:
                after, verdict = rule.step(None if row is None else _level(row), now)
        if verdict.allowed:
            self._ledger.absorb(Effects([], {(LIMITS_STORE, row_key): _encode(after)}))
        return verdict
