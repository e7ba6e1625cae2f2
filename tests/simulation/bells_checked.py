"""What must hold of every setting of a timer, from what is left behind: plain data, and nothing of the runtime."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct


class Line(Struct):
    """What one step did, in the log of its bell. ``by`` names the event or firing, and its handler."""

    by: str
    step: int
    action: str
    timer: str = ""
    due_ms: int | None = None
    found: bool = False


class Ring(NamedTuple):
    """A fact that a step has published."""

    by: str
    step: int
    id: str


def check(
    books: Mapping[str, Sequence[Line]],
    causes: Mapping[str, int],
    rings: Sequence[Ring],
    steps_of_firing: Callable[[str], int],
) -> None:
    """Each step happened once, in order; each setting fired once, unless it was replaced or cancelled.

    ``causes`` are the handlers' events, and how many steps each has.
    """
    steps: dict[str, list[int]] = defaultdict(list)
    for bell, lines in books.items():
        for line in lines:
            steps[line.by].append(line.step)
        check_settings(bell, lines)
    for by, found in steps.items():
        count = causes[by] if by in causes else steps_of_firing(by)
        assert found == list(range(count)), f"{by} was to have {count} steps, and has taken {found}"
    assert causes.keys() <= steps.keys(), f"never handled: {causes.keys() - steps.keys()}"
    wanted = sorted((line.by, line.step) for lines in books.values() for line in published(lines))
    assert sorted((ring.by, ring.step) for ring in rings) == wanted, "each fact once, and no other"
    assert len({ring.id for ring in rings}) == len(rings), "two facts have one id"
    fired = [line.by.partition("/")[2] for lines in books.values() for line in lines if line.action == "begin"]
    assert len(set(fired)) == len(fired), "two firings have one id"


def published(lines: Sequence[Line]) -> list[Line]:
    """The steps that were to publish, now or later, without those that were cancelled in time."""
    dropped = [line.timer for line in lines if line.action == "drop" and line.found]
    assert len(set(dropped)) == len(dropped), "what waited was cancelled twice"
    return [
        line for line in lines if line.action == "publish" or (line.action == "later" and line.timer not in dropped)
    ]


def check_settings(bell: str, lines: Sequence[Line]) -> None:
    """The settings of one bell against its firings."""
    for timer in {line.timer for line in lines if line.action == "set"}:
        mine = [line for line in lines if line.timer == timer and line.action in ("set", "cancel", "begin")]
        settings = [line for line in mine if line.action == "set" and line.due_ms is not None]
        dues = [line.due_ms for line in settings]
        fired = [line.due_ms for line in mine if line.action == "begin"]
        for due in set(fired):
            assert fired.count(due) <= dues.count(due), f"{bell}: {timer} for {due} fired more often than it was set"
        for number, line in enumerate(settings):
            if dues.count(line.due_ms) == 1:
                at = mine.index(line)
                end = mine.index(settings[number + 1]) if number + 1 < len(settings) else len(mine)
                cancelled = [each.found for each in mine[at:end] if each.action == "cancel"]
                check_setting(
                    f"{bell}: {timer} for {line.due_ms}", fired.count(line.due_ms), cancelled, end < len(mine)
                )


def check_setting(what: str, fired: int, cancelled: Sequence[bool], replaced: bool) -> None:  # noqa: FBT001 - plain
    """One setting, with what cancelling it found until it was set again."""
    assert cancelled.count(True) <= 1, f"{what} was cancelled twice"
    if any(cancelled):
        assert fired == 0, f"{what} fired although it was cancelled"
    elif cancelled or not replaced:
        assert fired == 1, f"{what} fired {fired} times, and nothing took its place"
