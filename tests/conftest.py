"""What every test may use."""

import asyncio
import gc
import inspect
import random
from collections.abc import Iterator

import hypothesis
import pytest
from opentelemetry import metrics, trace
from opentelemetry.metrics import _internal as the_meters
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

from mainstem.clock import ManualClock
from mainstem.identifiers import Identifiers
from tests.sdk import Measured, keep_spans

# Before anything imports it, whichever tests are run: its assertions are to be as talkative as those of a test.
pytest.register_assert_rewrite("mainstem.testing.conformance")

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


def pytest_collection_finish() -> None:
    """What is imported stays: the collector need not look through it again and again."""
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once, and where nobody overlooks it, that nothing was tested on Kafka."""
    reasons = {
        str(each.longrepr[2]) for each in terminalreporter.getreports("skipped") if isinstance(each.longrepr, tuple)
    }
    for reason in reasons:
        if "NOT TESTED ON KAFKA" in reason:
            terminalreporter.write_line(reason.removeprefix("Skipped: "), red=True, bold=True)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture
def identifiers(clock: ManualClock) -> Identifiers:
    """Ids that are the same in every run."""
    return Identifiers(clock, random.Random(1))


@pytest.fixture(autouse=True)
def _an_sdk_of_its_own() -> Iterator[None]:
    """A process sets its OpenTelemetry SDK once; a test that sets one must not set it for those behind it."""
    yield
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE = None, Once()
    if metrics.get_meter_provider() is not the_meters._PROXY_METER_PROVIDER:
        the_meters._METER_PROVIDER, the_meters._METER_PROVIDER_SET_ONCE = None, Once()
        the_meters._PROXY_METER_PROVIDER = the_meters._ProxyMeterProvider()


@pytest.fixture(autouse=True, scope="module")
def _left_open_where_it_was_opened() -> Iterator[None]:
    """What a module leaves open is an error of its own tests, not of whichever one the collector runs in."""
    yield
    gc.collect()
    gc.freeze()  # what is left stays, and need not be looked through behind every module


@pytest.fixture
def exported() -> InMemorySpanExporter:
    """The spans that were finished, of a program with an SDK."""
    return keep_spans()


@pytest.fixture
def measured() -> Measured:
    """What was measured, in a program with an SDK."""
    return Measured()
