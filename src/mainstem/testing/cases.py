"""One handler at a time: given what has happened, when this happens, then that must come of it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Self, TypeVar

from mainstem.calendar import Duration
from mainstem.delivery import Store
from mainstem.errors import DefinitionError, NotFound
from mainstem.service import Definition
from mainstem.testing.simulation import Place, run_simulation
from mainstem.testing.stage import simulate
from mainstem.testing.world import World

V = TypeVar("V")


def given(service: Definition, *events: object, replace: Mapping[type, object] | None = None) -> "Given":
    """A service to which these events have happened, in this order; what it has made of them is there.

    ``replace`` gives handlers something else in the place of what the service provides.
    """
    return Given(service, events, replace)


class Given:
    """What has happened. Made by :func:`given`."""

    def __init__(self, service: Definition, events: Sequence[object], replace: Mapping[type, object] | None) -> None:
        self._service = service
        self._events = tuple(events)
        self._replace = replace

    def when(self, *events: object, after: Duration | None = None) -> "When":
        """Let this happen, and then so much time go by, if any; in virtual time, on a broker in memory.

        What is not due by then, such as a timer or a later retry, is still to come. Raises what keeps the service from
        starting, and :class:`DefinitionError` inside a coroutine: it runs an event loop of its own.
        """
        if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public function raises, and says less
            raise DefinitionError(
                "given(...).when(...) is called inside a coroutine",
                why="it runs the service in an event loop of its own, and there is one already",
                remedy="write def test_..., not async def; or simulate(...), and await what you wait for",
            )
        return run_simulation(lambda: self._run(events, after))

    async def _run(self, events: Sequence[object], after: Duration | None) -> "When":
        async with simulate(self._service, replace=self._replace) as world:
            await world.publish(*self._events)
            await world.quiet()
            before = set(_facts(world))
            await world.publish(*events)
            await world.quiet()
            if after is not None:
                await world.advance(after)
            own = {place for step in world.trace.steps if step.what == "published" for place in step.places}
            published = [event for place, event in _facts(world).items() if place not in before | own]
            stored = {store.name: world.values(store) for plan in world.plans for store in plan.stores.values()}
            return When(published, stored, _failures(world))


class When:
    """What has come of it. Each of its methods raises ``AssertionError`` when it is something else."""

    def __init__(
        self, published: Sequence[object], stored: Mapping[str, Mapping[bytes, object]], failures: Sequence[str]
    ) -> None:
        self.published = list(published)
        """The events that the service has published since."""
        self.failures = list(failures)
        """What handlers have raised and not made good so far, also before: handler, type and text."""
        self._stored = stored

    def then(self, *events: object) -> Self:
        """The service has published exactly these, in whichever order; or nothing. And no handler has failed."""
        assert not self.failures, f"failed: {'; '.join(self.failures)}"
        missing, surplus = list(events), []
        for event in self.published:
            if event in missing:
                missing.remove(event)
            else:
                surplus.append(event)
        lines = [
            *(f"  was to be published, and was not: {each!r}" for each in missing),
            *(f"  was published, and not expected: {each!r}" for each in surplus),
        ]
        assert not lines, "\n".join(["what was published is not what was expected", *lines])
        return self

    def stores(self, store: Store[V], expected: Mapping[str, V]) -> Self:
        """The store holds these values by key, and no others."""
        if store.name not in self._stored:
            raise NotFound(f"no group of the service keeps the store {store.name!r}", remedy="name one of its own")
        found = {key.decode(): value for key, value in self._stored[store.name].items()}
        assert found == dict(expected), f"the store {store.name!r} holds {found!r}, and {dict(expected)!r} was expected"
        return self

    def fails(self, error: type[Exception] | str) -> Self:
        """A handler has raised this, whether it will be tried again or not: a type, or a part of what was said."""
        wanted = error if isinstance(error, str) else error.__name__
        assert any(wanted in each for each in self.failures), f"no {wanted}: failed has {self.failures or 'nothing'}"
        return self


def _failures(world: World) -> list[str]:
    """How the last run of each handler for each event has failed, where it has."""
    last: dict[tuple[str, tuple[Place, ...]], str] = {}
    for step in world.trace.steps:
        if step.what == "handler ends":
            handler, _, rest = step.about.partition(" ")
            last[handler, step.places] = f"{handler}, {raised}" if (raised := rest.partition(": raised ")[2]) else ""
    return [each for each in last.values() if each]


def _facts(world: World) -> dict[Place, object]:
    """Everything that the service may have published, by place."""
    kinds = {output.type: None for plan in world.plans for handler in plan.processors for output in handler.outputs}
    return {
        (fact.topic, fact.partition, fact.offset): fact.event for kind in kinds for fact in world.published(kind).facts
    }
