"""A service on its way up: it can publish, has what its handlers ask for, and runners for its groups."""

from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace as with_changes
from functools import partial

from msgspec.structs import replace

from mainstem.delivery import Environment, GroupRunner, Plan, RightOfWay, enter_handlers
from mainstem.service.definition import Definition, HandlerGroup, Reach, Safekeeping, reaching
from mainstem.service.plans import Draft, outputs_of, plan_of, tasks_of
from mainstem.service.providing import call_hook, open_provided
from mainstem.service.publishing import Publisher
from mainstem.service.runtime.crew import Crew
from mainstem.service.runtime.floor import Floor
from mainstem.service.runtime.process import Running
from mainstem.settings import Settings
from mainstem.telemetry import log


class Launch:
    """One service of the process, on its way up."""

    def __init__(self, service: Definition, drafted: Draft, process: Running, settings: Settings) -> None:
        self._service = service
        self._drafted = drafted
        self._process = process
        self._outputs = outputs_of(service, drafted)
        self._provided: Mapping[type[object], object] = {}
        self._right_of_way = RightOfWay({group.name: group.gives_way_ms for group in service.groups})
        grace = service.grace_seconds
        self._settings = settings if grace is None else replace(settings, grace_seconds=grace)

    def publish_with(self, floor: Floor, stack: AsyncExitStack) -> None:
        """Let the service publish from outside."""
        service = self._service
        publisher = Publisher(service.name, self._outputs, self._process.broker.log, floor.clock, floor.identifiers)
        stack.push_async_callback(publisher.close)
        reach = Reach(publisher, self._process.broker, self._settings, self._safekeeping())
        stack.enter_context(reaching(service, reach))

    def _safekeeping(self) -> Safekeeping | None:
        """The group that keeps what is to be published later: the first one with handlers and a memory.

        Nobody records which one it was: when another comes first, what waits is published, and not found any more.
        """
        for group in self._service.groups:
            if group.registered and group.delivery == "exactly_once":
                return Safekeeping(group.name, tasks_of(group, self._drafted))
        return None

    async def provide(self, replaced: Mapping[type[object], object], stack: AsyncExitStack) -> None:
        """Open what handlers ask for, and run the hooks."""
        service = self._service
        self._provided = await open_provided(service, replaced, stack)
        for hook in service.startup:
            await call_hook(hook, self._provided)
        for hook in reversed(service.shutdown):
            stack.push_async_callback(call_hook, hook, self._provided)

    def man(self, group: HandlerGroup, floor: Floor, crew: Crew, stack: AsyncExitStack) -> None:
        """Make the runner of a group."""
        plan = plan_of(self._service, group, self._outputs, self._drafted, self._provided)
        if floor.around is not None:
            plan = with_changes(plan, processors=tuple(floor.around(plan.group, each) for each in plan.processors))
        self._process.plans.append(plan)
        if not plan.processors:
            return
        executor = _executor(plan, stack) if floor.threads else None
        broker = self._process.broker
        environment = Environment(
            broker,
            floor.clock,
            floor.chance,
            self._settings,
            executor,
            floor.point,
            floor.later,
            self._process.outage,
            self._right_of_way,
            self._process.writers,
        )
        runner = GroupRunner(plan, partial(broker.rows, plan.group), environment)
        self._process.runners[plan.group] = runner
        crew.runners.append(runner)
        log.info("group %r of service %r: %d tasks, %d lanes", plan.group, plan.service, plan.tasks, plan.lanes)


def _executor(plan: Plan, stack: AsyncExitStack) -> Executor | None:
    """Threads for plain functions, as many as lanes; made when they are used."""
    if not any(each.plain for each in plan.processors):
        return None
    threads = ThreadPoolExecutor(plan.lanes, thread_name_prefix=plan.group, initializer=enter_handlers)
    stack.callback(threads.shutdown, wait=False, cancel_futures=True)
    return threads
