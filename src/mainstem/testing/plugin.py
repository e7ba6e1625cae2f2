"""For pytest: tests that are coroutine functions, and that nobody else runs, run in virtual time."""

import inspect

import pytest

from mainstem.testing.simulation import run_simulation


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an ``async def`` test in a simulation loop. Plugins that run such tests themselves are asked before."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = inspect.signature(test).parameters
    run_simulation(lambda: test(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
