"""A service with all that may delay, repeat or withhold an event: ``python -m tests.kafka.failures.odds worker ...``.

Each handler leaves an output for each event, counted through: anybody can tell what was done, and in which order.
"""

from mainstem import Context, Deduplicate, IntegrationEvent, Limit, Retry, Service, Timer
from mainstem.resilience import TokenBucket
from tests.crash.services import PARTITIONS, Broken, Ground, Step, Transient
from tests.crash.workload import main
from tests.kafka.failures import probes
from tests.kafka.failures.workload import KafkaProcess

NAME = "odds"


class Done(IntegrationEvent, topic="odd-done", key="key"):
    """A handler has handled a step."""

    key: str
    handler: str
    producer: str
    number: int
    count: int


class Late(IntegrationEvent, topic="odd-late", key="key"):
    """A step is told of some time after it was handled."""

    key: str
    producer: str
    number: int


class Rung(IntegrationEvent, topic="odd-rung", key="key"):
    """A timer has fired, at once or when it has waited; by then so many steps were handled."""

    key: str
    count: int
    due_ms: int


class Tick(IntegrationEvent, topic="odd-ticks", key="name"):
    name: str
    due_ms: int


class Away(Exception):
    """What is needed comes back when there is no file ``away`` any more."""


class Worthless(Exception):
    """Nobody wants the event."""


def is_worthless(number: int) -> bool:
    """Whether the step of this number is given up, and told of nowhere."""
    return number % 41 == 11


class Counts:
    """How many steps of a key each handler has handled."""

    def __init__(self, service: Service) -> None:
        names = ("steady", "pausing", "fragile", "limited", "later")
        self._stores = {name: service.store(name, int) for name in names}

    def of(self, name: str, context: Context) -> int:
        """So many, for the key of this event."""
        return context.get(self._stores[name], 0)

    def done(self, name: str, step: Step, context: Context) -> Done:
        """One more."""
        count = self.of(name, context) + 1
        context.put(self._stores[name], count)
        return Done(step.key, name, step.producer, step.number, count)


def odds(ground: Ground) -> Service:
    """The service."""
    service = Service(NAME, lanes=16)
    for topic in ("steps", "odd-done", "odd-late", "odd-rung", "odd-ticks"):
        service.topic(topic, partitions=PARTITIONS)
    counts = Counts(service)
    _holds_back(service, counts)
    _fails(service, counts, ground)
    _waits(service, counts)
    return service


def _holds_back(service: Service, counts: Counts) -> None:
    @service.on(Step, deduplicate=Deduplicate("1d", by=("producer", "number")))
    async def steady(step: Step, context: Context) -> Done:
        return counts.done("steady", step, context)

    @service.on(Step, limit=Limit(TokenBucket(limit=20, period_ms=500)))
    async def limited(step: Step, context: Context) -> Done:
        return counts.done("limited", step, context)


def _fails(service: Service, counts: Counts, ground: Ground) -> None:
    @service.on(Step, retry=Retry.on(Away).pause("40ms"))
    async def pausing(step: Step, context: Context) -> Done:
        if step.number % 23 == 5 and (ground.folder / "away").exists():
            raise Away
        return counts.done("pausing", step, context)

    @service.on(
        Step,
        retry=Retry.on(Transient).inline(1).later("20ms", "40ms", "80ms")
        .also_on(Broken).later("40ms").dead_letter()
        .also_on(Worthless).discard("worthless"),
    )  # fmt: skip
    async def fragile(step: Step, context: Context) -> Done:
        found = counts.done("fragile", step, context)
        if is_worthless(step.number):
            raise Worthless
        if step.number % 29 == 7 and context.attempt < 3:
            raise Transient
        if step.number % 50 == 49 and not ground.mended:
            raise Broken
        return found


def _waits(service: Service, counts: Counts) -> None:
    @service.on(Step, publishes=(Late,))
    async def later(step: Step, context: Context) -> Done:
        context.publish_later(Late(step.key, step.producer, step.number), after="80ms")
        context.wake("ring", after="120ms")
        return counts.done("later", step, context)

    @service.on_timer("ring")
    async def ring(timer: Timer, context: Context) -> Rung:
        return Rung((timer.key or b"").decode(), counts.of("later", context), timer.due_ms)

    @service.schedule("* * * * *", missed="all")
    async def every_minute(timer: Timer) -> Tick:
        return Tick(NAME, timer.due_ms)


class OddProcess(KafkaProcess):
    """The roles of the crash tests, for this service."""

    fragile = NAME

    def services(self) -> list[Service]:
        """This one alone."""
        return [odds(self.ground)]

    def again(self, steps: list[Step]) -> list[Step]:
        """Some steps are published by somebody who is not sure that he has done so already."""
        return [step for step in steps if self.random.random() < 0.1]


if __name__ == "__main__":
    main(OddProcess, probes.install)
