"""What a task remembers, against a plain model and on the rows of a real file."""

import asyncio
import threading
from collections.abc import Mapping, Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mainstem.broker import Change, GroupSpec, TopicPartition
from mainstem.broker.sqlite.broker import SqliteBroker
from mainstem.state import Row, TaskState
from tests.rooms.state.rows import DictRows

Known = dict[tuple[str, bytes], bytes]

STORES = st.sampled_from(["a", "b"])
# Few keys, so that they collide; among them prefixes of each other, an empty one and one with a NUL byte.
KEYS = st.sampled_from([b"", b"\x00", b"k", b"k\x00", b"k\x00\x01", b"ka", b"kb", b"\xff", b"\xff\xff"])
VALUES = st.none() | st.sampled_from([b"", b"1", b"2", b"3"])
BOUNDS = st.none() | KEYS
CHANGES = st.dictionaries(st.tuples(STORES, KEYS), VALUES, max_size=6)


def scanned(
    model: Mapping[tuple[str, bytes], bytes], store: str, start: bytes, stop: bytes | None, *, limit: int, reverse: bool
) -> list[tuple[bytes, bytes]]:
    """What a scan of the model gives."""
    rows = sorted(((key, value) for (name, key), value in model.items() if name == store), reverse=reverse)
    return [row for row in rows if row[0] >= start and (stop is None or row[0] < stop)][:limit]


def changed(model: Known, changes: Mapping[tuple[str, bytes], bytes | None]) -> Known:
    """The model after some changes."""
    after = {**model, **changes}
    return {at: value for at, value in after.items() if value is not None}


class AgainstAModel(RuleBasedStateMachine):
    """Any order of reads, changes, cuts and commits; refused commits, and caches of every small size."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self.rows = DictRows()
        self.seen: Known = {}
        self.durable: Known = {}
        self.cut_rows: list[Row] | None = None
        self.cut_seen: Known = {}
        self.written = False
        self.cached_rows = 0

    @initialize(cached_rows=st.integers(0, 4))
    def begin(self, cached_rows: int) -> None:
        """An owner takes the task over."""
        self.cached_rows = cached_rows
        self.state = TaskState(self.rows, cached_rows=cached_rows)

    @rule(store=STORES, key=KEYS)
    def get(self, store: str, key: bytes) -> None:
        """A read sees the last change."""
        assert self.state.get(store, key) == self.seen.get((store, key))

    @rule(store=STORES, keys=st.lists(KEYS))
    def prefetch(self, store: str, keys: list[bytes]) -> None:
        """What has been fetched ahead is not read again."""
        self.state.prefetch(store, keys)
        reads = self.rows.reads
        for key in keys:
            assert self.state.get(store, key) == self.seen.get((store, key))
        assert self.rows.reads == reads

    @rule(store=STORES, start=KEYS, stop=BOUNDS, limit=st.integers(0, 5), reverse=st.booleans(), over=CHANGES)
    def scan(
        self,
        store: str,
        start: bytes,
        stop: bytes | None,
        limit: int,
        reverse: bool,  # noqa: FBT001 - hypothesis calls by name
        over: dict[tuple[str, bytes], bytes | None],
    ) -> None:
        """A scan merges committed rows, those in flight, those that wait, and those laid over it."""
        mine = {key: value for (name, key), value in over.items() if name == store}
        found = self.state.scan(store, start, stop, limit=limit, reverse=reverse, over=mine)
        assert found == scanned(changed(self.seen, over), store, start, stop, limit=limit, reverse=reverse)

    @rule(changes=CHANGES)
    def apply(self, changes: dict[tuple[str, bytes], bytes | None]) -> None:
        """An event is done."""
        self.state.apply(changes)
        self.seen = changed(self.seen, changes)

    @precondition(lambda self: self.cut_rows is None)
    @rule()
    def cut(self) -> None:
        """A commit begins."""
        self.cut_rows = self.state.cut()
        self.cut_seen = dict(self.seen)
        assert len({(row.store, row.key) for row in self.cut_rows}) == len(self.cut_rows)

    @precondition(lambda self: self.cut_rows is not None and not self.written)
    @rule()
    def write(self) -> None:
        """The broker has written it, and the task does not know yet."""
        assert self.cut_rows is not None
        self.rows.write(self.cut_rows)
        self.durable = self.cut_seen
        self.written = True

    @precondition(lambda self: self.written)
    @rule()
    def committed(self) -> None:
        """The task is told."""
        self.state.committed()
        self.cut_rows, self.written = None, False

    @rule()
    def lose(self) -> None:
        """A commit is refused or unknown, or the process dies: the next incarnation reads what is there."""
        self.state = TaskState(self.rows, cached_rows=self.cached_rows)
        self.cut_rows, self.written = None, False
        self.seen = dict(self.durable)

    @invariant()
    def rows_are_what_was_committed(self) -> None:
        """Nothing reaches the rows except through a commit, and of a commit all of it."""
        held = {(store, key): value for store, rows in self.rows.stores.items() for key, value in rows.items()}
        assert held == self.durable


AgainstAModel.TestCase.settings = settings(max_examples=150, stateful_step_count=30)
TestAgainstAModel = AgainstAModel.TestCase


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("apply"), CHANGES),
        st.tuples(st.just("commit"), st.just({})),
        st.tuples(st.just("lose"), st.just({})),
    ),
    max_size=8,
)


@given(steps=STEPS, cached_rows=st.integers(0, 3), limit=st.integers(1, 5))
@settings(max_examples=30)
def test_rows_of_the_embedded_broker(
    steps: list[tuple[str, dict[tuple[str, bytes], bytes | None]]], cached_rows: int, limit: int
) -> None:
    """On real rows, reads and scans see the same as on a dictionary, before and after commits."""

    async def play() -> None:
        broker = SqliteBroker(None)
        await broker.open()
        try:
            membership = await broker.group.join(GroupSpec("g", "s", 1))
            ownership = await membership.take_over(0)
            rows = broker.rows("g", 0)
            state, seen, durable = TaskState(rows, cached_rows=cached_rows), Known(), Known()
            for step, changes in steps:
                if step == "apply":
                    state.apply(changes)
                    seen = changed(seen, changes)
                elif step == "lose":
                    state, seen = TaskState(rows, cached_rows=cached_rows), durable
                else:
                    transaction = ownership.transaction()
                    transaction.changes([Change(*row) for row in state.cut()])
                    transaction.positions({TopicPartition("g.inbox", 0): 0})
                    await transaction.commit()
                    state.committed()
                    durable = dict(seen)
                for store in ("a", "b"):
                    for reverse in (False, True):
                        expected = scanned(seen, store, b"", None, limit=limit, reverse=reverse)
                        assert state.scan(store, limit=limit, reverse=reverse) == expected
                    bounded = scanned(seen, store, b"k", b"ka", limit=limit, reverse=False)
                    assert state.scan(store, b"k", b"ka", limit=limit) == bounded
                assert {at: state.get(*at) for at in seen} == seen
        finally:
            await broker.close()

    asyncio.run(play())


def test_a_prefetch_reads_once() -> None:
    """The keys of a batch cost one read, known or not, and none when they are known."""
    rows = DictRows()
    rows.write([Row("a", b"x", b"1")])
    state = TaskState(rows)
    state.prefetch("a", [b"x", b"y", b"x"])
    state.prefetch("a", [b"y"])
    assert (state.get("a", b"x"), state.get("a", b"y"), rows.reads) == (b"1", None, 1)


def test_the_cache_is_bounded() -> None:
    """Rows that are committed and not asked for leave the memory; those that wait for a commit stay."""
    rows = DictRows()
    state = TaskState(rows, cached_rows=10)
    state.prefetch("a", [b"%d" % n for n in range(1_000)])
    state.apply({("a", b"mine"): b"1"})
    state.cut()
    state.apply({("a", b"later"): b"2"})
    state.committed()
    reads = rows.reads
    assert state.get("a", b"later") == b"2"
    assert rows.reads == reads
    state.get("a", b"7")
    assert rows.reads == reads + 1


@pytest.mark.parametrize("limit", [0, 1, 3, 10])
def test_deleted_rows_do_not_eat_the_limit(limit: int) -> None:
    """A scan fills its limit although most committed rows in front have been deleted and wait for the commit."""
    rows = DictRows()
    rows.write([Row("a", b"%02d" % n, b"v") for n in range(20)])
    state = TaskState(rows)
    state.apply({("a", b"%02d" % n): None for n in range(15)})
    assert [key for key, _ in state.scan("a", limit=limit)] == [b"%02d" % n for n in range(15, 20)][:limit]


def test_threads_may_read_stores_that_nobody_has_read_while_commits_are_cut() -> None:
    """A worker thread that opens store after store never disturbs a cut."""
    state = TaskState(DictRows())
    over = threading.Event()

    def read() -> None:
        for number in range(3_000):
            state.get(f"store {number}", b"k")
        over.set()

    reader = threading.Thread(target=read)
    reader.start()
    cuts = 0
    while not over.is_set() or not cuts:
        state.apply({("mine", b"k"): b"%d" % cuts})
        assert state.cut() == [Row("mine", b"k", b"%d" % cuts)]
        state.committed()
        cuts += 1
    reader.join()


def test_what_is_taken_in_while_a_thread_looks_is_not_hidden_by_what_it_has_found() -> None:
    """Keyless events share the rows of their timers: a thread may look for one just as another event sets it."""

    class Meanwhile(DictRows):
        def get_many(self, store: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
            found = super().get_many(store, keys)
            state.apply({(store, b"k"): b"set"})
            return found

    state = TaskState(Meanwhile())
    assert state.get("timers", b"k") == b"set"
    assert state.get("timers", b"k") == b"set"
    assert state.cut() == [Row("timers", b"k", b"set")]
