"""What was found out once, kept for a while: bounded in size and in age."""

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

from mainstem.errors import DefinitionError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class CacheCounts(NamedTuple):
    """How often a cache had the value and had it not, and how many values it gave up for want of room."""

    hits: int
    misses: int
    evictions: int


class Cache(Generic[K, V]):
    """At most ``size`` values, each for at most ``age_ms`` (for ever, without one) after it was put.

    When it is full, a value that is too old goes first, and else the one that was used least recently. Time is an
    argument, in milliseconds of any clock that does not go back. Every call takes the same time however large it is.
    For one thread.
    """

    __slots__ = ("_age_ms", "_evictions", "_hits", "_misses", "_puts", "_size", "_values")

    def __init__(self, size: int, *, age_ms: int | None = None) -> None:
        """Raises ``DefinitionError`` for a size or an age that holds nothing."""
        if size < 1 or (age_ms is not None and age_ms < 1):
            raise DefinitionError(
                f"a cache for {size} values of {age_ms} ms",
                why="it would hold nothing",
                remedy="give size from 1, and age_ms from 1 or none",
            )
        self._size = size
        self._age_ms = age_ms
        # In the order of use: the value, and when it is too old.
        self._values: dict[K, tuple[V, int]] = {}
        # In the order of putting, which is that of becoming too old; only where there is an age.
        self._puts: dict[K, None] = {}
        self._hits = self._misses = self._evictions = 0

    def __len__(self) -> int:
        """How many values take up room, those included that are too old and have not been asked for since."""
        return len(self._values)

    @property
    def counts(self) -> CacheCounts:
        """What has happened so far."""
        return CacheCounts(self._hits, self._misses, self._evictions)

    def get(self, key: K, now_ms: int) -> V | None:
        """The value, which is now the one used last; None where there is none."""
        found = self._values.pop(key, None)
        if found is None:
            self._misses += 1
            return None
        if self._age_ms is not None and now_ms >= found[1]:
            del self._puts[key]
            self._misses += 1
            return None
        self._values[key] = found
        self._hits += 1
        return found[0]

    def put(self, key: K, value: V, now_ms: int) -> None:
        """Keep ``value``, in place of what there was."""
        if self._values.pop(key, None) is None and len(self._values) >= self._size:
            self._make_room(now_ms)
        if self._age_ms is None:
            self._values[key] = value, 0
        else:
            self._values[key] = value, now_ms + self._age_ms
            self._puts.pop(key, None)
            self._puts[key] = None

    def discard(self, key: K) -> None:
        """Give up the value of ``key``, if there is one."""
        if self._values.pop(key, None) is not None:
            self._puts.pop(key, None)

    def _make_room(self, now_ms: int) -> None:
        key = next(iter(self._values))
        if self._age_ms is not None:
            oldest = next(iter(self._puts))
            if now_ms >= self._values[oldest][1]:
                key = oldest
            del self._puts[key]
        del self._values[key]
        self._evictions += 1
