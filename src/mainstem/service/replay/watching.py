"""What handlers do in a replay, counted and noted as they run."""

from collections.abc import Awaitable
from threading import Lock
from typing import Final, cast

from msgspec import Struct
from msgspec.structs import replace

from mainstem.delivery import TIMER_TOPIC, Call, Context, Processor
from mainstem.errors import EffectRefused

FAILURES_MOST: Final = 1_000
"""So many failures are told one by one; the others are counted."""


class HandlerRuns(Struct):
    """What became of the runs of one handler. Those ``refused`` ended where they would have reached outside."""

    group: str
    handler: str
    handled: int = 0
    failed: int = 0
    refused: int = 0


class FailedRun(Struct, frozen=True):
    """A run that has raised. A timer that was due has a topic that begins with ``$timer``."""

    handler: str
    key: str | None
    topic: str
    partition: int
    offset: int
    event_id: str
    error: str


class Watcher:
    """Put around each handler of a replay."""

    def __init__(self, wanted: frozenset[str]) -> None:
        """Timers that are not for a handler in ``wanted`` ring, and nobody handles them."""
        self.runs: dict[str, HandlerRuns] = {}
        self.failures: list[FailedRun] = []
        self.unheard: dict[str, int] = {}
        self.firings: dict[bytes, None] = {}
        """The ids of the timers that rang."""
        self.correlations: dict[bytes, None] = {}
        self._wanted = wanted
        self._lock = Lock()  # plain handlers run in threads

    def around(self, group: str, processor: Processor) -> Processor:
        """The same handler, watched."""
        if processor.name not in self._wanted:
            return replace(processor, call=self._ignored(processor), plain=True)
        runs = self.runs[processor.name] = HandlerRuns(group, processor.name)
        inner = processor.call

        def call_now(event: object, context: Context) -> object:
            try:
                result = inner(event, context)
            except Exception as error:  # noqa: BLE001 - raised again, unless it is ours
                self._ended(runs, context, error)
                return None
            self._note(runs, event, context)
            return result

        async def call(event: object, context: Context) -> object:
            try:
                result = await cast("Awaitable[object]", inner(event, context))
            except Exception as error:  # noqa: BLE001 - raised again, unless it is ours
                self._ended(runs, context, error)
                return None
            self._note(runs, event, context)
            return result

        return replace(processor, call=call_now if processor.plain else call)

    def _ignored(self, processor: Processor) -> Call:
        timer = processor.timer or processor.name

        def call(_event: object, _context: Context) -> None:
            self.unheard[timer] = self.unheard.get(timer, 0) + 1

        return call

    def _note(self, runs: HandlerRuns, event: object, context: Context) -> None:
        with self._lock:
            runs.handled += len(event) if isinstance(event, list) else 1
            self._remember(context)

    def _remember(self, context: Context) -> None:
        if context.topic.startswith(TIMER_TOPIC):
            self.firings[context.event_id.encode()] = None
        self.correlations[context.correlation_id.encode()] = None

    def _ended(self, runs: HandlerRuns, context: Context, error: Exception) -> None:
        """A run has raised. One that was refused an effect ends there, and what it had done counts."""
        with self._lock:
            self._remember(context)
            if isinstance(error, EffectRefused):
                runs.refused += 1
                return
            runs.failed += 1
            if len(self.failures) < FAILURES_MOST:
                self.failures.append(_failed(runs.handler, context, error))
        raise error


def _failed(handler: str, context: Context, error: Exception) -> FailedRun:
    key = None if context.key is None else context.key.decode(errors="backslashreplace")
    said = f"{type(error).__name__}: {error}"
    return FailedRun(handler, key, context.topic, context.partition, context.offset, context.event_id, said)
