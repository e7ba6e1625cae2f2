"""Where a task begins that finds no position, which is never a guess."""

import logging

import pytest

from mainstem.broker import Change, TopicPartition, TopicSpec, completed_key
from mainstem.delivery.plan import INPUTS_STORE
from mainstem.delivery.roster import first_position
from mainstem.errors import BrokerError
from mainstem.state import FoldedRows, TaskState
from tests.rooms.delivery.stage import GROUP, Paid, staged
from tests.rooms.delivery.test_tasks import telling

ORDERS = TopicPartition("orders", 0)


def begun(read: str | None, *, late: bool = False) -> int:
    """Where a task begins in a topic of the id "now" with the offsets 3 to 9, of whose name it has read ``read``."""
    rows = [] if read is None else [Change(INPUTS_STORE, completed_key(ORDERS), read.encode())]
    return first_position(TaskState(FoldedRows(rows)), "shop", ORDERS, "now", (3, 9), late=late)


@pytest.mark.parametrize(("read", "late", "offset"), [(None, False, 3), (None, True, 9), ("before", True, 3)])
def test_a_beginning_follows_from_what_was_read(read: str | None, offset: int, *, late: bool) -> None:
    """New to the name, where the group is to begin; in a topic that has been made again, at its first event."""
    assert begun(read, late=late) == offset


def test_a_position_that_is_gone_is_no_beginning() -> None:
    """Whoever has read this very topic has had a position there: it is missed, and the command named."""
    with pytest.raises(BrokerError, match="is gone") as refused:
        begun("now")
    assert "mainstem groups reset shop --to orders/0=OFFSET" in refused.value.remedy


@pytest.mark.parametrize("start", ["earliest", "latest"])
async def test_it_is_told_when_a_topic_has_been_made_again(start: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its group reads it from its first event, and says so once."""
    async with staged() as stage:
        await stage.run(telling("h"), start=start)
        await stage.broker.admin.delete("orders")
        await stage.broker.admin.create(TopicSpec("orders", 1))
        await stage.publish(Paid("a", 2))
        with caplog.at_level(logging.WARNING, logger="mainstem"):
            await stage.run(telling("h"), start=start)
            await stage.run(telling("h"), start=start)
        assert await stage.told() == ["h 2"]
        [said] = [each for each in caplog.messages if "deleted and created again" in each]
        assert said.startswith(f"group {GROUP!r}: orders[0] was")
