"""Caches: bounded in size and age, and loads that are shared."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.errors import DefinitionError
from mainstem.resilience import Cache, CacheCounts, LoadingCache
from mainstem.testing import SimulationLoop, simulated


def test_what_was_used_least_recently_goes_first() -> None:
    """Reading is using."""
    cache = Cache[str, int](2)
    cache.put("a", 1, 0)
    cache.put("b", 2, 0)
    assert cache.get("a", 0) == 1
    cache.put("c", 3, 0)
    assert [cache.get(key, 0) for key in "abc"] == [1, None, 3]
    assert cache.counts == CacheCounts(hits=3, misses=1, evictions=1)


def test_a_value_lives_as_long_as_stated() -> None:
    """From when it was put, not from when it was read; to the millisecond."""
    cache = Cache[str, int](2, age_ms=100)
    cache.put("a", 1, 0)
    assert [cache.get("a", now_ms) for now_ms in (50, 99, 100)] == [1, 1, None]
    assert len(cache) == 0


def test_what_is_too_old_goes_before_what_is_in_use() -> None:
    """A dead value does not cost a live one its place, even if it was read later."""
    cache = Cache[str, int](2, age_ms=100)
    cache.put("old", 1, 0)
    cache.put("live", 2, 60)
    cache.get("old", 90)
    cache.put("more", 3, 110)
    assert [cache.get(key, 110) for key in ("old", "live", "more")] == [None, 2, 3]


def test_a_value_that_is_put_again_is_young_again() -> None:
    """So another one is too old first, and goes first, even if it was read later."""
    cache = Cache[str, int](2, age_ms=100)
    for key, now_ms in (("again", 0), ("once", 10), ("again", 50)):
        cache.put(key, now_ms, now_ms)
    cache.get("once", 60)
    cache.put("more", 115, 115)
    assert [cache.get(key, 115) for key in ("again", "once", "more")] == [50, None, 115]


@given(
    st.lists(
        st.tuples(st.sampled_from(["get", "put", "discard"]), st.integers(0, 6), st.integers(0, 30)), max_size=150
    ),
    st.integers(1, 5),
    st.none() | st.integers(1, 60),
)
def test_a_cache_is_never_larger_and_never_wrong(
    steps: list[tuple[str, int, int]], size: int, age_ms: int | None
) -> None:
    """Against a dictionary that forgets nothing: what is found is the last value put, and not too old."""
    cache = Cache[int, int](size, age_ms=age_ms)
    written = dict[int, tuple[int, int]]()
    used = list[int]()
    found: int | None = None
    now_ms = 0
    for number, (what, key, wait_ms) in enumerate(steps):
        now_ms += wait_ms
        if what == "put":
            cache.put(key, number, now_ms)
            written[key] = number, now_ms
        elif what == "discard":
            cache.discard(key)
            written.pop(key, None)
        else:
            found = cache.get(key, now_ms)
            value, put_ms = written.get(key, (None, 0))
            fresh = value if age_ms is None or now_ms < put_ms + age_ms else None
            # Of the last keys that were used, as many as there is room for, none is missing.
            assert found == fresh or (found is None and key not in used[-size:])
        # A discarded key has had its place all the same, when others were pushed out.
        if what == "put" or (what == "get" and found is not None):
            used = [each for each in used if each != key] + [key]
        assert len(cache) <= size
        assert len(cache._puts) in (0, len(cache))


@simulated
async def test_many_who_ask_at_once_cause_one_load() -> None:
    """They all get its answer; later it is in the cache, until it is too old. None is an answer too."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulationLoop)
    loads = list[str]()

    async def load(key: str) -> None:
        loads.append(key)
        await asyncio.sleep(1)

    cache = LoadingCache(load, size=10, age_ms=5_000, clock=loop.clock)
    assert await asyncio.gather(*(cache.get("a") for _ in range(50)), cache.get("b")) == [None] * 51
    await cache.get("a")
    assert loads == ["a", "b"]
    await asyncio.sleep(5)
    await cache.get("a")
    assert loads == ["a", "b", "a"]


@simulated
async def test_a_load_that_fails_is_not_kept() -> None:
    """Who waited for it gets the error; the next one tries again."""
    answers = iter([ConnectionError("away"), None])

    async def load(_: str) -> str:
        await asyncio.sleep(1)
        if error := next(answers):
            raise error
        return "found"

    cache = LoadingCache(load, size=10)
    errors = await asyncio.gather(cache.get("a"), cache.get("a"), return_exceptions=True)
    assert [type(each) for each in errors] == [ConnectionError, ConnectionError]
    assert await cache.get("a") == "found"


@simulated
async def test_who_is_cancelled_takes_nobody_along() -> None:
    """The load goes on while somebody waits for it, and ends with the last."""
    ended = list[str]()

    async def load(key: str) -> str:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            ended.append(key)
            raise
        return key

    cache = LoadingCache(load, size=10)
    first, second = asyncio.create_task(cache.get("a")), asyncio.create_task(cache.get("a"))
    alone = asyncio.create_task(cache.get("b"))
    await asyncio.sleep(0.5)
    first.cancel()
    alone.cancel()
    assert await second == "a"
    await asyncio.sleep(0)
    assert ended == ["b"]
    assert await cache.get("b") == "b"
    assert cache._loads == {}


@simulated
async def test_what_was_discarded_while_it_was_loaded_is_not_kept() -> None:
    """A value that changed in between would be kept for a whole age."""
    values = iter(["before", "after"])

    async def load(_: str) -> str:
        value = next(values)
        await asyncio.sleep(1)
        return value

    cache = LoadingCache(load, size=10)
    early = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0.5)
    cache.discard("a")
    late = asyncio.create_task(cache.get("a"))
    assert await early == "before"
    assert [await cache.get("a"), await late, await cache.get("a")] == ["after"] * 3
    assert cache._loads == {}


@pytest.mark.parametrize(("size", "age_ms"), [(0, None), (1, 0)])
def test_a_cache_of_nothing_is_refused(size: int, age_ms: int | None) -> None:
    """A mistake is reported where the cache is made."""
    with pytest.raises(DefinitionError):
        Cache[str, str](size, age_ms=age_ms)
