"""What waits for a decision, or too long for a next try; and what holds up more than one key."""

from collections import Counter
from collections.abc import Iterator, Sequence

from mainstem.delivery import GIVES_WAY, Alerts, Entry, Letters, Notice
from mainstem.ops.doctor.findings import Finding
from mainstem.ops.screen import moment, plural


def waiting_letters(group: str, entries: Sequence[Entry], alerts: Alerts, now_ms: int) -> Iterator[Finding]:
    """Dead letters, and the thresholds of the service that are passed.

    Any dead letter is a problem, unless the service says how many or how old is too much: then only what passes that.
    """
    dead = [entry for entry in entries if entry.status == "dead-lettered"]
    rest = [entry for entry in entries if entry.status != "dead-lettered"]
    counted = Letters(
        len(dead),
        len(rest),
        max((now_ms - entry.at_ms for entry in dead), default=0),
        max((now_ms - entry.failure.first_ms for entry in rest), default=0),
    )
    passed = alerts.passed(counted)
    remedy = f"mainstem dead-letters list {group}"
    if dead:
        waiting = plural(sum(entry.waiting for entry in dead), "event")
        counts = Counter(entry.handler for entry in dead).most_common()
        handlers = ", ".join(f"{handler} ({count})" for handler, count in counts)
        said = f"{plural(len(dead), 'key')} with {waiting}: somebody has to decide; since {moment(dead[0].at_ms)}, of "
        stated = alerts.dead_letters is not None or alerts.dead_letter_age is not None
        serious = not stated or any(name.startswith("dead_letter") for name in passed)
        yield Finding("dead-letters", serious, f"group {group!r}", said + handlers, remedy)
    for name, said in passed.items():
        if name.startswith("parked"):
            yield Finding("parked", True, f"group {group!r}", said, f"{remedy} --parked")


def put_aside(group: str, entries: Sequence[Entry]) -> Iterator[Finding]:
    """What waits because its handler gives way."""
    waiting = Counter(
        entry.handler for entry in entries if entry.status == "parked" and entry.failure.error == GIVES_WAY
    )
    for handler, count in waiting.items():
        said = f"the events of {plural(count, 'key')} wait because {handler} gives way while its task is behind"
        remedy = f"they follow by themselves when it has caught up: mainstem dead-letters list {group} --parked"
        yield Finding("gives-way", False, f"group {group!r}", said, remedy)


def held_up(group: str, notices: Sequence[Notice]) -> Iterator[Finding]:
    """What holds up more than one key: tasks that read nothing, and breakers that are open."""
    for each in notices:
        because = f": {each.because}" if each.because else ""
        since = moment(each.at_ms)
        where = f"group {group!r}, task {each.task}"
        if each.held == "paused":
            said = f"inputs have stood still since {since}: {each.subject}{because}"
            remedy = (
                "they go on when that is over: see what a handler needs, what is parked, or whether a registry answers"
            )
            yield Finding("paused", True, where, said, remedy)
        else:
            said = f"the breaker of {each.subject} has been open since {since}{because}"
            remedy = "it closes by itself when its probes succeed: see what the handler needs, or mend its code"
            yield Finding("open-breaker", False, where, said, remedy)
