"""Rules over long histories: what is true after any of them, whatever was done and whatever happened to members."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import NamedTuple, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    precondition,
    run_state_machine_as_test,
)
from hypothesis.stateful import rule as step

from mainstem.broker import Broker, Change, GroupSpec, Reader, TopicPartition, Transaction
from mainstem.errors import CommitRefused, Fenced, MembershipLost
from mainstem.testing.conformance.broker.cast import Member, join, new_group, take_over
from mainstem.testing.conformance.broker.stage import Seen, Stage, rule, values

T = TypeVar("T")

partitions = st.integers(0, 1)
counts = st.integers(1, 4)


class Written(NamedTuple):
    """A transaction that is open, and what it appended to each of the two partitions."""

    transaction: Transaction
    values: tuple[list[str], list[str]]


class Histories(RuleBasedStateMachine):
    """Two partitions, two clients, transactions that overlap, and a reader that goes forth and back.

    The model of a partition is the groups of values that were committed to it, and what was found at each offset. It
    does not say in which order the groups of different writers stand; once seen, that order must hold.
    """

    open_transactions: Bundle[Written] = Bundle("open_transactions")

    def __init__(self, stage: Stage, brokers: tuple[Broker, Broker], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.stage = stage
        self.brokers = brokers
        self.loop = loop
        self.serial = 0
        self.committed: tuple[list[list[str]], list[list[str]]] = ([], [])
        self.known: tuple[list[Seen], list[Seen]] = ([], [])
        self.next_index = [0, 0]
        self.partitions: list[TopicPartition] = []
        self.reader: Reader
        self.sound = False

    def await_(self, work: Coroutine[object, object, T]) -> T:
        """Hypothesis is synchronous and has a thread of its own; the broker lives on the stage's loop."""
        self.sound = False
        result = asyncio.run_coroutine_threadsafe(work, self.loop).result(self.stage.capabilities.patience_seconds)
        self.sound = True
        return result

    @initialize()
    def begin(self) -> None:
        """A topic of two partitions, a reader from its start."""
        self.await_(self._begin())

    async def _begin(self) -> None:
        topic = await self.stage.topic("history", partitions=2)
        self.partitions = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
        self.reader = await self.stage.reader(*self.partitions)

    def fresh(self, count: int) -> list[str]:
        """Values that have not been used yet, in rising order."""
        self.serial += count
        return [f"{number:06d}" for number in range(self.serial - count, self.serial)]

    @step(client=st.integers(0, 1), partition=partitions, count=counts)
    def append(self, client: int, partition: int, count: int) -> None:
        """Append outside any transaction."""
        fresh = self.fresh(count)
        self.await_(self.brokers[client].log.append(self.partitions[partition], self.stage.records(*fresh)))
        self.committed[partition].append(fresh)

    @step(target=open_transactions, client=st.integers(0, 1))
    def open_transaction(self, client: int) -> Written:
        """Begin a transaction."""
        return Written(self.await_(_begun(self.brokers[client])), ([], []))

    @step(written=open_transactions, partition=partitions, count=counts)
    def append_to(self, written: Written, partition: int, count: int) -> None:
        """Append inside an open transaction."""
        fresh = self.fresh(count)
        self.await_(_appended(written.transaction, self.partitions[partition], self.stage, fresh))
        written.values[partition].extend(fresh)

    @step(written=consumes(open_transactions))
    def commit(self, written: Written) -> None:
        """Commit an open transaction."""
        self.await_(written.transaction.commit())
        for partition, fresh in enumerate(written.values):
            if fresh:
                self.committed[partition].append(fresh)

    @step(written=consumes(open_transactions))
    def abort(self, written: Written) -> None:
        """Abort an open transaction."""
        self.await_(_aborted(written.transaction))

    @step()
    def read(self) -> None:
        """Read all there is to read, and compare."""
        self.await_(self._read())

    async def _read(self) -> None:
        left = [self.total(partition) - self.next_index[partition] for partition in (0, 1)]
        seen = await self.stage.read(self.reader, sum(left))
        assert self.reader.take() is None, "more records than were committed"
        for partition, at in enumerate(self.partitions):
            fresh = [each for each in seen if each.at == at]
            again = self.known[partition][self.next_index[partition] :]
            assert fresh[: len(again)] == again, "what was read before is not what is read now"
            self.known[partition].extend(fresh[len(again) :])
            self.next_index[partition] = self.total(partition)
            self.compare(partition)

    @precondition(lambda self: any(self.known))
    @step(partition=partitions, data=st.data())
    def seek(self, partition: int, data: st.DataObject) -> None:
        """Go back to a record that was seen, or to a new reader there."""
        known = self.known[partition]
        if not known:
            return
        index = data.draw(st.integers(0, len(known) - 1))
        self.await_(_sought(self.reader, known[index]))
        self.next_index[partition] = index

    def total(self, partition: int) -> int:
        """How many records have been committed to a partition."""
        return sum(len(group) for group in self.committed[partition])

    def compare(self, partition: int) -> None:
        """What is known of a partition is what was committed, each group in its order."""
        found = values(self.known[partition])
        groups = self.committed[partition]
        assert sorted(found) == sorted(value for group in groups for value in group)
        place = {value: index for index, value in enumerate(found)}
        for group in groups:
            places = [place[value] for value in group]
            assert places == sorted(places), f"{group} is out of order in {found}"

    def teardown(self) -> None:
        """Every history that has not failed ends with reading all of it."""
        if self.sound:
            self.await_(self._read())


async def _begun(broker: Broker) -> Transaction:
    return broker.log.transaction()


async def _appended(transaction: Transaction, at: TopicPartition, stage: Stage, fresh: list[str]) -> None:
    transaction.append(at, stage.records(*fresh))


async def _aborted(transaction: Transaction) -> None:
    transaction.abort()


async def _sought(reader: Reader, to: Seen) -> None:
    reader.seek(to.at, to.offset)


@rule()
async def random_histories_agree_with_a_model(stage: Stage) -> None:
    """After any history of appends, overlapping transactions and seeks every partition holds what was committed."""
    loop = asyncio.get_running_loop()
    brokers = stage.broker, await stage.client()
    bounds = settings(
        max_examples=stage.capabilities.model_examples,
        stateful_step_count=25,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )

    class Bound(Histories):
        def __init__(self) -> None:
            super().__init__(stage, brokers, loop)

    await asyncio.to_thread(run_state_machine_as_test, Bound, settings=bounds)


class Worker:
    """A member that counts, for each task it is given, how often it has seen each value, and publishes what it saw.

    It is stubborn: it goes on with a task that it has lost until a commit is refused.
    """

    def __init__(self, stage: Stage, group: GroupSpec, out: TopicPartition, member: Member, broker: Broker) -> None:
        """Begin to work."""
        self.stage = stage
        self.group = group
        self.out = out
        self.member = member
        self.broker = broker
        self.counting: dict[int, asyncio.Future[None]] = {}
        self._working = asyncio.ensure_future(self._work())
        stage.at_close(self.stop)

    async def _work(self) -> None:
        while True:
            for task in self.member.assigned:
                if task not in self.counting or self.counting[task].done():
                    self.counting[task] = asyncio.ensure_future(self._count(task))
            await asyncio.sleep(0.005)

    async def _count(self, number: int) -> None:
        try:
            task = await take_over(self.member, self.group, number)
        except MembershipLost:
            return
        stored = await self.stage.harness.stored(self.group, "seen", number)
        counts = Counter({key: int(value) for key, value in stored.items()})
        positions = dict(task.positions)
        reader = self.stage.reader_at(positions, on=self.broker)
        while True:
            batch = await self.stage.take(reader)
            counts.update(value for value in batch.values if value)
            facts = {self.out: self.stage.records(*(value.decode() for value in batch.values if value))}
            changes = [Change("seen", value, str(counts[value]).encode()) for value in set(batch.values) if value]
            positions[TopicPartition(batch.topic, batch.partition)] = batch.next_offset
            try:
                await task.transaction(facts=facts, changes=changes, moved=positions).commit()
            except (Fenced, CommitRefused):
                reader.close()
                return

    async def stop(self) -> None:
        """Stop at once, in the middle of whatever it is."""
        for each in (self._working, *self.counting.values()):
            each.cancel()
        await asyncio.gather(self._working, *self.counting.values(), return_exceptions=True)


@rule()
async def records_are_counted_once_whatever_happens_to_members(stage: Stage) -> None:
    """Members join, leave, fall silent and hang on to what they lost; every record is counted, and published, once."""
    topic, out = await stage.topic("orders", 4), await stage.partition("out")
    group = new_group(stage, tasks=4, inputs={topic: 4})
    workers: list[Worker] = []
    appended: list[str] = []
    for event in ("join", "join", "leave", "join", "silence", "join", "join", "leave", "silence", "join"):
        if event == "join":
            broker = await stage.client()
            workers.append(Worker(stage, group, out, await join(stage, group, on=broker), broker))
        elif event == "leave":
            await workers.pop(0).member.leave()
        elif stage.capabilities.silence:
            await stage.harness.silence(workers.pop(0).member.membership)
        for n in range(12):
            fresh = [f"{len(appended)}", f"{len(appended) + 1}"]
            appended += fresh
            await stage.broker.log.append(TopicPartition(topic, n % 4), stage.records(*fresh))
            await stage.harness.advance(0.005)
    counts: Counter[str] = Counter()
    while len(counts) < len(appended):
        counts = Counter()
        for task in range(4):
            stored = await stage.harness.stored(group, "seen", task)
            counts.update({value.decode(): int(count) for value, count in stored.items()})
        await stage.harness.advance(0.02)
    assert counts == Counter(appended)
    published = values(await stage.drained(await stage.reader(out)))
    assert Counter(published) == Counter(appended)
