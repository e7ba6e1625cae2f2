"""One rule for all of it together: members come, go, die and hang on, and every record is counted once."""

import asyncio
from collections import Counter

from mainstem.broker import Broker, Change, GroupSpec, TopicPartition
from mainstem.errors import CommitRefused, Fenced, MembershipLost
from mainstem.testing.conformance.broker.cast import Member, join, new_group, take_over
from mainstem.testing.conformance.broker.stage import Stage, rule, values


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
