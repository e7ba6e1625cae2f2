"""Where a registry's contents are: rows of bytes in the order of their keys."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Protocol


class Rows(Protocol):
    """Rows in key order. Nobody changes them while one call of the rules runs."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        ...

    def put(self, key: bytes, value: bytes) -> None:
        """Write a row."""
        ...

    def delete(self, key: bytes) -> None:
        """Remove a row; nothing happens where there is none."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows whose keys begin with ``prefix``, in order; read as far as the caller asks for."""
        ...


class MemoryRows:
    """Rows in memory."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        return self._values.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Write a row."""
        if key not in self._values:
            insort(self._keys, key)
        self._values[key] = value

    def delete(self, key: bytes) -> None:
        """Remove a row; nothing happens where there is none."""
        if self._values.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows whose keys begin with ``prefix``, in order. A row that is gone when its turn comes is left out."""
        at = bisect_left(self._keys, prefix)
        while at < len(self._keys) and (key := self._keys[at]).startswith(prefix):
            yield key, self._values[key]
            at = at + 1 if at < len(self._keys) and self._keys[at] == key else bisect_right(self._keys, key)


class Changes:
    """Rows over other rows: what is written is kept apart, as :attr:`changed`, and the others stay as they are."""

    def __init__(self, under: Rows) -> None:
        self._under = under
        self.changed: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        return self.changed[key] if key in self.changed else self._under.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Write a row."""
        self.changed[key] = value

    def delete(self, key: bytes) -> None:
        """Remove a row."""
        self.changed[key] = None

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows whose keys begin with ``prefix``, in order."""
        own = sorted(key for key in self.changed if key.startswith(prefix))
        following = iter(own)
        mine = next(following, None)
        for key, value in self._under.scan(prefix):
            while mine is not None and mine < key:
                if (changed := self.changed[mine]) is not None:
                    yield mine, changed
                mine = next(following, None)
            if mine != key:
                yield key, value
        while mine is not None:
            if (changed := self.changed[mine]) is not None:
                yield mine, changed
            mine = next(following, None)

    def write_to(self, rows: Rows) -> None:
        """Make the changes."""
        for key, value in self.changed.items():
            if value is None:
                rows.delete(key)
            else:
                rows.put(key, value)
