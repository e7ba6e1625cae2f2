"""What happened in a run, told in sentences: who, when, what; and what went wrong, marked with an exclamation mark."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Final, NamedTuple

from mainstem.testing.simulation import Place, Step
from mainstem.testing.world import World

STEPS_MOST: Final = 120

WHERE: Final = {
    "handler.begin": "when a handler is about to run",
    "handler.end": "when a handler has run, and before anything of it is committed",
    "commit.cut": "when it is about to commit",
    "commit.append": "in a commit, before anything of it is durable",
    "commit.changes": "in a commit, before anything of it is durable",
    "commit.positions": "in a commit, before anything of it is durable",
    "commit.commit": "in a commit, before anything of it is durable",
    "writer.lock-taken": "as it writes a commit, before anything of it is durable",
    "writer.begun": "as it writes a commit, before anything of it is durable",
    "writer.before-commit": "as it writes a commit, just before that is durable",
    "writer.committed": "when a commit is durable, before it has heard of that",
    "writer.before-acknowledge": "when a commit is durable, before it has heard of that",
    "the test": "because the test wants it",
    "commit.committed": "when its commit is durable, and it has just heard so",
}
"""The points, in words."""

_QUIET: Final = {"joins", "is assigned", "commits", "releases", "leaves", "declines"}
"""What everybody does who comes or goes, or says again in a moment how it has ended."""


def tell(world: World) -> list[str]:
    """The sentences, in order."""
    lines = [_Line.of(step, sentence) for step, sentence in _sentences(world)]
    shown = [str(each) for each in lines]
    left_out = len(shown) - STEPS_MOST
    return [*([f"... {left_out} lines before"] if left_out > 0 else []), *shown[-STEPS_MOST:]]


class _Line:
    def __init__(self, seconds: float, process: str, sentence: str) -> None:
        self._seconds = seconds
        self._process = process
        self._sentence = sentence

    @classmethod
    def of(cls, step: Step, sentence: str) -> "_Line":
        name = step.process or " ".join(step.about.split()[:2])
        return cls(step.seconds, name if name.startswith("worker") else "", sentence)

    def __str__(self) -> str:
        wrong = self._sentence.startswith("!")
        return f"{'!' if wrong else ' '} {_time(self._seconds):>12}  {self._process:<9} {self._sentence.lstrip('! ')}"


def _time(seconds: float) -> str:
    if abs(seconds) < 60:
        return f"{seconds:.3f} s"
    return str(timedelta(seconds=round(seconds)))


def _sentences(world: World) -> Iterator[tuple[Step, str]]:
    """What is worth telling: not who comes or goes in order, and nothing before the first thing that happens."""
    events = _events(world)
    steps = [each for each in world.trace.steps if each.what not in _QUIET]
    begin = next((n for n, each in enumerate(steps) if each.what not in ("start", "takes over", "has committed")), 0)
    busy: dict[str, bool] = {}
    for (what, process), group in groupby(steps[begin:], key=lambda step: (step.what, step.process)):
        several = list(group)
        if what in ("takes over", "commit failed"):
            yield several[0], _together(what, several)
            continue
        for step in several:
            if what == "has committed" and not step.places and not busy.get(process):
                continue
            busy[process] = what == "handler ends" or (busy.get(process, False) and what != "has committed")
            if what != "calls" or process.startswith("worker"):
                yield step, _sentence(step, events)


def _together(what: str, steps: Sequence[Step]) -> str:
    found: dict[str, list[str]] = {}
    for step in steps:
        group, _, rest = step.about.partition(" task ")
        found.setdefault(group, []).append(rest.partition(" ")[0])
    tasks = ", ".join(
        f"task{'s' if len(tasks) > 1 else ''} {', '.join(tasks)} of {group}" for group, tasks in found.items()
    )
    reasons = sorted({step.about.partition(": ")[2] for step in steps})
    return f"takes over {tasks}" if what == "takes over" else f"! fails to commit {tasks}: {'; '.join(reasons)}"


class _Told(NamedTuple):
    """What a sentence is made of: what a step is about, the event, the handler, when it was, how long."""

    about: str
    event: str
    handler: str
    when: str
    length: str
    facts: list[str]


def _sentence(step: Step, events: dict[Place, str]) -> str:
    about = step.about
    place = step.places[0] if step.places else None
    event = about if place is None else events.get(place, _other(place))
    point, _, length = about.partition(" at ")[2].partition(", ")
    facts = [events[each] for each in step.places if each in events]
    told = _Told(about, event, about.partition(" ")[0], WHERE.get(point, f"in {point}"), length, facts)
    say = _SENTENCES.get(step.what)
    return f"{step.what} {about}" if say is None else say(told)


def _given(it: _Told) -> str:
    attempt = it.about.partition(", attempt ")[2]
    return f"gives {it.event} to {it.handler}" + (f", for the {_nth(attempt)} time" if attempt else "")


def _over(it: _Told) -> str:
    raised = it.about.partition(": raised ")[2]
    return f"{it.handler} raises {raised}" if raised else f"{it.handler} is done"


def _committed(it: _Told) -> str:
    return f"commits, and publishes {', '.join(it.facts)}" if it.facts else "commits"


_SENTENCES: Final[dict[str, Callable[[_Told], str]]] = {
    "published": lambda it: f"{it.event} is published",
    "published again": lambda it: f"! {it.event} is published once more, as it was",
    "handler begins": _given,
    "handler ends": _over,
    "has committed": _committed,
    "calls": lambda it: it.about,
    "start": lambda _: "starts",
    "stop": lambda _: "! is told to stop, and drains",
    "crash": lambda it: f"! dies {it.when}",
    "stall": lambda it: f"! stands still for {it.length}, {it.when}",
    "cut off": lambda it: f"! runs on, but is cut off for {it.length}, {it.when}",
    "go on": lambda _: "goes on",
    "failed": lambda it: f"! fails: {it.about.partition(': ')[2]}",
    "cannot go on": lambda it: f"cannot go on: {it.about.partition(': ')[2]}",
    "broker away": lambda it: f"! the broker is away {it.about}",
    "broker back": lambda _: "the broker is back",
    "clock jumps": lambda it: f"! the clock jumps by {it.about}",
    "assigned twice": lambda it: f"! the group has assigned {it.about}",
    "goes wrong": lambda it: f"! {it.about}",
}
"""By what a step says; those of what goes wrong begin with an exclamation mark."""


def _nth(attempt: str) -> str:
    return {"2": "second", "3": "third"}.get(attempt, f"{attempt}th")


def _other(place: Place) -> str:
    topic, partition, offset = place
    return (
        f"the timer {topic.partition(':')[2]!r}" if topic.startswith("$") else f"{topic}[{partition}] offset {offset}"
    )


def _events(world: World) -> dict[Place, str]:
    """Every event in the log, as its class prints it."""
    declarations = {
        declaration.type: declaration
        for plan in world.plans
        for handler in plan.processors
        for declaration in (*handler.inputs, *handler.outputs)
    }
    return {
        (fact.topic, fact.partition, fact.offset): repr(fact.event)
        for kind in declarations
        for fact in world.published(kind).facts
    }
