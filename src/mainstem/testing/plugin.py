"""For pytest: options for every search, failures that read as a story, and tests in virtual time.

pytest loads this with every other plugin that is installed, also where nobody simulates anything. So it brings nothing
with it, and changes nothing, until something is asked for.
"""

import inspect
import sys

import pytest

_VIRTUAL_TIME = "mainstem_virtual_time"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a search."""
    group = parser.getgroup("mainstem", "simulations of Mainstem services")
    group.addoption("--mainstem-seed", type=int, metavar="SEED", help="search with this seed alone: it failed before")
    group.addoption("--mainstem-seeds", type=int, metavar="COUNT", help="search with so many seeds, from 0 on")
    group.addoption("--mainstem-processes", type=int, metavar="COUNT", help="share the seeds between so many processes")
    parser.addini(_VIRTUAL_TIME, "run every async def test that no other plugin runs in virtual time", type="bool")


def pytest_configure(config: pytest.Config) -> None:
    """A mark for tests in virtual time."""
    config.addinivalue_line("markers", "virtual_time: run this coroutine function in virtual time")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What is wanted of every search; and how this test is run again."""
    config = item.config
    wanted = {name: config.getoption(f"--mainstem-{name}") for name in ("seed", "seeds", "processes")}
    if "mainstem.testing.searching" not in sys.modules and not any(each is not None for each in wanted.values()):
        return
    from mainstem.testing.searching import OPTIONS  # noqa: PLC0415 - only where somebody simulates

    OPTIONS.seed, OPTIONS.seeds, OPTIONS.processes = wanted["seed"], wanted["seeds"], wanted["processes"]
    OPTIONS.again = f"pytest '{item.nodeid}'"


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an ``async def`` test in virtual time, where that is wanted. Plugins that run such tests are asked before."""
    test = pyfuncitem.obj
    marked = pyfuncitem.get_closest_marker("virtual_time") is not None
    if not inspect.iscoroutinefunction(test) or not (marked or pyfuncitem.config.getini(_VIRTUAL_TIME)):
        return None
    from mainstem.testing.simulation import run_simulation  # noqa: PLC0415 - the same

    names = inspect.signature(test).parameters
    run_simulation(lambda: test(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]"):  # type: ignore[no-untyped-def]  # noqa: ANN201, ARG001 - as pytest has it
    """Of a seed that does not hold, the story is told, once; what stands around it is of no help."""
    report = yield
    failed = call.excinfo
    if report.when == "call" and failed is not None and type(failed.value).__name__ == "SeedFailed":
        report.longrepr = failed.getrepr(style="value", chain=False)
        # What pytest's summary repeats of it. On a CI server it would repeat the whole.
        report.longrepr.reprcrash.message = str(failed.value).partition("\n")[0]
    return report
