"""The rows of a task as they were at one moment, in memory: for whoever looks at them from outside."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence


class FoldedRows:
    """What a sequence of changes amounts to."""

    def __init__(self, changes: Iterable[tuple[str, bytes, bytes | None]]) -> None:
        """Of each key the last change holds."""
        stores: dict[str, dict[bytes, bytes]] = {}
        for store, key, value in changes:
            rows = stores.setdefault(store, {})
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
        self._stores = {store: (sorted(rows), rows) for store, rows in stores.items()}

    def get_many(self, store: str, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The values of those keys that have one."""
        _, rows = self._stores.get(store, ([], {}))
        return {key: rows[key] for key in keys if key in rows}

    def scan(
        self, store: str, start: bytes = b"", stop: bytes | None = None, *, limit: int, reverse: bool = False
    ) -> Sequence[tuple[bytes, bytes]]:
        """Rows with ``start <= key < stop`` in key order, at most ``limit``."""
        keys, rows = self._stores.get(store, ([], {}))
        found = keys[bisect_left(keys, start) : len(keys) if stop is None else bisect_left(keys, stop)]
        return [(key, rows[key]) for key in (reversed(found) if reverse else found)][:limit]
