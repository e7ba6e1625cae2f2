"""A handler that blocks the event loop is named while it does."""

import asyncio
import logging
import threading
import time

import pytest

from mainstem.service.process import blocking_told
from tests.journeys.conditions import until

SECONDS = 0.05


def busy_until_told(caplog: pytest.LogCaptureFixture) -> None:
    """Blocks, as a handler does that calls something slow without awaiting it."""
    end = time.monotonic() + 20
    while "has not turned" not in caplog.text and time.monotonic() < end:
        time.sleep(SECONDS / 5)


async def test_who_blocks_the_loop_is_told_where(caplog: pytest.LogCaptureFixture) -> None:
    """With its stack, once for each time, however long it takes."""
    with caplog.at_level(logging.WARNING, "mainstem"), blocking_told(SECONDS):
        busy_until_told(caplog)
        time.sleep(4 * SECONDS)  # noqa: ASYNC251 - it is what is told
        await asyncio.sleep(0)
        assert caplog.text.count("has not turned") == 1
        assert "busy_until_told(caplog)" in caplog.text
        await asyncio.sleep(2 * SECONDS)
        caplog.clear()
        busy_until_told(caplog)
        assert "busy_until_told(caplog)" in caplog.text


async def test_nobody_looks_afterwards() -> None:
    """The thread ends with the block."""
    with blocking_told(SECONDS):
        assert "mainstem watch" in names()
    await until(lambda: "mainstem watch" not in names())


def names() -> list[str]:
    """The threads that run."""
    return [each.name for each in threading.enumerate()]
