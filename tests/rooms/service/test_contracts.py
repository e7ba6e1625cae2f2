"""How the contracts of a group stand: when it was seen last, and whether they were retired."""

import pytest

from mainstem import running
from mainstem.broker import Record, TopicPartition
from mainstem.clock import ManualClock
from mainstem.service import (
    CATALOGUE,
    ContractRetirement,
    forget_group,
    read_catalogue,
    read_standings,
    retire_contracts,
)
from mainstem.service.contracts import say_seen, seen_now_and_then
from tests.journeys.conditions import until
from tests.rooms.service.events import embedded
from tests.rooms.service.test_catalogue import loyalty

GONE = ContractRetirement(1, "ada", "it is gone")


async def test_one_process_of_many_says_that_a_group_runs() -> None:
    """Whoever finds it written down lately writes nothing; nobody writes at each event."""
    clock = ManualClock()
    async with embedded() as broker:
        async with running(loyalty(), broker=broker, dev=True):
            pass
        for seconds, seen in ((0, 0), (600, 0), (3_000, 3_600_000)):
            clock.advance(seconds)
            await say_seen(broker, ["loyalty"], clock, every_seconds=3_600)
            begun = ManualClock().now_ms()
            assert (await read_standings(broker))["loyalty"].seen_ms == begun + seen
        assert [each.group for each in await read_catalogue(broker)] == ["loyalty", "loyalty.mailer"]


async def test_a_group_that_runs_goes_on_saying_so() -> None:
    """As long as the process is there."""
    clock = ManualClock()
    async with embedded() as broker:
        async with running(loyalty(), broker=broker, dev=True):
            pass
        async with seen_now_and_then(broker, ["loyalty"], clock, 0.001):

            async def said() -> bool:
                return "loyalty" in await read_standings(broker)

            await until(said)


async def test_contracts_come_back_with_the_service(caplog: pytest.LogCaptureFixture) -> None:
    """A start lets them count again, and says who had retired them."""
    async with embedded() as broker:
        async with running(loyalty(), broker=broker, dev=True):
            pass
        await retire_contracts(broker, ["loyalty"], GONE)
        assert (await read_standings(broker))["loyalty"].retired == GONE
        async with running(loyalty(), broker=broker, dev=True):
            pass
        assert (await read_standings(broker))["loyalty"].retired is None
    assert "the contracts of 'loyalty' count again: ada had retired them (it is gone)" in caplog.text


async def test_a_group_that_is_forgotten_leaves_no_standing() -> None:
    """Nor does a row that another version of the library has written otherwise keep anybody from reading."""
    async with embedded() as broker:
        async with running(loyalty(), broker=broker, dev=True):
            pass
        await retire_contracts(broker, ["loyalty", "loyalty.mailer"], GONE)
        await forget_group(broker, "loyalty", 2)
        strange = Record(b"other//contract", b'{"group":7}', 1)
        await broker.log.append(TopicPartition(CATALOGUE, 0), [strange])
        assert list(await read_standings(broker)) == ["loyalty.mailer"]
