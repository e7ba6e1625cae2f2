"""What is measured: counters, histograms and gauges, which come to life when a program measures."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from mainstem.telemetry.labels import SCHEMA, Labels

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The buckets that the conventions advise for durations."""
Reading: TypeAlias = tuple[float, Labels]
"""What a gauge says, and of what."""


class _Adds(Protocol):
    def add(self, amount: float, attributes: Labels, /) -> None: ...


class _Records(Protocol):
    def record(self, amount: float, attributes: Labels, /) -> None: ...


Listener: TypeAlias = Callable[[str, float, Labels], None]
"""Hears a counter's or a histogram's name, an amount and labels, beside an SDK or without one; called by any thread."""
_listeners: list[Listener] = []
INSTRUMENTS: Final[dict[str, "_Instrument[object]"]] = {}
"""Everything that can be measured in this process, by name."""


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Inside the block, ``listener`` hears what is measured. Gauges say nothing by themselves; ask them."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


_I_co = TypeVar("_I_co", covariant=True)


class _Instrument(ABC, Generic[_I_co]):
    """Something that is measured. It is declared once, and comes to life when a program measures."""

    def __init__(self, name: str, unit: str, description: str) -> None:
        """``unit`` is a UCUM one."""
        self.name, self.unit, self.description = name, unit, description
        self._provider: object = None
        self._made: _I_co | None = None
        INSTRUMENTS[name] = self

    @property
    def wanted(self) -> bool:
        """Whether anybody measures."""
        return bool(_listeners) or self._living() is not None

    def _living(self) -> _I_co | None:
        if "opentelemetry.metrics" not in sys.modules:
            return None
        from opentelemetry import metrics  # noqa: PLC0415 - loaded already, by the program

        provider = metrics.get_meter_provider()
        if provider is not self._provider:
            self._provider = provider
            # What the API brings along itself measures nothing.
            silent = type(provider).__module__.startswith("opentelemetry.metrics")
            self._made = None if silent else self._make()
        return self._made

    @abstractmethod
    def _make(self) -> _I_co:
        """Bring it to life, with the SDK that there is now."""


class Counter(_Instrument[_Adds]):
    """A number that only grows, as long as the process lives. Add to it per batch or commit, never per event."""

    def add(self, amount: float, attributes: Labels) -> None:
        """Add ``amount``, labelled; nothing happens where nobody measures."""
        for each in _listeners:
            each(self.name, amount, attributes)
        counter = self._living()
        if counter is not None:
            counter.add(amount, attributes)

    def _make(self) -> _Adds:
        from opentelemetry import metrics  # noqa: PLC0415 - loaded already, by the program

        meter = metrics.get_meter("mainstem", schema_url=SCHEMA)
        return meter.create_counter(self.name, self.unit, self.description)


class Histogram(_Instrument[_Records]):
    """How durations in seconds are distributed. Record per batch or commit, never per event."""

    def record(self, amount: float, attributes: Labels) -> None:
        """Record ``amount``, labelled; nothing happens where nobody measures."""
        for each in _listeners:
            each(self.name, amount, attributes)
        histogram = self._living()
        if histogram is not None:
            histogram.record(amount, attributes)

    def _make(self) -> _Records:
        from opentelemetry import metrics  # noqa: PLC0415 - loaded already, by the program

        meter = metrics.get_meter("mainstem", schema_url=SCHEMA)
        return meter.create_histogram(
            self.name, self.unit, self.description, explicit_bucket_boundaries_advisory=list(SECONDS)
        )


class Gauge(_Instrument[object]):
    """How things stand, told when a program collects its measurements."""

    def __init__(self, name: str, unit: str, description: str) -> None:
        super().__init__(name, unit, description)
        self._sources: list[Callable[[], Iterable[Reading]]] = []

    @contextmanager
    def told_by(self, source: Callable[[], Iterable[Reading]]) -> Iterator[None]:
        """Inside the block, ask ``source``; it is called by whatever thread collects."""
        self._sources.append(source)
        self._living()
        try:
            yield
        finally:
            self._sources.remove(source)

    def readings(self) -> list[Reading]:
        """What it says now."""
        return [each for source in self._sources.copy() for each in source()]

    def _make(self) -> object:
        from opentelemetry import metrics  # noqa: PLC0415 - loaded already, by the program

        def observe(_options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
            return [metrics.Observation(*each) for each in self.readings()]

        meter = metrics.get_meter("mainstem", schema_url=SCHEMA)
        return meter.create_observable_gauge(self.name, [observe], self.unit, self.description)
