"""What is measured, as Prometheus reads it: the names that OpenTelemetry's own exporter would give, without an SDK.

https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/ says how names are translated, and
https://prometheus.io/docs/instrumenting/exposition_formats/ how they are written.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from threading import Lock
from typing import Final, TypeAlias

from mainstem.telemetry import INSTRUMENTS, SECONDS, Counter, Gauge, Histogram, Label, Labels

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
UNITS: Final = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "1": ""}

LabelSet: TypeAlias = tuple[tuple[str, Label], ...]

_NOT_IN_A_NAME: Final = re.compile(r"[^a-zA-Z0-9_]+")


class Tally:
    """Everything that was counted since this process began to listen; for any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sums: dict[str, dict[LabelSet, float]] = {}
        self._counts: dict[tuple[str, LabelSet], list[int]] = {}

    def hear(self, name: str, amount: float, labels: Labels) -> None:
        """A counter has grown, or a duration was measured."""
        at = tuple(sorted(labels.items()))
        with self._lock:
            sums = self._sums.setdefault(name, {})
            sums[at] = sums.get(at, 0) + amount
            if isinstance(INSTRUMENTS.get(name), Histogram):
                counts = self._counts.setdefault((name, at), [0] * (len(SECONDS) + 1))
                counts[bisect_left(SECONDS, amount)] += 1

    def sums(self, name: str) -> list[tuple[LabelSet, float]]:
        """What an instrument has heard in all, by labels."""
        with self._lock:
            return sorted(self._sums.get(name, {}).items(), key=repr)

    def counts(self, name: str, at: LabelSet) -> list[int]:
        """How many durations fell into each of the buckets, which do not overlap; the last one has no end."""
        with self._lock:
            return list(self._counts[name, at])


def exposition(tally: Tally) -> str:
    """The page. Gauges are asked now, and may wait for the event loop: call it in another thread."""
    lines: list[str] = []
    for name, instrument in sorted(INSTRUMENTS.items()):
        if isinstance(instrument, Counter):
            samples = [_sample(f"{_named(name, instrument.unit)}_total", *each) for each in tally.sums(name)]
            lines += _family(f"{_named(name, instrument.unit)}_total", "counter", instrument.description, samples)
        elif isinstance(instrument, Histogram):
            family = _named(name, instrument.unit)
            lines += _family(family, "histogram", instrument.description, _spread(family, name, tally))
        elif isinstance(instrument, Gauge):
            family = _named(name, instrument.unit)
            readings = sorted((tuple(sorted(labels.items())), number) for number, labels in instrument.readings())
            lines += _family(family, "gauge", instrument.description, [_sample(family, *each) for each in readings])
    return "".join(f"{line}\n" for line in lines)


def _family(name: str, kind: str, description: str, samples: Iterable[str]) -> list[str]:
    said = description.replace("\\", r"\\").replace("\n", r"\n")
    return [f"# HELP {name} {said}", f"# TYPE {name} {kind}", *samples]


def _spread(family: str, name: str, tally: Tally) -> Iterator[str]:
    for at, total in tally.sums(name):
        counts = list(accumulate(tally.counts(name, at)))
        for bound, count in zip((*map(str, SECONDS), "+Inf"), counts, strict=True):
            yield _sample(f"{family}_bucket", (*at, ("le", bound)), count)
        yield _sample(f"{family}_count", at, counts[-1])
        yield _sample(f"{family}_sum", at, total)


def _named(name: str, unit: str) -> str:
    """A name with its unit behind it. A unit in braces only annotates."""
    plain = _NOT_IN_A_NAME.sub("_", name)
    suffix = "" if unit.startswith("{") else UNITS.get(unit, unit)
    return f"{plain}_{suffix}" if suffix and not plain.endswith(suffix) else plain


def _sample(name: str, labels: LabelSet, number: float) -> str:
    said = ",".join(f'{_NOT_IN_A_NAME.sub("_", label)}="{_quoted(value)}"' for label, value in labels)
    return f"{name}{{{said}}} {float(number)!r}" if said else f"{name} {float(number)!r}"


def _quoted(value: Label) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
