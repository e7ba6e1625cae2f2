"""The suite: all rules, and how one is played."""

import asyncio
import threading
from types import ModuleType
from typing import Final

import pytest

from mainstem.testing.conformance.broker.harness import Harness
from mainstem.testing.conformance.broker.rules import (
    churn,
    membership,
    model,
    ownership,
    readers,
    records,
    topics,
    transactions,
    upkeep,
)
from mainstem.testing.conformance.broker.stage import Rule, Stage


def _of(*modules: ModuleType) -> tuple[Rule, ...]:
    return tuple(each for module in modules for each in vars(module).values() if isinstance(each, Rule))


RULES: Final = _of(topics, records, readers, transactions, membership, ownership, upkeep, model, churn)
"""Every rule of the suite, in the order in which they are best read."""


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
