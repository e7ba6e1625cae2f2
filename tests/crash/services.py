"""The services of the crash tests: counts, timers, retries, dead letters, checkpoints, plain functions.

Each handler leaves traces from which a checker that knows nothing of the library can tell what was done, in which
order, and how often: a count and a chain of hashes for each key, and an output for each event.
"""

import asyncio
from hashlib import blake2b
from pathlib import Path
from typing import Final

from msgspec import Struct

from mainstem import Context, IntegrationEvent, Retry, Service, Store, Timer
from mainstem.resilience import Backoff
from mainstem.service import HandlerGroup
from tests.crash.logfile import DATABASE

PARTITIONS: Final = 3
QUIET_MS: Final = 120
AGAIN_MS: Final = 60


class Step(IntegrationEvent, topic="steps", key="key"):
    key: str
    producer: str
    number: int


class Tallied(IntegrationEvent, topic="tallied", key="key"):
    """A step was counted. ``due_ms`` is when the timer it has set is due; 0: it has cancelled the timer."""

    key: str
    producer: str
    number: int
    count: int
    due_ms: int


class Quiet(IntegrationEvent, topic="quiet", key="key"):
    """The timer set by the step with this count has fired."""

    key: str
    count: int
    due_ms: int
    fired_ms: int


class Stamped(IntegrationEvent, topic="stamped", key="key"):
    key: str
    count: int
    seen: int


class Mended(IntegrationEvent, topic="mended", key="key"):
    """A step that may have failed before was handled. ``due_ms`` is that of the timer it has set; 0: none."""

    key: str
    producer: str
    number: int
    count: int
    due_ms: int


class Checked(IntegrationEvent, topic="checked", key="key"):
    """The timer of a mended step has fired; its handler fails the first time."""

    key: str
    due_ms: int


class Begun(IntegrationEvent, topic="stages", key="key"):
    key: str
    producer: str
    number: int
    begun: int


class Finished(IntegrationEvent, topic="stages", key="key"):
    key: str
    producer: str
    number: int
    finished: int


class Doomed(IntegrationEvent, topic="doomed", key="key"):
    """Goes to a topic that is deleted behind the service's back."""

    key: str


class Tally(Struct):
    """How many steps of a key were handled, and a hash over which, in which order."""

    count: int = 0
    chain: str = ""
    due_ms: int = 0

    def after(self, step: Step, due_ms: int = 0) -> "Tally":
        """One step more."""
        text = f"{self.chain}{step.producer}:{step.number}"
        return Tally(self.count + 1, blake2b(text.encode(), digest_size=8).hexdigest(), due_ms)


class Stage(Struct):
    """How many steps were begun and finished, and which one is under way."""

    begun: int = 0
    finished: int = 0
    open: str = ""


class Transient(Exception):
    """Goes away after a few tries."""


class Broken(Exception):
    """Goes away when somebody mends it."""


class Ground:
    """The folder in which a test lies: the database, and files by which the test tells the handlers what to do.

    While ``mended`` is not there, some events cannot be handled. While ``gate-KEY`` is there, steps of this key wait.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def database(self) -> Path:
        """The file of the broker."""
        return self.folder / DATABASE

    @property
    def mended(self) -> bool:
        """Whether what was broken has been mended."""
        return (self.folder / "mended").exists()

    async def pass_gate(self, key: str) -> None:
        """Wait while the gate of a key is closed."""
        gate = self.folder / f"gate-{key}"
        while gate.exists():  # noqa: ASYNC110 - a file, in the hands of another process
            await asyncio.sleep(0.01)


_PATIENT = (
    Retry.on(Transient)
    .inline(1, Backoff(first_seconds=0.005, longest_seconds=0.01))
    .later("20ms", "40ms", "80ms", "160ms")
    .also_on(Broken)
    .later("50ms")
)


def services(ground: Ground) -> list[Service]:
    """All services, as every worker runs them."""
    return [_ledger(ground), _fragile(ground)]


def _waits_seconds(step: Step) -> float:
    """Half of the steps do not wait; the others wait for up to six milliseconds, and so overtake one another."""
    return 0.0 if step.number % 2 else 0.0015 * (step.number * 7 % 5)


def _ledger(ground: Ground) -> Service:
    service = Service("ledger", lanes=16)
    for topic in ("steps", "tallied", "quiet", "stamped"):
        service.topic(topic, partitions=PARTITIONS)
    tallies = service.store("tallies", Tally)

    @service.on(Step, publishes=(Tallied, Doomed))
    async def tally(step: Step, context: Context) -> None:
        await asyncio.sleep(_waits_seconds(step))
        await ground.pass_gate(step.key)
        before = context.get(tallies) or Tally()
        due = 0
        if step.number % 10 == 3:
            context.cancel("quiet")
        else:
            due = context.now_ms + QUIET_MS
            context.wake("quiet", at=due)
        after = before.after(step, due)
        context.put(tallies, after)
        context.publish(Tallied(step.key, step.producer, step.number, after.count, due))
        if step.key.startswith("doomed"):
            context.publish(Doomed(step.key))

    @service.on_timer("quiet")
    async def quiet(timer: Timer, context: Context) -> Quiet:
        now = context.get(tallies) or Tally()
        assert context.key is not None
        return Quiet(context.key.decode(), now.count, timer.due_ms, context.now_ms)

    _stamps(service.group("stamps", lanes=8))
    return service


def _stamps(group: HandlerGroup) -> None:
    stamps = group.store("stamps", int)

    @group.on(Tallied)
    def stamp(tallied: Tallied, context: Context) -> Stamped:
        seen = context.get(stamps, 0) + 1
        context.put(stamps, seen)
        return Stamped(tallied.key, tallied.count, seen)


def _fragile(ground: Ground) -> Service:
    service = Service("fragile", lanes=16)
    for topic in ("mended", "checked", "stages"):
        service.topic(topic, partitions=PARTITIONS)
    mended = service.store("mended", Tally)

    @service.on(Step, retry=_PATIENT)
    async def mend(step: Step, context: Context) -> Mended:
        before = context.get(mended) or Tally()
        after = before.after(step, before.due_ms)
        if fails(step, context.attempt, ground):
            # What a handler did before it failed must leave no trace.
            context.put(mended, Tally(-1_000))
            context.publish(Mended(step.key, step.producer, -1, -1, 0))
            raise Broken(step.number) if step.number % 100 == 99 else Transient(step.number)
        await asyncio.sleep(_waits_seconds(step))
        due = 0
        if after.count % 5 == 0:
            # No two settings of a key are for the same moment, so that their firings can be told apart.
            due = after.due_ms = max(context.now_ms + AGAIN_MS, before.due_ms + 1)
            context.wake("check", at=due)
        context.put(mended, after)
        return Mended(step.key, step.producer, step.number, after.count, due)

    @service.on_timer("check", retry=_PATIENT)
    async def check(timer: Timer, context: Context) -> Checked:
        if context.attempt < 3:
            raise Transient
        assert context.key is not None
        return Checked(context.key.decode(), timer.due_ms)

    group = service.group("stages", lanes=8)
    _stages(group, group.store("stages", Stage))
    return service


def fails(step: Step, attempt: int, ground: Ground) -> bool:
    """Some steps fail twice, and a few until they are mended."""
    if step.number % 100 == 99:
        return not ground.mended
    return step.number % 29 == 7 and attempt < 3


def _stages(group: HandlerGroup, stages: Store[Stage]) -> None:
    @group.on(Step, retry=_PATIENT, publishes=(Begun, Finished))
    async def stage(step: Step, context: Context) -> None:
        name = f"{step.producer}:{step.number}"
        now = context.get(stages) or Stage()
        if now.open != name:
            now = Stage(now.begun + 1, now.finished, name)
            context.put(stages, now)
            context.publish(Begun(step.key, step.producer, step.number, now.begun))
            await context.checkpoint()
        if step.number % 17 == 5 and context.attempt == 1:
            raise Transient
        await asyncio.sleep(_waits_seconds(step))
        context.put(stages, Stage(now.begun, now.finished + 1, ""))
        context.publish(Finished(step.key, step.producer, step.number, now.finished + 1))
