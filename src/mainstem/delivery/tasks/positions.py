"""Where an incarnation begins to read, and what was completed beyond that."""

from collections.abc import Mapping

from mainstem.broker import Broker, Ownership, TopicPartition
from mainstem.delivery.ledger import Ledger
from mainstem.delivery.plan import Plan
from mainstem.delivery.roster import first_position
from mainstem.errors import BrokerError, Fenced
from mainstem.state import TaskState


async def first_positions(
    plan: Plan, ownership: Ownership, broker: Broker, state: TaskState, topic_ids: Mapping[str, str]
) -> dict[TopicPartition, int]:
    """The positions committed last; where there is none yet, where the group is to start.

    Raises BrokerError where there has been one, and Fenced where that was a later owner's.
    """
    positions = dict(ownership.positions)
    for at in plan.inputs_of(ownership.task):
        if at not in positions:
            bounds = await broker.log.bounds(at)
            late = plan.start == "latest" and at.topic != plan.inbox
            topic_id = topic_ids.get(at.topic, "")
            try:
                positions[at] = first_position(state, plan.group, at, topic_id, bounds, late=late)
            except BrokerError:
                await _look_for_successor(broker, plan.group, ownership)
                raise
    return {at: positions[at] for at in plan.inputs_of(ownership.task)}


async def _look_for_successor(broker: Broker, group: str, ownership: Ownership) -> None:
    """The positions are as of the take-over and the stores as of now: whoever was replaced in between is told so."""
    described = (await broker.admin.groups([group])).get(group)
    if described is not None and described.epochs[ownership.task] > ownership.epoch:
        raise Fenced(
            f"task {ownership.task} of {group!r} has another owner",
            where=f"epoch {ownership.epoch}; it is {described.epochs[ownership.task]}",
            why="it was taken over before its stores were read here",
            remedy="nothing: the new owner goes on from the last commit",
        )


async def restore(ledger: Ledger, ownership: Ownership, positions: Mapping[TopicPartition, int]) -> None:
    """Read what an earlier owner had completed beyond ``positions``. Raises BrokerError when they disagree."""
    try:
        ledger.restore(positions)
    except BrokerError:
        # The positions are as of the take-over and the stores as of now, so that what was replaced in between reads
        # what does not fit: then this commit, which changes nothing, says so.
        transaction = ownership.transaction()
        transaction.positions(positions)
        await transaction.commit()
        raise
