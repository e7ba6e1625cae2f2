"""``mainstem breakers``: what is open is shown, running or not, and can be closed by hand."""

import asyncio
from typing import Any

from mainstem import Breaker, IntegrationEvent, Retry, Service
from mainstem.resilience import BreakerRule, CallsWindow, TimeWindow
from tests.journeys.conditions import until
from tests.rooms.ops.conftest import Shell

RULE = BreakerRule(window=CallsWindow(2), minimum_calls=2, open_ms=3_600_000)


class Texted(IntegrationEvent, topic="texts", key="customer"):
    customer: str
    provider: str


async def listed(shell: Shell, *arguments: str) -> list[dict[str, Any]]:
    """What the list says, while services run."""
    return await asyncio.to_thread(shell.json, "breakers", "list", *arguments)


async def test_open_breakers_are_listed_and_closed(shell: Shell) -> None:
    """Each has a line with its key; one is closed by its key, the rest together, and what waited follows."""
    desk = Service("desk", lanes=4, publishes=(Texted,))
    desk.topic("texts", partitions=1)
    away = True

    @desk.on(Texted, retry=Retry.never(), breaker=Breaker(RULE, by="provider"))
    async def send(_text: Texted) -> None:
        if away:
            raise ConnectionError

    async with shell.running(desk) as process:
        await desk.publish(*(Texted(f"{name}-{n}", name) for name in ("east", "west") for n in range(4)))

        async def opened(count: int) -> bool:
            health = await process.health()
            committed = len(await listed(shell, "desk")) == count
            return committed and sum(len(task.open_breakers) for task in health.groups[0].tasks) == count

        await until(lambda: opened(2))
        found = await listed(shell)
        assert [(each["handler"], each["key"], each["state"], each["openings"]) for each in found] == [
            ("send", "east", "open", 1),
            ("send", "west", "open", 1),
        ]
        assert all(each["probes_at"] and each["waiting"] >= 1 for each in found)
        away = False
        one = await shell.beside("breakers", "close", "desk", "send", "--key", "west", "--by", "me")
        assert one.stdout == "send of desk: 1 breaker closed\n"
        await until(lambda: opened(1))
        all_others = await asyncio.to_thread(shell.json, "breakers", "close", "desk", "send")
        assert all_others == [{"group": "desk", "handler": "send", "key": None, "closed": 1}]
        await until(lambda: opened(0))
        nothing = await shell.beside("breakers", "close", "desk", "send")
        assert (nothing.exit_code, nothing.stdout) == (1, "send of desk: close: none is open\n")
        unknown = await shell.beside("breakers", "close", "desk", "sent")
        assert (unknown.exit_code, unknown.stdout) == (1, "sent of desk: close: the handler has none\n")
    assert (await shell.beside("breakers", "list")).stdout == "0 open breakers\n"


async def test_what_is_closed_and_remembers_failures_is_listed_on_demand(shell: Shell) -> None:
    """Of a window of calls and of one of time; in a table it is counted apart."""
    desk = Service("desk", publishes=(Texted,))
    desk.topic("texts", partitions=1)
    again = Retry.on(ConnectionError).inline(1)
    tried: dict[str, int] = {}

    def fail_once(handler: str) -> None:
        tried[handler] = tried.get(handler, 0) + 1
        if tried[handler] == 1:
            raise ConnectionError

    @desk.on(Texted, retry=again, breaker=Breaker())
    async def by_calls(_text: Texted) -> None:
        fail_once("by_calls")

    @desk.on(Texted, retry=again, breaker=Breaker(BreakerRule(window=TimeWindow())))
    async def by_time(_text: Texted) -> None:
        fail_once("by_time")

    async with shell.running(desk):
        await desk.publish(Texted("c-1", "east"))
        await until(lambda: sum(tried.values()) == 4)
    assert await listed(shell) == []
    found = await listed(shell, "--all")
    assert [(each["handler"], each["key"], each["state"], each["failed"]) for each in found] == [
        ("by_calls", None, "closed", 1),
        ("by_time", None, "closed", 1),
    ]
    assert (await shell.beside("breakers", "list", "--all")).stdout.endswith("0 open breakers, 2 closed\n")


async def test_a_group_that_nobody_runs_does_not_answer(shell: Shell) -> None:
    """The command stays in its inbox, and whoever gave it is told so."""
    await shell.fail("c-1")
    result = await shell.beside("breakers", "close", "loyalty", "tally", "--timeout", "0.1")
    assert result.exit_code == 1
    assert "no process runs the group" in result.stderr
