"""Publications that wait for their time: one row by whose they are and their handle, one among the timers by due time.

They belong to the key that has scheduled them, or to nobody where that was done from outside a handler; then the handle
has a lane to itself. Scheduling, replacing, cancelling and publishing happen in that lane. As long as they are not due
they cost their two rows and nothing else. Of those due at the same time the one that was scheduled first has the lower
stamp, and comes first.
"""

from typing import NamedTuple

from mainstem.state.timers import BY_DUE, LATEST_MS, Read, Timer, Write, due_row

SCHEDULED = "$scheduled"
PUBLISH = "$publish"
"""The name of the timers in whose place a publication waits."""

_NUMBER = 8
_LENGTH = 4
_KEYLESS, _KEYED, _OUTSIDE = b"\x00", b"\x01", b"\x02"


class Owner(NamedTuple):
    """Whose a publication is: that of a key (None for keyless events), or of nobody, where it came from ``outside``."""

    handle: str
    key: bytes | None = None
    outside: bool = False

    @property
    def row(self) -> bytes:
        """What names it in the store."""
        mark = _OUTSIDE if self.outside else _KEYLESS if self.key is None else _KEYED + self.key
        return len(mark).to_bytes(_LENGTH, "big") + mark + self.handle.encode()

    @property
    def lane(self) -> bytes | None:
        """The lane in which it is scheduled, replaced, cancelled and published."""
        return _OUTSIDE + self.handle.encode() if self.outside else self.key


class Scheduled(NamedTuple):
    """A publication that waits."""

    due_ms: int
    owner: Owner
    payload: bytes


def put(read: Read, write: Write, scheduled: Scheduled, stamp: int) -> None:
    """Let one wait; that of the same owner is replaced. ``stamp`` grows from one scheduling to the next."""
    row = scheduled.owner.row
    _forget(read, write, row)
    due_ms = min(max(scheduled.due_ms, 0), LATEST_MS)
    place = stamp.to_bytes(_NUMBER, "big") + row
    write(SCHEDULED, row, due_ms.to_bytes(_NUMBER, "big") + place[:_NUMBER] + scheduled.payload)
    write(BY_DUE, due_row(Timer(due_ms, PUBLISH, place)), b"")


def cancel(read: Read, write: Write, owner: Owner) -> bool:
    """Let it not be published; False when none of this owner waits."""
    return _forget(read, write, owner.row)


def look(read: Read, timer: Timer) -> Scheduled | None:
    """What waits in the place of this timer; None when it was replaced or cancelled since it was looked for."""
    place = timer.key
    assert place is not None
    found = read(SCHEDULED, place[_NUMBER:])
    if found is None or found[: 2 * _NUMBER] != timer.due_ms.to_bytes(_NUMBER, "big") + place[:_NUMBER]:
        return None
    return Scheduled(timer.due_ms, owner_of(timer), found[2 * _NUMBER :])


def take(read: Read, write: Write, timer: Timer) -> Scheduled | None:
    """Remove one that was found to be due; None as :func:`look`."""
    found = look(read, timer)
    if found is None:
        # Keyless events share no lane: of two that schedule under one name at once, the later knows nothing of the
        # other's row, which would be found again and again.
        if read(BY_DUE, due_row(timer)) is not None:
            write(BY_DUE, due_row(timer), None)
        return None
    _forget(read, write, found.owner.row)
    return found


def owner_of(timer: Timer) -> Owner:
    """Whose it is what waits in the place of this timer."""
    assert timer.key is not None
    return read_owner(timer.key[_NUMBER:])


def read_owner(row: bytes) -> Owner:
    """Whose a row is."""
    end = _LENGTH + int.from_bytes(row[:_LENGTH], "big")
    mark, handle = row[_LENGTH:end], row[end:].decode()
    return Owner(handle, mark[1:] if mark[:1] == _KEYED else None, mark == _OUTSIDE)


def _forget(read: Read, write: Write, row: bytes) -> bool:
    found = read(SCHEDULED, row)
    if found is None:
        return False
    due_ms = int.from_bytes(found[:_NUMBER], "big")
    write(SCHEDULED, row, None)
    write(BY_DUE, due_row(Timer(due_ms, PUBLISH, found[_NUMBER : 2 * _NUMBER] + row)), None)
    return True
