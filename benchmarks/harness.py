"""The shared pieces of the benchmarks: measuring, repeating, comparing, reporting, and looking at processes.

Imports the standard library alone. A benchmark measures its cases in turns, because a shared machine changes its speed
from one minute to the next: figures of one turn may be compared, figures of two runs may not. The CPU time per event is
the steadier half of every measurement. Reading other processes needs Linux (``/proc``).
"""

import contextlib
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from array import array
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent


# Measuring


@dataclass(frozen=True, slots=True)
class Measurement:
    """So many events in so much wall time and CPU time (user and system, all threads)."""

    events: int
    seconds: float
    cpu_seconds: float

    @property
    def events_per_second(self) -> float:
        """Events per second of wall time."""
        return self.events / self.seconds

    @property
    def cpu_us_per_event(self) -> float:
        """Microseconds of CPU time per event."""
        return self.cpu_seconds / self.events * 1e6


class Stopwatch:
    """Measures its ``with`` block: wall time, and the CPU time of this process."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def __enter__(self) -> Self:
        self._cpu = time.process_time()
        self._wall = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._wall
        self.cpu_seconds = time.process_time() - self._cpu

    def measured(self, events: int) -> Measurement:
        """What was measured, for this many events."""
        return Measurement(events, self.seconds, self.cpu_seconds)


class Latencies:
    """Single latencies, kept exactly: eight bytes each."""

    def __init__(self, seconds: Sequence[float] = ()) -> None:
        self.seconds = array("d", seconds)

    def __len__(self) -> int:
        return len(self.seconds)

    def add(self, seconds: float) -> None:
        """Add one."""
        self.seconds.append(seconds)

    def merge(self, other: "Latencies") -> None:
        """Add all of another."""
        self.seconds.extend(other.seconds)

    def percentiles_ms(self, *percents: float) -> tuple[float, ...]:
        """The smallest latency, in milliseconds, that this many percent do not exceed. 100 is the largest."""
        if not self.seconds:
            raise ValueError("no latencies were added")
        ordered = sorted(self.seconds)
        return tuple(ordered[max(0, math.ceil(percent * len(ordered) / 100) - 1)] * 1e3 for percent in percents)

    def to_bytes(self) -> bytes:
        """For sending to another process of this machine."""
        return self.seconds.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Latencies":
        """What :meth:`to_bytes` made."""
        latencies = cls()
        latencies.seconds.frombytes(data)
        return latencies


# Repeating and comparing

Case = Callable[[], Measurement]


def interleaved(cases: Mapping[str, Case], repetitions: int) -> dict[str, list[Measurement]]:
    """Run every case once per turn, forwards and backwards in turn, and return the measurements by turn.

    A turn before the first one warms up and is not kept.
    """
    measured: dict[str, list[Measurement]] = {name: [] for name in cases}
    for turn in range(repetitions + 1):
        for name in list(cases) if turn % 2 else reversed(list(cases)):
            measurement = cases[name]()
            if turn:
                measured[name].append(measurement)
    return measured


def median_speed(turns: Sequence[Measurement]) -> float:
    """The median of the events per second."""
    return statistics.median(each.events_per_second for each in turns)


def median_cpu_us(turns: Sequence[Measurement]) -> float:
    """The median of the CPU microseconds per event."""
    return statistics.median(each.cpu_us_per_event for each in turns)


def speed_ratio(turns: Sequence[Measurement], against: Sequence[Measurement]) -> float:
    """How fast the first is as a share of the second: the median of the ratios within each turn."""
    pairs = zip(turns, against, strict=True)
    return statistics.median(one.events_per_second / other.events_per_second for one, other in pairs)


def cpu_ratio(turns: Sequence[Measurement], against: Sequence[Measurement]) -> float:
    """The same by CPU time: 0.5 means twice the CPU time per event. Steady where the wall clock is not."""
    pairs = zip(turns, against, strict=True)
    return statistics.median(other.cpu_us_per_event / one.cpu_us_per_event for one, other in pairs)


# Reporting


@dataclass(frozen=True, slots=True)
class Figure:
    """One result: a number with its unit, and its ratios to named other figures of the same run."""

    value: float
    unit: str
    ratios: Mapping[str, float] = field(default_factory=dict)


class Report:
    """Named figures, printed as a table or, with ``JSON=1`` in the environment, as one JSON object."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.figures: dict[str, Figure] = {}

    def add(self, name: str, value: float, unit: str, **ratios: float) -> None:
        """Add a figure; a name stands once."""
        if name in self.figures:
            raise ValueError(f"there is a figure named {name} already")
        self.figures[name] = Figure(value, unit, ratios)

    def as_json(self) -> str:
        """One object: figure name to value, unit and ratios."""
        return json.dumps(
            {
                name: {
                    "value": rounded(figure.value),
                    "unit": figure.unit,
                    "ratios": {to: rounded(ratio) for to, ratio in figure.ratios.items()},
                }
                for name, figure in self.figures.items()
            },
            indent=2,
        )

    def as_table(self) -> str:
        """The figures in aligned columns, the ratios behind them."""
        width = max((len(name) for name in self.figures), default=0)
        lines = [self.title]
        for name, figure in self.figures.items():
            ratios = "".join(f"   {ratio:.2f} of {to}" for to, ratio in figure.ratios.items())
            lines.append(f"  {name:<{width}}  {rounded(figure.value):>12,} {figure.unit}{ratios}")
        return "\n".join(lines)

    def show(self, *, as_json: bool | None = None) -> None:
        """Print to standard output; without an argument the environment decides the form."""
        wanted = os.environ.get("JSON", "") not in ("", "0") if as_json is None else as_json
        print(self.as_json() if wanted else self.as_table(), flush=True)


def rounded(value: float) -> int | float:
    """Four significant digits; whole numbers from 1,000 on."""
    return round(value) if abs(value) >= 1000 else float(f"{value:.4g}")


# Folders and processes


@contextlib.contextmanager
def scratch(name: str) -> Generator[Path, None, None]:
    """A folder of its own below ``build/bench``, removed afterwards.

    It lies in the project and not in the system's temporary folder, which is in memory on many machines: an fsync
    costs nothing there, and a durable benchmark would measure nothing.
    """
    above = ROOT / "build" / "bench"
    above.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=above))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(
    arguments: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None, grace_seconds: float = 10.0
) -> Generator[subprocess.Popen[bytes], None, None]:
    """A process that lives as long as the ``with`` block; its output goes to the end of ``log``.

    It gets SIGTERM and ``grace_seconds`` to leave, then SIGKILL. Signals go to this one process, by its pid.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(condition: Callable[[], bool], *, timeout_seconds: float, what: str, pause_seconds: float = 0.02) -> None:
    """Wait for a condition; raises ``TimeoutError`` saying what was waited for."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_seconds:g} seconds in vain: {what}")
        time.sleep(pause_seconds)


def cpu_seconds(pid: int) -> float:
    """User and system time that a running process has taken so far, without its children."""
    text = Path(f"/proc/{pid}/stat").read_text()
    # The second field is the program's name in brackets and may hold blanks and brackets itself.
    fields = text[text.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid: int) -> int:
    """Resident memory of a running process, without pages that belong to mapped files."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no memory any more")
