"""What shows that a task has too much to do, as it is told to whoever looks."""

from mainstem.clock import Clock
from mainstem.delivery.guards import GivingWay
from mainstem.delivery.lanes import Lanes, Work
from mainstem.delivery.ledger import HotKey, Strain
from mainstem.delivery.measures import HotKeys
from mainstem.delivery.works import BatchWork, BrokenWork, EventWork, SievedWork, SpoiltWork


def made_ms(work: Work | None) -> int | None:
    """When the event was made that a work is for; None where it is for none."""
    if isinstance(work, EventWork | SievedWork):
        return work.intake.batch.timestamps[work.index]
    if isinstance(work, BatchWork):
        return work.intake.batch.timestamps[work.events[0][0]]
    return None


def is_input(work: Work) -> bool:
    """Whether a work was read from an input; timers, retries and commands were not."""
    return isinstance(work, EventWork | SievedWork | BrokenWork | BatchWork | SpoiltWork)


def strain_of(giving_way: GivingWay, hot: HotKeys, lanes: Lanes, clock: Clock) -> Strain:
    """How it is now."""
    hottest = hot.hottest()
    if hottest is None:
        return Strain(giving_way.standing)
    key, share = hottest
    works = lanes.queued(key)
    since_ms = made_ms(works[0] if works else None)
    wait_ms = 0 if since_ms is None else max(0, clock.now_ms() - since_ms)
    return Strain(giving_way.standing, HotKey(key.decode(errors="replace"), round(share, 3), len(works), wait_ms))
