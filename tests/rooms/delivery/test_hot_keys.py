"""Hot keys: found from a few keys now and then, and told with what waits in their lane."""

import asyncio
from typing import Any

from mainstem.broker import Batch, Record, TopicPartition, single
from mainstem.clock import ManualClock
from mainstem.delivery.ledger import HotKey
from mainstem.delivery.measures import HotKeys
from mainstem.delivery.measures.hot import WINDOW
from tests.rooms.delivery.stage import Paid, on, staged, until


class Keys(list[bytes | None]):
    """The keys of a batch, and how many of them were looked at."""

    looked = 0

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        self.looked += len(found) if isinstance(found, list) else 1
        return found


def batch(*keys: bytes | None) -> Batch:
    """A batch with these keys."""
    found = single(TopicPartition("orders", 0), 0, Record(None, b"", 1))
    found.offsets, found.keys = range(len(keys)), Keys(keys)
    return found


def test_the_key_of_a_fifth_is_hot() -> None:
    """One below a fifth is not; and of a few events nothing is said."""
    hot = HotKeys(ManualClock())
    hot.sample(batch(*[b"hot"] * 10))
    assert hot.hottest() is None
    for number in range(50):
        hot.sample(batch(b"hot", *(b"%d" % (number * 4 + more) for more in range(4))))
    found = hot.hottest()
    assert found is not None
    assert found[0] == b"hot"
    assert 0.2 <= found[1] < 0.3
    even = HotKeys(ManualClock())
    for number in range(500):
        even.sample(batch(b"%d" % (number % 6)))
    assert even.hottest() is None


def test_few_keys_are_looked_at() -> None:
    """Of a large batch a few, and of the next one none until there was a commit."""
    hot, large = HotKeys(ManualClock()), batch(*[b"k"] * 10_000)
    assert hot.due
    hot.sample(large)
    assert isinstance(large.keys, Keys)
    assert large.keys.looked <= 32
    assert not hot.due


def test_what_was_long_ago_counts_less() -> None:
    """Another key is hot soon, what was kept stays small; and when nothing is read any more none is."""
    clock = ManualClock()
    hot = HotKeys(clock)
    for _ in range(WINDOW):
        hot.sample(batch(b"old"))
    for number in range(WINDOW):
        hot.sample(batch(b"new", b"%d" % number))
    found = hot.hottest()
    assert found is not None
    assert found[0] == b"new"
    for number in range(5 * WINDOW):
        hot.sample(batch(b"%d" % number))
    assert len(hot._counts) <= WINDOW
    for _ in range(WINDOW):
        hot.sample(batch(b"old"))
    assert hot.hottest() is not None
    clock.advance(61)
    assert hot.hottest() is None


def test_events_without_a_key_are_no_hot_key() -> None:
    """They take any lane."""
    hot = HotKeys(ManualClock())
    for _ in range(100):
        hot.sample(batch(None))
    assert hot.hottest() is None


async def test_a_task_names_its_hot_key_and_what_waits_for_it() -> None:
    """The others go on; those of the hot key take turns, and the oldest says for how long they have waited."""
    go_on, begun = asyncio.Event(), asyncio.Event()

    @on(Paid)
    async def handle(event: Paid) -> None:
        if event.order == "hot":
            begun.set()
            await go_on.wait()

    async with staged() as stage, stage.running(handle, lanes=4) as running:
        await until(lambda: any(each.positions for each in running.runner.tasks.values()))
        [task] = running.runner.tasks.values()

        def named() -> HotKey:
            hot = task.strain.hot
            assert hot is not None
            return hot

        for number in range(35):
            commits = running.counters.commits
            await stage.publish_at_once(Paid("hot", number), Paid(f"k{number}"))
            await until(lambda commits=commits: running.counters.commits > commits)
        assert begun.is_set()
        assert (named().key, named().waiting) == ("hot", 34)
        assert named().share > 0.2
        stage.clock.ahead_ms += 5_000
        assert named().wait_ms >= 5_000
        go_on.set()
        await stage.settled(running)
        assert (named().waiting, named().wait_ms) == (0, 0)
