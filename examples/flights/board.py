"""What the demo shows while it runs: how each service is doing, and what happens."""

import time

from rich.box import SIMPLE
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from examples.flights.reading import percentile
from examples.flights.watch import Sight, Watch

DRAWN_EVERY_SECONDS = 0.25
PRINTED_EVERY_SECONDS = 2.0
COLUMNS = ("service", "workers", "handled", "events/s", "lag", "p99 ms", "retries", "dead letters")


class Board:
    """A table that is drawn anew in a terminal; where there is none, a line now and then."""

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._began = self._shown = time.monotonic()
        self._handled: dict[str, int] = {}

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """Something worth a line of its own has happened."""
        self._console.print(f"[dim]{self.seconds:5.1f} s[/]  {text}", highlight=False, soft_wrap=True)

    def show(self, watch: Watch, done: int, everything: int) -> None:
        """Show how things stand, unless that was done just now. ``done`` is how much has been replayed."""
        passed = time.monotonic() - self._shown
        drawn = self._console.is_terminal
        if passed < (DRAWN_EVERY_SECONDS if drawn else PRINTED_EVERY_SECONDS):
            return
        self._shown = time.monotonic()
        rates = {name: (sight.handled - self._handled.get(name, 0)) / passed for name, sight in watch.sights.items()}
        self._handled = {name: sight.handled for name, sight in watch.sights.items()}
        if not drawn:
            self.say(in_short(watch, done / everything, sum(rates.values())))
            return
        self._live.start()
        bar = ProgressBar(total=everything, completed=done, width=80)
        self._live.update(Group(bar, table(watch, rates)), refresh=True)

    def conclude(self, watch: Watch, seconds: float) -> None:
        """Show what it has come to, with the rates of the whole run."""
        self.close()
        self._console.print(table(watch, {name: sight.handled / seconds for name, sight in watch.sights.items()}))

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()


def table(watch: Watch, rates: dict[str, float]) -> Table:
    """A row for each service."""
    drawn = Table(*COLUMNS, box=SIMPLE, pad_edge=False)
    for column in drawn.columns[1:]:
        column.justify = "right"
    for name, sight in watch.sights.items():
        group = watch.groups.get(name)
        members = len(group.members) if group else 0
        p99 = percentile(sight.latencies, 0.99)
        numbers = (members, sight.handled, round(rates[name]), sight.lag, p99, sight.retries, sight.dead_letters)
        drawn.add_row(name, *(f"{number:,}" for number in numbers))
    return drawn


def in_short(watch: Watch, part: float, rate: float) -> str:
    """All services in one line; the latency is that of the slowest."""
    sights: list[Sight] = list(watch.sights.values())
    return (
        f"{part:4.0%} replayed, {sum(each.handled for each in sights):,} handled ({rate:,.0f}/s), "
        f"lag {sum(each.lag for each in sights):,}, "
        f"p99 {max(percentile(each.latencies, 0.99) for each in sights):,} ms, "
        f"{sum(each.retries for each in sights):,} retries, {sum(each.dead_letters for each in sights):,} dead letters"
    )
