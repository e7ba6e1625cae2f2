"""The consistent hash ring: whom a key belongs to, so that few keys move when backends come and go.

After D. Karger and others, "Consistent hashing and random trees" (1997): each backend has many points on a circle of
2**64, and a key belongs to the first point at or after its own. Bounded loads are those of V. Mirrokni, M. Thorup and
M. Zadimoghaddam (2016). Points are BLAKE2b of names and keys, so every process of every version finds the same ones.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

from mainstem.errors import DefinitionError, NoBackend
from mainstem.resilience.balancing.backends import Backend


class HashRing:
    """Backends on a circle, each with ``points`` times its weight.

    It never changes; ``with_backend`` and ``without`` make another.
    With 160 points the busiest of ten backends of equal weight has about a fifth more keys than the mean. Memory is two
    numbers a point. What stands in the list in another order is the same ring.
    """

    __slots__ = ("_backends", "_names", "_owners", "_points", "_points_each")

    def __init__(self, backends: Iterable[Backend], *, points: int = 160) -> None:
        """Raises ``DefinitionError`` for two backends of one name, and for fewer than one point."""
        listed = sorted(backends, key=lambda each: each.name)
        self._backends = {each.name: each for each in listed}
        if len(self._backends) < len(listed) or points < 1:
            raise DefinitionError(
                f"a ring of {[each.name for each in listed]} with {points} points each",
                why="a name stands on the ring once, and has one point at least",
                remedy="give each backend a name of its own, and points from 1",
            )
        self._points_each = points
        placed = sorted(
            (point, name)
            for name, backend in self._backends.items()
            for point in _points_of(name, points * backend.weight)
        )
        self._points = [point for point, _ in placed]
        self._owners = [name for _, name in placed]

    def __len__(self) -> int:
        """How many backends there are."""
        return len(self._backends)

    @property
    def backends(self) -> tuple[Backend, ...]:
        """The backends, by name."""
        return tuple(self._backends.values())

    def owner(self, key: str | bytes) -> str:
        """The name of the backend that ``key`` belongs to. Raises ``NoBackend`` on an empty ring."""
        if not self._owners:
            raise NoBackend("nobody is on the ring", why="the ring is empty", remedy="give it a backend")
        place = bisect_left(self._points, point_of(key))
        return self._owners[place if place < len(self._owners) else 0]

    def walk(self, key: str | bytes) -> Iterator[str]:
        """All names, each once, in the order in which they follow on ``key``: the owner, then its substitutes."""
        owners = self._owners
        place = bisect_left(self._points, point_of(key))
        seen: set[str] = set()
        for offset in range(len(owners)):
            name = owners[(place + offset) % len(owners)]
            if name not in seen:
                seen.add(name)
                yield name
                if len(seen) == len(self._backends):
                    return

    def bounded(self, key: str | bytes, loads: Mapping[str, int], *, percent: int = 125) -> str:
        """The first from ``key`` on whose load stays below ``percent`` of its fair share, this call included.

        ``loads`` are the calls under way, or whatever else is counted, by name. With 100 % and more there is always
        one. Raises ``NoBackend`` on an empty ring, and ``DefinitionError`` for less than 100 %.
        """
        if percent < 100:
            raise DefinitionError(
                f"loads bounded by {percent} % of the mean",
                why="not everybody can be below the mean",
                remedy="give percent from 100; 125 moves few keys",
            )
        weights = sum(each.weight for each in self._backends.values())
        calls = sum(loads.get(name, 0) for name in self._backends) + 1
        for name in self.walk(key):
            # At most the share, rounded up: without the rounding nobody could take the first call.
            if loads.get(name, 0) * weights * 100 < calls * percent * self._backends[name].weight:
                return name
        return self.owner(key)

    def with_backend(self, backend: Backend) -> "HashRing":
        """The ring with one more, or with another weight of one that is there."""
        return HashRing([*self.without(backend.name).backends, backend], points=self._points_each)

    def without(self, name: str) -> "HashRing":
        """The ring without ``name``, whose keys go to those that follow it."""
        kept = [each for each in self._backends.values() if each.name != name]
        return HashRing(kept, points=self._points_each)


def point_of(key: str | bytes) -> int:
    """Where ``key`` lies on a circle of 2**64: the same everywhere and for ever."""
    return int.from_bytes(blake2b(key.encode() if isinstance(key, str) else key, digest_size=8).digest(), "big")


def _points_of(name: str, count: int) -> Iterator[int]:
    """The points of one backend; those of a smaller weight are the first of a larger one's."""
    for block in range(-(-count // 8)):
        # The salt keeps a backend's points apart from the points of keys.
        digest = blake2b(f"{name}\0{block}".encode(), digest_size=64, salt=b"ring").digest()
        for number in range(min(8, count - 8 * block)):
            yield int.from_bytes(digest[8 * number : 8 * number + 8], "big")
