"""What the log says of a handler that fails: the line of its author, and no event that has nothing to do with it."""

import asyncio
import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mainstem.delivery import Context, Processor, Retry
from mainstem.delivery.failures import raised_at
from mainstem.errors import DefinitionError
from tests.rooms.delivery.stage import Paid, Told, on, staged


def line_behind(function: Callable[..., object], lines: int) -> str:
    """The place so many lines behind the first one of a function."""
    return f"{Path(__file__)}:{inspect.getsourcelines(function)[1] + lines}"


async def told_of(handler: Processor, caplog: pytest.LogCaptureFixture, *events: Paid) -> list[str]:
    """What is logged of failures when a handler is given these events."""
    async with staged() as stage:
        await stage.publish_at_once(*events)
        await stage.run(handler, lanes=1)
    return [line for line in caplog.messages if "failed (" in line]


async def test_what_mainstem_refuses_is_told_at_the_authors_line(caplog: pytest.LogCaptureFixture) -> None:
    """The line names the last frame of the user's code, not that of the framework it calls."""

    async def unset(event: Paid, context: Context) -> None:
        context.wake("nobody", after=1)

    [line] = await told_of(on(Paid, retry=Retry.never())(unset), caplog, Paid("a"))
    assert f"failed (1) at {line_behind(unset, 1)}: DefinitionError" in line


async def test_what_a_library_raises_is_told_at_the_authors_line(caplog: pytest.LogCaptureFixture) -> None:
    """The standard library counts as well as what is installed."""

    async def parse(event: Paid) -> None:
        json.loads("{")

    [line] = await told_of(on(Paid, retry=Retry.never())(parse), caplog, Paid("a"))
    assert f"failed (1) at {line_behind(parse, 1)}: JSONDecodeError" in line


async def test_a_time_out_is_told_at_the_line_that_waited(caplog: pytest.LogCaptureFixture) -> None:
    """What has caused the error tells where, when the error itself was raised around the handler."""

    async def wait(event: Paid) -> None:
        await asyncio.Event().wait()

    [line] = await told_of(on(Paid, retry=Retry.never(), timeout_seconds=0.01)(wait), caplog, Paid("a"))
    assert f"failed (1) at {line_behind(wait, 1)}: HandlerTimeout" in line


async def test_the_verdict_stands_in_the_first_line(caplog: pytest.LogCaptureFixture) -> None:
    """An error of several lines goes on below what becomes of the event, for one event as for a batch."""

    async def refuse(event: Paid) -> None:
        raise DefinitionError("not so", why="because", remedy="otherwise")

    async def refuse_many(events: list[Paid]) -> None:
        await refuse(events[0])

    [line] = await told_of(on(Paid, retry=Retry.never())(refuse), caplog, Paid("a"))
    first, *more = line.splitlines()
    assert "DefinitionError: not so [definition]; a dead letter now [handler=refuse event=" in first
    assert more == ["  why: because", "  next: otherwise"]
    caplog.clear()
    [line, *_] = await told_of(on(Paid, retry=Retry.never())(refuse_many), caplog, Paid("a"), Paid("b"))
    assert line.splitlines()[0].endswith("not so [definition]; each event alone now")
    assert line.splitlines()[1:] == more


def test_an_error_that_was_never_raised_has_no_place() -> None:
    """And one whose causes go round in a ring is told all the same."""
    error = ValueError("made, not raised")
    assert raised_at(error) == "an unknown place"
    error.__cause__ = error
    assert raised_at(error) == "an unknown place"


async def test_a_batch_that_fails_names_none_of_its_events(caplog: pytest.LogCaptureFixture) -> None:
    """Only then is each tried alone, and the poisoned one named as a dead letter."""

    async def take(events: list[Paid]) -> list[Told]:
        if any(event.n == 2 for event in events):
            raise ValueError("poison")
        return []

    together, alone = await told_of(
        on(Paid, retry=Retry.never())(take), caplog, Paid("a", 1), Paid("b", 2), Paid("c", 3)
    )
    assert "take, 3 events from orders[" in together
    assert together.endswith("ValueError: poison; each event alone now")
    assert "[event=" not in together
    assert "; a dead letter now" in alone


async def test_a_batch_of_one_is_tried_once(caplog: pytest.LogCaptureFixture) -> None:
    """It is alone already."""

    async def take(events: list[Paid]) -> None:
        raise ValueError("poison")

    [line] = await told_of(on(Paid, retry=Retry.never())(take), caplog, Paid("a", 1))
    assert "; a dead letter now" in line
