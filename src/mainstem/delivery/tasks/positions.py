"""Where an incarnation begins to read, and what was completed beyond that."""

from collections.abc import Mapping

from mainstem.broker import Log, Ownership, TopicPartition
from mainstem.delivery.ledger import Ledger
from mainstem.delivery.plan import Plan
from mainstem.delivery.roster import first_position
from mainstem.errors import BrokerError
from mainstem.state import TaskState


async def first_positions(
    plan: Plan, ownership: Ownership, log: Log, state: TaskState, topic_ids: Mapping[str, str]
) -> dict[TopicPartition, int]:
    """The positions committed last; where there is none yet, where the group is to start.

    Raises BrokerError where there has been one.
    """
    positions = dict(ownership.positions)
    for at in plan.inputs_of(ownership.task):
        if at not in positions:
            bounds = await log.bounds(at)
            late = plan.start == "latest" and at.topic != plan.inbox
            topic_id = topic_ids.get(at.topic, "")
            positions[at] = first_position(state, plan.group, at, topic_id, bounds, late=late)
    return {at: positions[at] for at in plan.inputs_of(ownership.task)}


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
