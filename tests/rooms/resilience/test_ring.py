"""The consistent hash ring: balance, movement, and how naive rehashing compares."""

import random
import statistics
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstem.errors import DefinitionError, NoBackend
from mainstem.resilience import Backend, HashRing, KeyHash

TEN = [Backend(f"node-{number}") for number in range(10)]
KEYS = [f"customer-{number}" for number in range(20_000)]


def owners(ring: HashRing) -> list[str]:
    """Whom each of the keys belongs to."""
    return [ring.owner(key) for key in KEYS]


def spread(found: list[str]) -> float:
    """The standard deviation of the shares, by their mean."""
    shares = list(Counter(found).values())
    return statistics.pstdev(shares) / statistics.mean(shares)


def test_a_key_has_one_owner_everywhere_and_for_ever() -> None:
    """Written down once: another process, another version, another order of the list give the same."""
    ring = HashRing(reversed(TEN))
    assert [ring.owner(key) for key in ("a", b"a", "b", "customer-1", "")] == [
        HashRing(TEN).owner(key) for key in ("a", "a", "b", "customer-1", "")
    ]
    assert [ring.owner(key) for key in ("a", "b", "c", "d")] == PINNED
    assert ring.backends == HashRing(TEN).backends


PINNED = ["node-8", "node-9", "node-6", "node-4"]


@pytest.mark.parametrize(("points", "most"), [(10, 0.45), (40, 0.25), (160, 0.12), (500, 0.08)])
def test_more_points_balance_better(points: int, most: float) -> None:
    """The deviation of the shares falls with the root of the number of points."""
    assert spread(owners(HashRing(TEN, points=points))) < most


def test_weights_are_shares() -> None:
    """A backend of weight three has three times the keys of one of weight one."""
    shares = Counter(owners(HashRing([Backend("large", 3), Backend("a"), Backend("b")], points=500)))
    assert shares["large"] / len(KEYS) == pytest.approx(0.6, abs=0.04)
    assert shares["a"] / len(KEYS) == pytest.approx(0.2, abs=0.04)


def test_a_newcomer_takes_its_share_and_nothing_else_moves() -> None:
    """About one key in eleven goes to the eleventh; none between the other ten. Rehashing moves ten in eleven."""
    ring = HashRing(TEN)
    before, after = owners(ring), owners(ring.with_backend(Backend("node-10")))
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"node-10"}
    assert 0.07 < len(moved) / len(KEYS) < 0.11
    eleven = [*TEN, Backend("node-10")]
    naive = [KeyHash().choose(None, TEN, key) != KeyHash().choose(None, eleven, key) for key in KEYS]
    assert sum(naive) / len(KEYS) > 0.85


def test_who_leaves_moves_its_own_keys_only() -> None:
    """They go to several others, each to the next on the ring; everybody else's stay."""
    ring = HashRing(TEN)
    before, after = owners(ring), owners(ring.without("node-3"))
    moved = [(key, old, new) for key, old, new in zip(KEYS, before, after, strict=True) if old != new]
    assert {old for _, old, _ in moved} == {"node-3"}
    assert before.count("node-3") == len(moved)
    assert len({new for _, _, new in moved}) == 9
    for key, old, new in moved[:50]:
        assert list(ring.walk(key))[:2] == [old, new]


@settings(max_examples=50)
@given(
    weights=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 4), min_size=1),
    weight=st.integers(1, 4),
    key=st.text(),
)
def test_movement_is_minimal(weights: dict[str, int], weight: int, key: str) -> None:
    """Whoever comes, a key stays or goes to the newcomer; it leaves again, and everything is as before."""
    ring = HashRing([Backend(name, each) for name, each in weights.items()], points=20)
    larger = ring.with_backend(Backend("newcomer", weight))
    assert larger.owner(key) in (ring.owner(key), "newcomer")
    assert larger.without("newcomer").owner(key) == ring.owner(key)
    assert sorted(ring.walk(key)) == sorted(weights)
    assert next(ring.walk(key)) == ring.owner(key)


def test_growing_takes_keys_and_shrinking_gives_them() -> None:
    """Another weight moves keys to or from that backend only."""
    ring = HashRing(TEN)
    before, after = owners(ring), owners(ring.with_backend(Backend("node-0", 2)))
    assert {new for old, new in zip(before, after, strict=True) if old != new} == {"node-0"}


@settings(max_examples=50)
@given(seed=st.integers(), percent=st.sampled_from([100, 125, 200]), calls=st.integers(1, 300))
def test_bounded_loads_are_bounded(seed: int, percent: int, calls: int) -> None:
    """However uneven the keys, nobody gets beyond its bound; who is below it keeps its keys."""
    chance = random.Random(seed)
    backends = [Backend("a"), Backend("b"), Backend("c", 2)]
    ring = HashRing(backends, points=40)
    loads = Counter[str]()
    for _ in range(calls):
        key = chance.choice(["hot", "hot", "hot", str(chance.random())])
        name = ring.bounded(key, loads, percent=percent)
        loads[name] += 1
        weight = 2 if name == "c" else 1
        # The share of the calls so far, rounded up.
        assert loads[name] <= -(-loads.total() * percent * weight // 400)
    assert ring.bounded("hot", {}) == ring.owner("hot")


def test_a_ring_that_makes_no_sense_is_refused() -> None:
    """Two of one name, no points, a bound below the mean; and nobody owns anything on an empty one."""
    with pytest.raises(DefinitionError):
        HashRing([Backend("a"), Backend("a", 2)])
    with pytest.raises(DefinitionError):
        HashRing([Backend("a")], points=0)
    with pytest.raises(DefinitionError):
        HashRing([Backend("a")]).bounded("key", {}, percent=99)
    for ask in (HashRing([]).owner, lambda key: HashRing([]).bounded(key, {})):
        with pytest.raises(NoBackend):
            ask("key")
    assert list(HashRing([]).walk("key")) == []
