"""What one incarnation of a task works with: its books, its handlers, and all that stands around a run of them."""

from msgspec.structs import replace

from mainstem.delivery.caches import WRITE, WRITER, TaskCache
from mainstem.delivery.context import Effects, Footing, Incarnation, Run, Stamps, Surroundings, Through
from mainstem.delivery.desk import Desk, Handler
from mainstem.delivery.failures import Audit, Checkpoints, Parking
from mainstem.delivery.gates import Doubles, Limits
from mainstem.delivery.guards import Breakers, GivingWay, HeldSequences, Notices, Pauses, Shared
from mainstem.delivery.ledger import Ledger
from mainstem.delivery.measures import Counted, Watch
from mainstem.delivery.plan import Plan, may_use, no_checkpoint
from mainstem.delivery.processor import Processor
from mainstem.delivery.schedules import LaterDecisions, is_schedule
from mainstem.delivery.tasks.environment import Environment
from mainstem.identifiers import Derivation


def fit_out(
    plan: Plan,
    task: int,
    environment: Environment,
    incarnation: Incarnation,
    ledger: Ledger,
    guards: tuple[Pauses, Breakers],
) -> Desk:
    """The desk of a task, with its handlers."""
    pauses, breakers = guards
    clock, checkpoints = environment.clock, Checkpoints(ledger.state)
    counted = Counted(plan.group)
    ledger.counters = counted.counters
    stamps = None if plan.at_least_once else Stamps(clock)
    handlers = _handlers(plan, environment, incarnation, ledger, checkpoints, stamps)
    return Desk(
        group=plan.group,
        task=task,
        incarnation=incarnation,
        ledger=ledger,
        counted=counted,
        parking=Parking(ledger.state),
        checkpoints=checkpoints,
        doubles=Doubles(ledger, clock),
        limits=Limits(ledger, clock, plan.tasks),
        audit=Audit(plan.group, task),
        later=LaterDecisions(ledger.state, stamps, plan.schedules_of(task)),
        clock=clock,
        chance=environment.chance.random,
        handlers=handlers,
        by_timer={timer: handlers[each.name] for timer, each in plan.timers().items()},
        pauses=pauses,
        breakers=breakers,
        parties=plan.parties(),
        giving_way=GivingWay(incarnation.name, clock, environment.chance.random, plan.giving_way),
        parks=not plan.at_least_once,
    )


def stand_guard(desk: Desk, notices: Notices) -> None:
    """Let breakers go on as an earlier owner has left them, and tell from now on what holds the task up."""
    shared = Shared(
        task=desk.incarnation.name,
        group=desk.group,
        clock=desk.clock,
        pauses=desk.pauses,
        notices=notices,
        held=HeldSequences(desk.ledger.state, desk.parking),
        absorb=desk.ledger.absorb,
        free=desk.breakers.free,
        changed=desk.breakers.changed,
        uneasy=desk.breakers.look,
        keeps=desk.parks,
    )
    desk.ledger.on_parked = desk.breakers.parked
    desk.ledger.last_rows = desk.breakers.rows
    desk.breakers.begin(shared, desk.ledger.state)
    if desk.parks:
        notices.begin(desk.ledger.state, desk.ledger.absorb)


def _handlers(
    plan: Plan,
    environment: Environment,
    incarnation: Incarnation,
    ledger: Ledger,
    checkpoints: Checkpoints,
    stamps: Stamps | None,
) -> dict[str, Handler]:
    async def checkpoint(run: Run, caused: int, effects: Effects, through: list[Through]) -> None:
        incarnation.check()
        if plan.at_least_once:
            raise no_checkpoint(plan)
        checkpoints.write(run, caused, effects, through)
        ledger.absorb(effects)
        await ledger.committed()

    clock = environment.clock
    bare = {each.topic: each for processor in plan.processors for each in processor.inputs if not each.envelope}
    replaying = environment.later is not None
    caches = {name: TaskCache(bound, WRITE + name, name + WRITER, ledger) for name, bound in plan.caches.items()}
    surroundings = Surroundings(
        ledger.state, plan.outputs, clock, plan.stores, checkpoint, stamps, bare, replaying, caches
    )
    timer_names = frozenset(name for name in plan.timers() if not is_schedule(name))
    return {
        each.name: Handler(
            each,
            Footing(
                each.name,
                Derivation(plan.service, plan.group, each.name),
                incarnation,
                _lent(surroundings, each),
                timer_names,
                batch=each.batch,
            ),
            environment.executor,
            Watch(plan.group, each.name, clock),
        )
        for each in plan.processors
    }


def _lent(surroundings: Surroundings, processor: Processor) -> Surroundings:
    """What a task lends one of its handlers: its outputs, and the stores that it may use."""
    outputs = surroundings.outputs.latest([each.type for each in processor.latest], processor.name)
    stores = {name: store for name, store in surroundings.stores.items() if may_use(processor, name)}
    return replace(surroundings, outputs=outputs, stores=stores)
