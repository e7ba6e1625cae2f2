"""What the demo shows while it runs: one line for each service, and what has happened so far."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from examples.flights.reading import percentile
from examples.flights.watch import Sight, Watch

SHOWN_EVERY_SECONDS = 0.25
PRINTED_EVERY_SECONDS = 2.0


class Board:
    """Shows progress: a table that is drawn anew in a terminal, and a line now and then where there is none."""

    def __init__(self) -> None:
        self.console = Console()
        self._live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None
        self._began = self._shown = time.monotonic()
        self._handled: dict[str, int] = {}
        self._rates: dict[str, float] = {}

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Something worth a line of its own has happened."""
        self.console.print(f"[dim]{self.seconds:5.1f} s[/]  {text}", highlight=False, soft_wrap=True)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def show(self, watch: Watch, done: int, everything: int) -> None:
        """Show how things stand, unless that was done just now. ``done`` is how much has been replayed."""
        now = time.monotonic()
        passed = now - self._shown
        if passed < (PRINTED_EVERY_SECONDS if self._live is None else SHOWN_EVERY_SECONDS):
            return
        self._shown = now
        for name, sight in watch.sights.items():
            self._rates[name] = (sight.handled - self._handled.get(name, 0)) / passed
            self._handled[name] = sight.handled
        if self._live is None:
            self.say("  ".join(f"{name}: {self._in_short(name, sight)}" for name, sight in watch.sights.items()))
        else:
            bar = ProgressBar(total=everything, completed=done, width=80)
            self._live.update(Group(bar, self._table(watch)), refresh=True)

    def _in_short(self, name: str, sight: Sight) -> str:
        return f"{sight.handled:,} ({self._rates[name]:,.0f}/s, lag {sight.lag:,})"

    def _table(self, watch: Watch) -> Table:
        table = Table("service", "processes", *("handled", "events/s", "lag", "p99 ms", "retries", "dead letters"))
        for column in table.columns[1:]:
            column.justify = "right"
        for name, sight in watch.sights.items():
            group = watch.groups.get(name)
            numbers = (
                len(group.members) if group else 0,
                sight.handled,
                round(self._rates[name]),
                sight.lag,
                percentile(sight.latencies, 0.99),
                sight.retries,
                sight.dead_letters,
            )
            table.add_row(name, *(f"{number:,}" for number in numbers))
        return table
