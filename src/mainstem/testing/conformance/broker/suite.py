"""How a rule is played."""

import asyncio
import threading

import pytest

from mainstem.testing.conformance.broker.harness import Harness
from mainstem.testing.conformance.broker.stage import Rule, Stage


def check(rule: Rule, harness: Harness) -> None:
    """Play a rule on a backend: it passes, fails with an assertion or an error, or is skipped with the reason."""
    unclaimed = [flag for flag in rule.needs if not getattr(harness.capabilities, flag)]
    if unclaimed:
        pytest.skip(f"the backend does not claim {', '.join(unclaimed)}: {rule.text}")
    harness.run(_played(rule, harness))


async def _played(rule: Rule, harness: Harness) -> None:
    async with Stage(harness) as stage:
        loop = asyncio.get_running_loop()
        playing = asyncio.ensure_future(rule.play(stage))
        # The clock of a thread, because the harness may have given the loop a clock of its own.
        limit_seconds = harness.capabilities.patience_seconds
        watchdog = threading.Timer(limit_seconds, loop.call_soon_threadsafe, (playing.cancel,))
        watchdog.start()
        try:
            await playing
        except asyncio.CancelledError as error:
            message = f"not within {limit_seconds} seconds: {rule.text}"
            raise AssertionError(message) from error
        finally:
            watchdog.cancel()
            watchdog.join()
