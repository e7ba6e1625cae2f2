"""What a task remembers: committed rows, and over them the changes that wait for a commit.

A read sees, in this order, what the task has changed since its last commit, what a commit in flight carries, and the
committed rows. Values read are kept, because a task is the only writer of its rows; the memory for that is bounded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from typing import NamedTuple, Protocol

CACHED_ROWS = 100_000
WALKED_ROWS = 500


class Rows(Protocol):
    """The committed rows of one task, by store."""

    def get_many(self, store: str, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The values of those keys that have one."""
        ...

    def scan(
        self, store: str, start: bytes, stop: bytes | None, *, limit: int, reverse: bool = False
    ) -> Sequence[tuple[bytes, bytes]]:
        """Rows with ``start <= key < stop`` (None: to the end) in key order, at most ``limit``."""
        ...


class Row(NamedTuple):
    """A change: the new value of a key in a store, or its deletion (None)."""

    store: str
    key: bytes
    value: bytes | None


_NOTHING: Mapping[bytes, bytes | None] = {}


class _View:
    """One store: ``values`` is what a reader sees, as far as it is known; the other two say what is not committed."""

    __slots__ = ("changed", "flying", "values")

    def __init__(self) -> None:
        self.values: dict[bytes, bytes | None] = {}
        self.changed: dict[bytes, bytes | None] = {}
        self.flying: dict[bytes, bytes | None] = {}

    def forget_clean(self) -> None:
        self.values = {**self.flying, **self.changed}


class TaskState:
    """All stores of one task, as bytes. Reads may come from any thread, changes from the event loop alone."""

    def __init__(self, rows: Rows, *, cached_rows: int = CACHED_ROWS) -> None:
        self._rows = rows
        self._views: dict[str, _View] = {}
        self._cached_rows = cached_rows

    def _view(self, store: str) -> _View:
        view = self._views.get(store)
        if view is None:
            view = self._views.setdefault(store, _View())
        return view

    def get(self, store: str, key: bytes) -> bytes | None:
        """The value of a key, or None."""
        view = self._views.get(store) or self._view(store)
        try:
            return view.values[key]
        except KeyError:
            value = self._rows.get_many(store, (key,)).get(key)
            # Keyless events share the rows of their timers, and in threads no lane: one of them may have been taken in
            # between the look and the keeping, and what it has changed stays.
            return view.values.setdefault(key, value)

    def is_pending(self, store: str, key: bytes) -> bool:
        """Whether the value of a key has been changed, and that is not committed yet."""
        view = self._views.get(store)
        return view is not None and (key in view.changed or key in view.flying)

    def prefetch(self, store: str, keys: Iterable[bytes]) -> None:
        """Read those keys that are not known yet, at once."""
        view = self._view(store)
        values = view.values
        missing = [key for key in set(keys) if key not in values]
        if not missing:
            return
        found = self._rows.get_many(store, missing)
        for key in missing:
            values[key] = found.get(key)

    def scan(
        self,
        store: str,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        limit: int,
        reverse: bool = False,
        over: Mapping[bytes, bytes | None] = _NOTHING,
    ) -> list[tuple[bytes, bytes]]:
        """Rows with ``start <= key < stop`` in key order (``reverse``: falling), at most ``limit``.

        ``over`` are changes that are to be seen as well, although they have not been taken in yet.
        """
        view = self._view(store)
        # In this order: between the two looks a cut may move changes to those in flight, never back.
        changed = view.changed
        waiting = {
            key: value
            for source in (view.flying, changed, over)
            for key, value in source.items()
            if key >= start and (stop is None or key < stop)
        }
        # Each waiting change can hide one committed row at most, so this many are enough to fill the limit.
        committed = self._rows.scan(store, start, stop, limit=limit + len(waiting), reverse=reverse)
        kept = [row for row in committed if row[0] not in waiting]
        added = sorted((row for row in waiting.items() if row[1] is not None), reverse=reverse)
        merged = merge(kept, added, key=lambda row: row[0], reverse=reverse)
        return [(key, value) for (key, value), _ in zip(merged, range(limit), strict=False) if value is not None]

    def walk(
        self, store: str, start: bytes = b"", stop: bytes | None = None, *, at_once: int = WALKED_ROWS
    ) -> Iterator[tuple[bytes, bytes]]:
        """All rows with ``start <= key < stop`` in key order, however many, of which so many are in memory at once.

        What is changed meanwhile, behind the rows that have been read, is seen.
        """
        while rows := self.scan(store, start, stop, limit=at_once):
            yield from rows
            start = rows[-1][0] + b"\x00"

    def apply(self, changes: Mapping[tuple[str, bytes], bytes | None]) -> None:
        """Take an event's changes in; they wait for the next commit."""
        views = self._views
        for (store, key), value in changes.items():
            view = views.get(store) or self._view(store)
            view.values[key] = value
            view.changed[key] = value

    def cut(self) -> list[Row]:
        """All changes since the last cut; until :meth:`committed` they are in flight."""
        rows: list[Row] = []
        # A thread that reads may add a view meanwhile, even while a list of them is being made.
        for store, view in self._views.copy().items():
            if view.changed:
                # As Row(...) would make it, in a fifth of the time.
                rows += [tuple.__new__(Row, (store, key, value)) for key, value in view.changed.items()]
                view.flying = view.changed
                view.changed = {}
        return rows

    def committed(self) -> None:
        """What was in flight is in the rows now."""
        for view in self._views.copy().values():
            view.flying = {}
            if len(view.values) > self._cached_rows:
                view.forget_clean()
