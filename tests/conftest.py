"""What every test may use."""

import asyncio
import inspect
import random

import hypothesis
import pytest

from mainstem.clock import ManualClock
from mainstem.identifiers import Identifiers

# How long an example takes says something about the machine, and nothing about the rule.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function, in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture
def identifiers(clock: ManualClock) -> Identifiers:
    """Ids that are the same in every run."""
    return Identifiers(clock, random.Random(1))
