"""Publications that wait for their time: one row by whose they are and their handle, one among the timers by due time.

They belong to the key that has scheduled them, so scheduling, replacing, cancelling and publishing happen in that key's
lane. As long as they are not due they cost their two rows and nothing else. Of those due at the same time the one
that was scheduled first has the lower stamp, and comes first.
"""

from typing import NamedTuple

from mainstem.state.timers import BY_DUE, LATEST_MS, Read, Timer, Write, due_row

SCHEDULED = "$scheduled"
PUBLISH = "$publish"
"""The name of the timers in whose place a publication waits."""

_NUMBER = 8
_LENGTH = 4


class Scheduled(NamedTuple):
    """A publication that waits. ``key`` is that of the event which has scheduled it, or None for a keyless one."""

    due_ms: int
    key: bytes | None
    handle: str
    payload: bytes


def put(read: Read, write: Write, scheduled: Scheduled, stamp: int) -> None:
    """Let one wait; that of the same key and handle is replaced. ``stamp`` grows from one scheduling to the next."""
    row = _row(scheduled.key, scheduled.handle)
    _forget(read, write, row)
    due_ms = min(max(scheduled.due_ms, 0), LATEST_MS)
    place = stamp.to_bytes(_NUMBER, "big") + row
    write(SCHEDULED, row, due_ms.to_bytes(_NUMBER, "big") + place[:_NUMBER] + scheduled.payload)
    write(BY_DUE, due_row(Timer(due_ms, PUBLISH, place)), b"")


def cancel(read: Read, write: Write, key: bytes | None, handle: str) -> bool:
    """Let it not be published; False when none of this key and handle waits."""
    return _forget(read, write, _row(key, handle))


def take(read: Read, write: Write, timer: Timer) -> Scheduled | None:
    """Remove one that was found to be due; None when it was replaced or cancelled since it was looked for."""
    place = timer.key
    assert place is not None
    row = place[_NUMBER:]
    found = read(SCHEDULED, row)
    if found is None or found[: 2 * _NUMBER] != timer.due_ms.to_bytes(_NUMBER, "big") + place[:_NUMBER]:
        # Keyless events share no lane: of two that schedule under one name at once, the later knows nothing of the
        # other's row, which would be found again and again.
        if read(BY_DUE, due_row(timer)) is not None:
            write(BY_DUE, due_row(timer), None)
        return None
    _forget(read, write, row)
    key, handle = _owner(row)
    return Scheduled(timer.due_ms, key, handle, found[2 * _NUMBER :])


def key_of(timer: Timer) -> bytes | None:
    """The key that has scheduled what waits in the place of this timer."""
    assert timer.key is not None
    return _owner(timer.key[_NUMBER:])[0]


def _forget(read: Read, write: Write, row: bytes) -> bool:
    found = read(SCHEDULED, row)
    if found is None:
        return False
    due_ms = int.from_bytes(found[:_NUMBER], "big")
    write(SCHEDULED, row, None)
    write(BY_DUE, due_row(Timer(due_ms, PUBLISH, found[_NUMBER : 2 * _NUMBER] + row)), None)
    return True


def _row(key: bytes | None, handle: str) -> bytes:
    mark = b"\x00" if key is None else b"\x01" + key
    return len(mark).to_bytes(_LENGTH, "big") + mark + handle.encode()


def _owner(row: bytes) -> tuple[bytes | None, str]:
    end = _LENGTH + int.from_bytes(row[:_LENGTH], "big")
    return row[_LENGTH + 1 : end] if row[_LENGTH] else None, row[end:].decode()
