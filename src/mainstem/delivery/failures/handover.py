"""What becomes of all that a handler has parked and begun when it is renamed or retired.

It may be a million events, so it is done in steps: each is right by itself, and as many go into one commit as it can
bear: a page. Whoever dies in between begins again, and goes on with what is left.
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from mainstem.delivery.context import Effects, no_effects
from mainstem.delivery.failures.audit import Audit, Decided, Status
from mainstem.delivery.failures.checkpoints import Checkpoints
from mainstem.delivery.failures.letters import put_for
from mainstem.delivery.failures.parking import Parking

CHANGES_AT_ONCE = 2_000
BYTES_AT_ONCE = 4_000_000


def renamed(
    parking: Parking, checkpoints: Checkpoints, audit: Audit, names: tuple[str, str], now_ms: int
) -> Iterator[Effects]:
    """Everything of the first name becomes the second one's, and the audit topic tells of each sequence.

    In pages, each to be committed before the next is asked for.
    """
    old, new = names
    yield from _paged(parking.letters.sweep_all(old))
    yield from _paged(_moved(parking, audit, names, now_ms))
    yield from _paged(parking.restored.move(old, new))
    yield from _paged(checkpoints.rename(old, new))


def retired(
    parking: Parking, checkpoints: Checkpoints, audit: Audit, handler: str, now_ms: int, reason: str
) -> Iterator[Effects]:
    """Everything of a handler is discarded, and the audit topic tells of each sequence; in pages as above.

    A sequence that is owed to others too is left to them, and is tried again.
    """
    yield from _paged(_dropped(parking, audit, handler, now_ms, reason))
    yield from _paged(parking.letters.sweep_all(handler))
    yield from _paged(parking.restored.forget_all(handler))
    yield from _paged(checkpoints.forget_all(handler))


def _moved(parking: Parking, audit: Audit, names: tuple[str, str], now_ms: int) -> Iterator[Effects]:
    old, new = names
    for place, mark in parking.of(old):
        letter = parking.letters.get(old, place, mark.first) or parking.first(new, place, mark)
        yield from parking.letters.move(old, new, place, range(mark.first, mark.end))
        step = no_effects()
        parking.move_mark(step, old, new, place, mark)
        status: Status = "dead-lettered" if mark.next_ms is None else "parked"
        decided = Decided(f"the handler {old} is called {new} now")
        moved = replace(mark, owes=put_for(mark.owes, old, new))
        step.facts.append(audit.tell(status, (new, place), moved, letter, now_ms, decided))
        step.facts.append(audit.worked_off((old, place), now_ms))
        yield step
    for name, place, mark in parking.owing(old):
        if name == old:
            continue  # moved above, in a page that may not be committed yet
        yield from parking.letters.owe(name, place, range(mark.first, mark.end), lambda owed: put_for(owed, old, new))
        step = no_effects()
        parking.write_mark(step, name, place, replace(mark, owes=put_for(mark.owes, old, new)))
        yield step


def _dropped(parking: Parking, audit: Audit, handler: str, now_ms: int, reason: str) -> Iterator[Effects]:
    for name, place, mark in parking.owing(handler):
        letter = parking.first(name, place, mark)
        left = _without(mark.owed_by(name), handler)
        if left:
            yield from parking.letters.owe(
                name, place, range(mark.first, mark.end), lambda owed: _without(owed, handler)
            )
        step = no_effects()
        its = replace(mark, owes=(handler,))
        step.facts.append(audit.tell("discarded", (handler, place), its, letter, now_ms, Decided(reason)))
        step.facts.append(audit.worked_off((handler, place), now_ms))
        if left:
            # The events are the others' too, and it may have been this one's failure that they were waiting behind.
            fresh = replace(mark, owes=left).again(now_ms)
            parking.write_mark(step, name, place, fresh)
            parking.restored.end(step, (name, place))
            step.facts.append(audit.tell("redriven", (name, place), fresh, letter, now_ms, Decided(reason)))
        else:
            parking.drop(step, name, place, mark, now_ms)
            if name != handler:
                step.facts.append(audit.worked_off((name, place), now_ms))
        yield step


def _without(owed: tuple[str, ...], handler: str) -> tuple[str, ...]:
    return tuple(each for each in owed if each != handler)


def _paged(steps: Iterable[Effects]) -> Iterator[Effects]:
    page, size_bytes = no_effects(), 0
    for step in steps:
        page.take_in(step)
        size_bytes += _size_bytes(step)
        if len(page.writes) + len(page.facts) >= CHANGES_AT_ONCE or size_bytes >= BYTES_AT_ONCE:
            yield page
            page, size_bytes = no_effects(), 0
    if page.writes:
        yield page


def _size_bytes(step: Effects) -> int:
    values = sum(len(value) for value in step.writes.values() if value is not None)
    return values + sum(len(record.value or b"") for _, record in step.facts)
