"""Committed rows in a dictionary, with the semantics of those in a file."""

from collections.abc import Iterable, Sequence

from mainstem.state import Row


class DictRows:
    """Rows of one task, by store."""

    def __init__(self) -> None:
        """Begin empty."""
        self.stores: dict[str, dict[bytes, bytes]] = {}
        self.reads = 0

    def write(self, rows: Iterable[Row]) -> None:
        """What a commit does."""
        for store, key, value in rows:
            if value is None:
                self.stores.get(store, {}).pop(key, None)
            else:
                self.stores.setdefault(store, {})[key] = value

    def get_many(self, store: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values of those keys that have one."""
        self.reads += 1
        rows = self.stores.get(store, {})
        return {key: rows[key] for key in keys if key in rows}

    def scan(
        self, store: str, start: bytes, stop: bytes | None, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Rows within bounds, in key order."""
        self.reads += 1
        rows = sorted(self.stores.get(store, {}).items(), reverse=reverse)
        return [row for row in rows if row[0] >= start and (stop is None or row[0] < stop)][:limit]
