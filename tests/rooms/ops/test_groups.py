"""Groups: what is shown of them, and moving their positions."""

import asyncio

import pytest

from mainstem import Service
from mainstem.errors import Outdated
from tests.journeys.conditions import until
from tests.rooms.ops.conftest import SHOP, Shell
from tests.rooms.ops.shop import OrderPaid, loyalty

LOYALTY = f"{SHOP}:loyalty"


@pytest.fixture
def handled(shell: Shell) -> Shell:
    """The loyalty service has handled three orders of two customers, and is not running."""

    async def handle() -> None:
        async with shell.running(loyalty) as process:
            await loyalty.publish(OrderPaid("c-1", 1), OrderPaid("c-2", 2), OrderPaid("c-1", 3))

            async def done() -> bool:
                tasks = await process.statistics()
                return sum(each.counters.handled for each in tasks) == 3 and not sum(each.lag for each in tasks)

            await until(done)

    asyncio.run(handle())
    return shell


def positions(shell: Shell, topic: str = "orders") -> dict[int, int]:
    """Where the group stands, by partition."""
    [group] = shell.json("groups", "show", "loyalty")
    return {
        at["partition"]: at["position"] for task in group["tasks"] for at in task["positions"] if at["topic"] == topic
    }


def test_a_group_is_shown_with_positions_and_lag(handled: Shell) -> None:
    """What has been handled is no lag; what was published since is."""
    [group] = handled.json("groups", "list")
    assert (group["group"], group["service"], group["members"], group["lag"]) == ("loyalty", "loyalty", [], 0)
    handled("publish", LOYALTY, "OrderPaid", '{"customer_id": "c-1", "amount_cents": 5}')
    [group] = handled.json("groups", "show", "loyalty")
    assert group["lag"] == 1
    assert sum(positions(handled).values()) == 3
    text = handled("groups", "show", "loyalty").stdout
    assert "loyalty of service loyalty: 0 members, lag 1" in text
    assert "orders/1" in text
    assert "loyalty.inbox/1" in text
    assert "loyalty" in handled("groups", "list").stdout


def test_the_members_and_owners_of_a_running_group_are_shown(handled: Shell) -> None:
    """While somebody runs it, each task has an owner, and its positions cannot be moved."""

    async def look() -> None:
        async with handled.running(loyalty) as process:
            await until(lambda: len(process.runners["loyalty"].tasks) == 2)
            shown = await handled.beside("groups", "show", "loyalty", "--json")
            refused = await handled.beside("groups", "reset", "loyalty", "--to", "earliest", "--yes")
        assert shown.stdout.count('"owner": null') == 0
        assert refused.exit_code == 1
        assert "has live members" in refused.stderr

    asyncio.run(look())
    assert sum(positions(handled).values()) == 3


def test_a_reset_is_a_plan_until_it_is_confirmed(handled: Shell) -> None:
    """Without --yes nothing moves; with it, every input moves, the inbox left aside, and older owners are fenced."""
    [plan] = handled.json("groups", "reset", "loyalty", "--to", "earliest")
    assert (plan["done"], len(plan["moves"])) == (False, 2)
    assert "Nothing was done; --yes does it." in handled("groups", "reset", "loyalty", "--to", "earliest").stdout
    assert sum(positions(handled).values()) == 3
    [before] = handled.json("groups", "show", "loyalty")
    [done] = handled.json("groups", "reset", "loyalty", "--to", "earliest", "--yes")
    assert done == {**plan, "done": True}
    assert positions(handled) == {0: 0, 1: 0}
    [after] = handled.json("groups", "show", "loyalty")
    epochs = [[task["epoch"] for task in group["tasks"]] for group in (before, after)]
    assert all(later > earlier for earlier, later in zip(*epochs, strict=True))


def test_what_was_reset_is_handled_again(handled: Shell) -> None:
    """After a reset to the beginning, the group reads everything once more."""
    handled("groups", "reset", "loyalty", "--to", "earliest", "--yes")

    async def again() -> None:
        async with handled.running(loyalty) as process:

            async def done() -> bool:
                return sum(each.counters.handled for each in await process.statistics()) == 3

            await until(done)

    asyncio.run(again())


def test_positions_are_named_one_by_one_or_by_time(handled: Shell) -> None:
    """A partition can be named with its offset, several of them, a time for all, and one input alone."""
    moved = handled.json("groups", "reset", "loyalty", "--to", "orders/0=0", "--yes")[0]["moves"]
    assert [(move["partition"], move["after"]) for move in moved] == [(0, 0)]
    handled("groups", "reset", "loyalty", "--to", "1h", "--yes")
    assert positions(handled) == {0: 0, 1: 0}
    handled("groups", "reset", "loyalty", "--to", "latest", "--topic", "orders", "--yes")
    assert sum(positions(handled).values()) == 3
    handled("groups", "reset", "loyalty", "--to", "latest", "--topic", "elsewhere", "--yes")
    assert sum(positions(handled).values()) == 3
    handled("groups", "reset", "loyalty", "--to", "loyalty.inbox/0=0", "--yes")
    assert positions(handled, "loyalty.inbox") == {0: 0, 1: 0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("loyality", "--to", "latest"), "did you mean loyalty?"),
        (("loyalty", "--to", "7"), "'7' says no position"),
        (("loyalty", "--to", "orders/x=7"), "says no position"),
        (("loyalty", "--to", "orders/9=0"), "orders/9 is no input of 'loyalty'"),
        (("loyalty", "--to", "orders/0=99"), "offset 99 is not in orders/0"),
        (("loyalty", "--to", "sometime"), "is no point in a topic"),
    ],
)
def test_a_position_that_is_not_there_is_refused(arguments: tuple[str, ...], said: str, handled: Shell) -> None:
    """A wrong group, input, offset or point is refused, and nothing moves."""
    result = handled("groups", "reset", *arguments, "--yes")
    assert result.exit_code == 1
    assert said in result.stderr
    assert sum(positions(handled).values()) == 3


def test_a_deleted_group_starts_anew(handled: Shell) -> None:
    """Once confirmed, positions and stores are forgotten, and everything is handled again by a group of that name."""
    [plan] = handled.json("groups", "delete", "loyalty")
    assert plan == {"group": "loyalty", "tasks": 2, "lag": 0, "done": False}
    assert len(handled.json("groups", "list")) == 1
    assert [entry["group"] for entry in handled.json("services")] == ["loyalty"]
    assert "deleted." in handled("groups", "delete", "loyalty", "--yes").stdout
    assert handled.json("groups", "list") == handled.json("services") == []
    assert handled("groups", "delete", "loyalty", "--yes").exit_code == 1
    assert "orders" in [topic["name"] for topic in handled.json("topics", "list")]

    async def anew() -> None:
        async with handled.running(loyalty) as process:

            async def done() -> bool:
                return sum(each.counters.handled for each in await process.statistics()) == 3

            await until(done)

    asyncio.run(anew())


def test_what_only_the_catalogue_knows_can_be_deleted(shell: Shell) -> None:
    """A service that only publishes has no group, and yet it can be taken out of the catalogue."""

    async def publish_only() -> None:
        async with shell.running(Service("source", publishes=(OrderPaid,))):
            pass

    asyncio.run(publish_only())
    [plan] = shell.json("groups", "delete", "source")
    assert plan == {"group": "source", "tasks": 0, "lag": 0, "done": False}
    assert [entry["group"] for entry in shell.json("services")] == ["source"]
    assert shell("groups", "delete", "source", "--yes").exit_code == 0
    assert shell.json("services") == []
    assert "there is no group 'source'" in shell("groups", "delete", "source", "--yes").stderr


def test_a_group_that_somebody_runs_is_not_deleted(handled: Shell) -> None:
    """Live members keep their group."""

    async def look() -> None:
        async with handled.running(loyalty) as process:
            await until(lambda: len(process.runners["loyalty"].tasks) == 2)
            refused = await handled.beside("groups", "delete", "loyalty", "--yes")
            assert refused.exit_code == 1
            assert "has live members" in refused.stderr

    asyncio.run(look())
    assert sum(positions(handled).values()) == 3


def test_going_back_to_an_older_definition_is_a_command(shell: Shell) -> None:
    """What a higher definition has run is refused to a lower one, until the number is rolled back on purpose."""

    async def run(service: Service) -> None:
        async with shell.running(service) as process:
            await until(
                lambda: [bool(each.positions) for each in process.runners["loyalty"].tasks.values()] == [True] * 2
            )

    def numbered(definition: int) -> Service:
        service = Service("loyalty", definition=definition, publishes=(OrderPaid,))
        service.topic("orders", partitions=2)
        service.include(loyalty)
        return service

    asyncio.run(run(numbered(1)))
    asyncio.run(run(numbered(3)))
    with pytest.raises(Outdated, match="mainstem groups rollback loyalty --definition 2"):
        asyncio.run(run(numbered(2)))
    [plan] = shell.json("groups", "rollback", "loyalty", "--definition", "2")
    assert plan == {"group": "loyalty", "definition": 2, "done": False, "tasks": {"0": 3, "1": 3}}
    with pytest.raises(Outdated):
        asyncio.run(run(numbered(2)))
    said = shell("groups", "rollback", "loyalty", "--definition", "2", "--yes").stdout
    assert "2 tasks rolled back" in said
    asyncio.run(run(numbered(2)))
    refused = shell("groups", "rollback", "loyalty", "--definition", "2", "--yes")
    assert (refused.exit_code, "[not-found]" in refused.stderr) == (1, True)


def test_a_running_group_is_not_rolled_back(handled: Shell) -> None:
    """As long as somebody runs the group, its numbers stay."""

    async def look() -> None:
        service = Service("loyalty", definition=2, publishes=(OrderPaid,))
        service.include(loyalty)
        async with handled.running(service) as process:
            await until(
                lambda: [bool(each.positions) for each in process.runners["loyalty"].tasks.values()] == [True] * 2
            )
            refused = await handled.beside("groups", "rollback", "loyalty", "--definition", "1", "--yes")
        assert (refused.exit_code, "has live members" in refused.stderr) == (1, True)

    asyncio.run(look())
    assert handled.json("groups", "rollback", "loyalty", "--definition", "1")[0]["tasks"] == {"0": 2, "1": 2}
