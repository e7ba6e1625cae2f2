"""A simulation from its beginning to its end: who plays, what goes wrong, and the world around them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from mainstem.broker import TopicSpec
from mainstem.errors import DefinitionError
from mainstem.service import Definition
from mainstem.settings import Settings
from mainstem.testing.faults import Arsenal, Fault, Incident
from mainstem.testing.simulation import AUDIT, Cast, Process, Scene, SimulationLoop, Worker
from mainstem.testing.world import World


@dataclass(frozen=True, slots=True)
class Script:
    """What happens in one run, as far as it is not left to the seed.

    Of the faults, the ``incidents`` happen; with None, those that chance lets happen. Of what the test does, what is
    ``left_out`` is not done. When it is ``calm``, everything takes as long as everything else.
    """

    incidents: tuple[Incident, ...] | None = None
    left_out: frozenset[int] = frozenset()
    workers: int = 1
    calm: bool = False


@asynccontextmanager
async def simulate(
    *services: Definition,
    replace: Mapping[type, object] | None = None,
    faults: Iterable[Fault] = (),
    workers: int = 1,
    settings: Settings | None = None,
    seed: int | None = None,
) -> AsyncIterator[World]:
    """Run services in virtual time, on an embedded broker in memory, until the block ends.

    ``workers`` processes run all of them, as ``mainstem run --workers`` does. ``replace`` gives handlers something else
    in the place of what the services provide. ``faults`` go wrong where they say. The same ``seed`` (that of the loop,
    unless given) gives the same run. It needs a :class:`SimulationLoop`: see :func:`simulated`.
    """
    cast = Cast(services, dict(replace or {}), settings or Settings())
    seed = _loop().seed if seed is None else seed
    async with staged(cast, armed(faults, seed), Script(workers=workers), seed) as world:
        yield world


def armed(faults: Iterable[Fault], seed: int, script: Sequence[Incident] | None = None) -> Arsenal:
    """Faults that happen as chance has it; or what stands in a script of incidents.

    It is a chance of their own: when fewer things go wrong, nothing else is to happen otherwise for that.
    """
    return Arsenal(tuple(faults), Random(f"{seed} faults"), script)  # noqa: S311 - seeded


@asynccontextmanager
async def staged(cast: Cast, arsenal: Arsenal, script: Script, seed: int) -> AsyncIterator[World]:
    """Play a script."""
    loop = _loop()
    check_replaced(cast.services, cast.replaced)
    scene = Scene(cast, loop, Random(seed), arsenal)  # noqa: S311 - chance that can be repeated is the point
    scene.machine.calm = script.calm
    loop.traces.append(scene.trace)
    scene.workers += [Worker(number, scene) for number in range(script.workers)]
    broker = scene.broker(Process("test"), "test")
    with scene.havoc.in_place(cast.services, cast.replaced):
        try:
            await broker.open()
            if cast.audited:
                await broker.admin.create(TopicSpec(AUDIT.topic, partitions=1))
            world = World(scene, broker, Random(f"{seed} world"), script.left_out)  # noqa: S311 - seeded
            for worker in scene.workers:
                worker.start()
            await asyncio.gather(*(worker.started for worker in scene.workers))
            yield world
            world.complain()
            scene.end()
            await asyncio.gather(*(worker.stop() for worker in scene.workers))
        finally:
            loop.at_rest, loop.waiting = None, loop.tasks_waiting
            scene.end()
            scene.trace.closed = True
            for chore in scene.chores:
                chore.cancel()
            for worker in scene.workers:
                await worker.sweep()
            await broker.close()
            scene.machine.close()


def _loop() -> SimulationLoop:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SimulationLoop):
        raise DefinitionError(
            f"a simulation needs an event loop in virtual time, and this is a {type(loop).__name__}",
            why="a real loop waits in real time",
            remedy="put @simulated above the test, or call run_simulation(scenario)",
        )
    return loop


def check_replaced(services: Iterable[Definition], replaced: Mapping[type, object]) -> None:
    """Refuse to replace what nobody provides."""
    provided = {kind for service in services for kind in service.provided}
    for kind in replaced.keys() - provided:
        raise DefinitionError(
            f"a {kind.__name__} is to be replaced, and none of the services provides one",
            why=f"they provide {', '.join(sorted(each.__name__ for each in provided)) or 'nothing'}",
            remedy="replace={...} is by the type that service.provide() names",
        )
