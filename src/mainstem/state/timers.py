"""Durable timers as store contents: one row by name and key, one by due time.

A timer belongs to the key that set it, so setting, replacing, cancelling and firing happen in that key's lane, and
its rows commit with whatever else the event did. A million timers that are not due cost two rows each and nothing
else: the task only looks at the first due row.

When its firing begins, a timer is not set any more, and its name is free to be set again; a row by the setting's tag
stands for it until it ends. So a firing that is interrupted goes on, whatever has become of the name meanwhile. There
are no more such rows than lanes.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from mainstem.state.task_state import TaskState

BY_KEY = "$timers"
BY_DUE = "$due"
BEGUN = "$begun"

_LENGTH = 2
_DUE = 8
LATEST_MS = 2**63 - 1

Read = Callable[[str, bytes], bytes | None]
Write = Callable[[str, bytes, bytes | None], None]


class Timer(NamedTuple):
    """A timer that is set. ``key`` is the key bytes of the event that set it, or None for a keyless one."""

    due_ms: int
    name: str
    key: bytes | None


class Firing(NamedTuple):
    """A timer whose firing has begun. ``tag`` was given to it when it was set, and to no other setting."""

    tag: bytes
    timer: Timer


def _identity(name: str, key: bytes | None) -> bytes:
    encoded = name.encode()
    mark = b"\x00" if key is None else b"\x01" + key
    return len(encoded).to_bytes(_LENGTH, "big") + encoded + mark


def due_row(timer: Timer) -> bytes:
    """The key of a timer's row by due time."""
    # What was due before 1970 is due now, and what is due in so many million years may as well be due then.
    due = min(max(timer.due_ms, 0), LATEST_MS)
    return due.to_bytes(_DUE, "big") + _identity(timer.name, timer.key)


def _timer(row_key: bytes) -> Timer:
    due = int.from_bytes(row_key[:_DUE], "big")
    length = int.from_bytes(row_key[_DUE : _DUE + _LENGTH], "big")
    at = _DUE + _LENGTH + length
    name = row_key[_DUE + _LENGTH : at].decode()
    return Timer(due, name, row_key[at + 1 :] if row_key[at] else None)


def put(read: Read, write: Write, timer: Timer, tag: bytes = b"") -> None:
    """Set a timer; one of the same name and key is replaced. Without a tag its firing cannot :func:`begin`."""
    cancel(read, write, timer.name, timer.key)
    row = due_row(timer)
    write(BY_KEY, row[_DUE:], row[:_DUE] + tag)
    write(BY_DUE, row, b"")


def cancel(read: Read, write: Write, name: str, key: bytes | None) -> bool:
    """Remove a timer; False when there was none."""
    identity = _identity(name, key)
    row = read(BY_KEY, identity)
    if row is None:
        return False
    write(BY_KEY, identity, None)
    write(BY_DUE, row[:_DUE] + identity, None)
    return True


def is_set(read: Read, name: str, key: bytes | None) -> bool:
    """Whether there is a timer of this name and key."""
    return read(BY_KEY, _identity(name, key)) is not None


def is_due(read: Read, timer: Timer) -> bool:
    """Whether the timer is still set for this very time; it may have been replaced since it was scanned."""
    row = read(BY_KEY, _identity(timer.name, timer.key))
    return row is not None and int.from_bytes(row[:_DUE], "big") == timer.due_ms


def tag_of(read: Read, timer: Timer) -> bytes:
    """What the timer was given when it was set."""
    row = read(BY_KEY, _identity(timer.name, timer.key))
    return b"" if row is None else row[_DUE:]


def begin(read: Read, write: Write, timer: Timer) -> Firing | None:
    """Note that a timer which was found to be due fires now; None when it is not set for this very time any more."""
    row = due_row(timer)
    if not is_due(read, timer):
        # Keyless events share their timers and no lane: of two that set one at the same moment, the later knows nothing
        # of the other's row, which would be found again and again.
        if read(BY_DUE, row) is not None:
            write(BY_DUE, row, None)
        return None
    found = read(BY_KEY, row[_DUE:])
    assert found is not None
    cancel(read, write, timer.name, timer.key)
    tag = found[_DUE:]
    return go_on(write, Firing(tag, timer))


def go_on(write: Write, firing: Firing) -> Firing:
    """Note a firing that has begun, and by which name whoever owns the task next is to go on with it."""
    write(BEGUN, firing.tag, due_row(firing.timer))
    return firing


def end(write: Write, firing: Firing) -> None:
    """The firing is over, or will not go on."""
    write(BEGUN, firing.tag, None)


def begun(state: TaskState) -> list[Firing]:
    """The firings that have begun and not ended."""
    return [Firing(tag, _timer(row)) for tag, row in state.walk(BEGUN)]


def due_until(state: TaskState, until_ms: int, limit: int) -> list[Timer]:
    """The timers due at or before ``until_ms``, earliest first."""
    stop = (until_ms + 1).to_bytes(_DUE, "big")
    return [_timer(key) for key, _ in state.scan(BY_DUE, b"", stop, limit=limit)]


def walk_due(state: TaskState) -> Iterator[Timer]:
    """All timers that are set, earliest first, however many."""
    return (_timer(key) for key, _ in state.walk(BY_DUE))


def next_due_ms(state: TaskState) -> int | None:
    """When the earliest timer is due, or was whose firing has begun; None without any."""
    rows = [row for _, row in state.scan(BEGUN, limit=1)] + [key for key, _ in state.scan(BY_DUE, limit=1)]
    return min((_timer(row).due_ms for row in rows), default=None)


def names(state: TaskState) -> list[str]:
    """The names of all timers that are set, each once; a look per name, however many timers there are."""
    found: list[str] = []
    start = b""
    while rows := state.scan(BY_KEY, start, limit=1):
        row_key = rows[0][0]
        end = _LENGTH + int.from_bytes(row_key[:_LENGTH], "big")
        found.append(row_key[_LENGTH:end].decode())
        # Behind the name comes 0 or 1, so this lies behind all rows of the name and before those of any other.
        start = row_key[:end] + b"\x02"
    return found


def named(state: TaskState, name: str) -> Iterator[Timer]:
    """The timers of a name that are set, by key, however many."""
    start = len(name.encode()).to_bytes(_LENGTH, "big") + name.encode()
    for row_key, row in state.walk(BY_KEY, start, start + b"\x02"):
        yield _timer(row[:_DUE] + row_key)
