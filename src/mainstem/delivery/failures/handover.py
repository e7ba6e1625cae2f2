"""What becomes of all that a handler has parked and begun when it is renamed or retired.

It may be a million events, so it is done in steps: each is right by itself, and as many go into one commit as it can
bear: a page. Whoever dies in between begins again, and goes on with what is left.
"""

from collections.abc import Iterable, Iterator

from mainstem.delivery.context import Effects, no_effects
from mainstem.delivery.failures.audit import Audit, Decided, Status
from mainstem.delivery.failures.checkpoints import Checkpoints
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
    yield from _paged(checkpoints.rename(old, new))


def retired(
    parking: Parking, checkpoints: Checkpoints, audit: Audit, handler: str, now_ms: int, reason: str
) -> Iterator[Effects]:
    """Everything of a handler is discarded, and the audit topic tells of each sequence; in pages as above."""
    yield from _paged(_dropped(parking, audit, handler, now_ms, reason))
    yield from _paged(parking.letters.sweep_all(handler))
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
        step.facts.append(audit.tell(status, (new, place), mark, letter, now_ms, decided))
        step.facts.append(audit.worked_off((old, place), now_ms))
        yield step


def _dropped(parking: Parking, audit: Audit, handler: str, now_ms: int, reason: str) -> Iterator[Effects]:
    for place, mark in parking.of(handler):
        step = no_effects()
        letter = parking.first(handler, place, mark)
        step.facts.append(audit.tell("discarded", (handler, place), mark, letter, now_ms, Decided(reason)))
        parking.drop(step, handler, place, mark, now_ms)
        step.facts.append(audit.worked_off((handler, place), now_ms))
        yield step


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
