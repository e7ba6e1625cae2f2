"""Deciding about dead letters: ``redrive`` and ``discard``."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice

import click
from msgspec import Struct

from mainstem.broker import Broker
from mainstem.clock import Clock, SystemClock
from mainstem.delivery import AT_ONCE, Action, Command, Entry
from mainstem.identifiers import Identifiers
from mainstem.ops.arguments import length, opened
from mainstem.ops.letters.asking import Asking, Outcome, SequenceOrder
from mainstem.ops.letters.contents import Reading
from mainstem.ops.letters.looking import print_sequences
from mainstem.ops.letters.options import BulkRequest, bulk, bulk_request, rate, share
from mainstem.ops.letters.sequences import groups_of, parked
from mainstem.ops.requests import moment_ms
from mainstem.ops.screen import plural, print_json, progress

EXAMPLES = 20


class Schedule(Struct, frozen=True):
    """When redrives begin: the first at ``at_ms`` or ``after_ms`` from now, each other one ``apart_ms`` later.

    With ``stop_at`` they are sent in waves, each twice as many as the one before, and none any more once a greater
    share than this has failed again.
    """

    at_ms: int | None = None
    after_ms: int | None = None
    apart_ms: float | None = None
    stop_at: float | None = None

    @property
    def later(self) -> bool:
        """Whether they begin at a time at which nobody will be watching."""
        return self.at_ms is not None or self.after_ms is not None

    def times(self, now_ms: int) -> Iterator[int | None]:
        """When each begins; None means at once."""
        if not self.later and self.apart_ms is None:
            return (None for _ in count())
        begin = now_ms + (self.after_ms or 0) if self.at_ms is None else self.at_ms
        return (begin + round(number * (self.apart_ms or 0)) for number in count())

    def waves(self, entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
        """The sequences in the pieces in which they are sent."""
        rest, size = iter(entries), 1 if self.stop_at is not None else len(entries)
        while wave := list(islice(rest, size)):
            yield wave
            size = min(size * 2, AT_ONCE)


class Decision(Struct, frozen=True):
    """What was decided, and what came of it, as JSON shows it. ``outcome`` is None where nothing was done yet."""

    action: Action
    group: str
    matched: int
    waiting: int
    outcome: Outcome | None


@click.command("redrive")
@bulk
@click.option("--reason", default="", help="Why; it stands in the audit topic.")
@click.option("--at", "at_ms", callback=moment_ms, metavar="TIME", help="Begin then: 2026-01-31T08:00:00Z.")
@click.option("--after", "after_ms", callback=length, help="Begin after so long: 30m.")
@click.option("--rate", "apart_ms", callback=rate, help="So many sequences in a time: 10/s, 100/m, 1000/h.")
@click.option("--stop-at", callback=share, metavar="PERCENT", help="Stop when more than so many fail again: 20%.")
def redrive(
    *, at_ms: int | None, after_ms: int | None, apart_ms: float | None, stop_at: float | None, **options: object
) -> None:
    """Handle dead letters again, each key's events in order."""
    schedule = Schedule(at_ms, after_ms, apart_ms, stop_at)
    if at_ms is not None and after_ms is not None:
        raise click.UsageError("Say --at or --after, not both.")
    if schedule.later and stop_at is not None:
        raise click.UsageError("--stop-at watches what fails again; it cannot be given with --at or --after.")
    asyncio.run(_decide("redrive", bulk_request(options), schedule))


@click.command("discard")
@bulk
@click.option("--reason", required=True, help="Why; it stands in the audit topic.")
def discard(**options: object) -> None:
    """Give dead letters up for good; the audit topic keeps what they were, and why."""
    asyncio.run(_decide("discard", bulk_request(options), Schedule()))


async def _decide(action: Action, request: BulkRequest, schedule: Schedule) -> None:
    async with opened(request.broker, dev=request.dev) as broker:
        [group] = await groups_of(broker, request.group)
        clock = SystemClock()
        now = clock.now_ms()
        entries = [entry for entry in await parked(broker, group) if request.wanted.holds(entry, now)]
        waiting = sum(entry.waiting for entry in entries)
        if not request.yes or not entries:
            _say(Decision(action, group, len(entries), waiting, None), entries, request)
            return
        with progress(action, len(entries), shown=not request.as_json) as heard:
            sending = _Sending(broker, group, clock, action, request, schedule)
            outcome = await sending.carry_out(entries, heard)
        _say(Decision(action, group, len(entries), waiting, outcome), entries, request)
        if outcome.unanswered:
            questions = Reading(broker, group, clock, request.patience_seconds)
            raise await questions.unanswered(outcome.unanswered, outcome.sent)
        if outcome.held_back or outcome.refused:
            raise SystemExit(1)


class _Sending(Struct, frozen=True):
    """One decision on its way to a group."""

    broker: Broker
    group: str
    clock: Clock
    action: Action
    request: BulkRequest
    schedule: Schedule

    async def carry_out(self, entries: Sequence[Entry], heard: Callable[[int], None]) -> Outcome:
        """Send it about each sequence, in waves where the schedule says so."""
        asking, schedule = Asking(self.broker, self.group, self.clock), self.schedule
        patience_seconds = self.request.patience_seconds + (schedule.apart_ms or 0) / 1_000
        outcome = asking.outcome
        for wave in schedule.waves(entries):
            outcome = await asking.ask(self._orders(wave), patience_seconds, heard)
            if schedule.stop_at is not None and (not outcome.over or outcome.failing > schedule.stop_at):
                break
        outcome.held_back = len(entries) - outcome.sent
        return outcome

    def _orders(self, entries: Sequence[Entry]) -> list[SequenceOrder]:
        identifiers, (reason, by) = Identifiers(self.clock), self.request.decided
        return [
            SequenceOrder(
                entry.task,
                Command(identifiers.new(), self.action, entry.handler, entry.place, reason, by, at_ms),
                entry.sequence_key,
                self.schedule.later,
            )
            for entry, at_ms in zip(entries, self.schedule.times(self.clock.now_ms()), strict=False)
        ]


def _say(decision: Decision, entries: Sequence[Entry], request: BulkRequest) -> None:
    if request.as_json:
        print_json(decision)
        return
    outcome = decision.outcome
    # The answers have counted what waits now; the audit topic knows what waited when the sequence stopped.
    events = outcome.events if outcome else decision.waiting
    sequences = f"{plural(decision.matched, 'sequence')} of {decision.group}, {plural(events, 'event')}"
    if outcome is None:
        print_sequences([(decision.group, entry) for entry in entries[:EXAMPLES]])
        if decision.matched > EXAMPLES:
            click.echo(f"and {decision.matched - EXAMPLES} more")
        if shared := sorted({each for entry in entries if len(entry.owes) > 1 for each in entry.owes}):
            click.echo(f"Together wait: {', '.join(shared)}. {decision.action} is for all of them.")
        click.echo(f"{sequences}. Nothing was done; --yes does it." if entries else "Nothing is dead-lettered there.")
        return
    done = "worked off" if decision.action == "redrive" else "discarded"
    said = [f"{outcome.done} {done}"]
    said += [f"{outcome.failed_again} failed again"] if outcome.failed_again else []
    said += [f"{outcome.gone} not there any more"] if outcome.gone else []
    said += [f"{outcome.scheduled} scheduled"] if outcome.scheduled else []
    said += [f"{outcome.held_back} held back"] if outcome.held_back else []
    said += [f"{outcome.under_way} under way"] if outcome.under_way else []
    said += [f"{len(outcome.refused)} refused"] if outcome.refused else []
    click.echo(f"{decision.action}: {sequences}: {', '.join(said)}")
    for each in outcome.refused[:EXAMPLES]:
        click.echo(f"  {each}")
