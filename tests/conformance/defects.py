"""Brokers that are wrong in one way each: a layer around a right one that breaks one promise."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count

from msgspec.structs import replace

from mainstem.broker import (
    Admin,
    Batch,
    Broker,
    Change,
    Group,
    GroupSpec,
    Log,
    Membership,
    Ownership,
    Preparation,
    Reader,
    Record,
    TopicDescription,
    TopicPartition,
    TopicSpec,
    Transaction,
)
from mainstem.errors import BrokerError, Fenced, MembershipLost, OffsetOutOfRange
from mainstem.testing.conformance.broker.layer import (
    Layer,
    LayeredAdmin,
    LayeredBroker,
    LayeredGroup,
    LayeredLog,
    LayeredMembership,
    LayeredOwnership,
    LayeredReader,
    LayeredTransaction,
    Positions,
)


class Plain(Layer):
    """No defect, but it remembers the broker inside."""

    plain: Broker

    def broker(self, inner: Broker) -> LayeredBroker:
        """Remember it."""
        self.plain = inner
        return super().broker(inner)


class Recording(LayeredTransaction):
    """Remembers what it was given."""

    def __init__(self, inner: Transaction, plain: Broker) -> None:
        super().__init__(inner)
        self.plain = plain
        self.facts: list[tuple[TopicPartition, Sequence[Record]]] = []
        self.changed = False

    def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
        self.facts.append((at, records))
        super().append(at, records)

    def changes(self, changes: Iterable[Change]) -> None:
        changes = list(changes)
        self.changed = self.changed or bool(changes)
        super().changes(changes)


class Unfenced(Plain):
    """A commit that is fenced is repeated without the fence."""

    def transaction(self, inner: Transaction) -> Transaction:
        class Transacting(Recording):
            async def commit(self) -> Positions:
                try:
                    return await super().commit()
                except Fenced:
                    again = self.plain.log.transaction()
                    for at, records in self.facts:
                        again.append(at, records)
                    return await again.commit()

        return Transacting(inner, self.plain)


class UnfencedWithoutFacts(Plain):
    """The fence is on the log alone: who appends nothing is never told that it has been replaced."""

    def transaction(self, inner: Transaction) -> Transaction:
        class Transacting(Recording):
            async def commit(self) -> Positions:
                try:
                    return await super().commit()
                except Fenced:
                    if self.facts:
                        raise
                    return {}

        return Transacting(inner, self.plain)


class UnfencedWithoutEffects(Plain):
    """Who only names positions again is never told that it has been replaced."""

    def transaction(self, inner: Transaction) -> Transaction:
        class Transacting(Recording):
            async def commit(self) -> Positions:
                try:
                    return await super().commit()
                except Fenced:
                    if self.facts or self.changed:
                        raise
                    return {}

        return Transacting(inner, self.plain)


class Usurping(Layer):
    """An owner that is fenced takes the task back and commits what it had in mind."""

    def membership(self, inner: Membership) -> Membership:
        return UsurpingMembership(inner, self)


class UsurpingMembership(LayeredMembership):
    """Lets what it owns take itself back."""

    async def take_over(self, task: int) -> Ownership:
        return UsurpingOwnership(await self.inner.take_over(task), self.layer, self.inner)


class UsurpingOwnership(LayeredOwnership):
    """Knows the member that it belongs to."""

    def __init__(self, inner: Ownership, layer: Layer, member: Membership) -> None:
        super().__init__(inner, layer)
        self.member = member

    def transaction(self) -> Transaction:
        return UsurpingTransaction(self.inner.transaction(), self)


class UsurpingTransaction(LayeredTransaction):
    """Is played a second time when it is fenced."""

    def __init__(self, inner: Transaction, owning: UsurpingOwnership) -> None:
        super().__init__(inner)
        self.owning = owning
        self.effects: list[Callable[[Transaction], None]] = []

    def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
        self.effects.append(lambda transaction: transaction.append(at, records))
        super().append(at, records)

    def changes(self, changes: Iterable[Change]) -> None:
        kept = list(changes)
        self.effects.append(lambda transaction: transaction.changes(kept))
        super().changes(kept)

    def positions(self, positions: Positions) -> None:
        self.effects.append(lambda transaction: transaction.positions(positions))
        super().positions(positions)

    async def commit(self) -> Positions:
        try:
            return await super().commit()
        except Fenced:
            self.owning.inner = await self.owning.member.take_over(self.owning.task)
            again = self.owning.inner.transaction()
            for effect in self.effects:
                effect(again)
            return await again.commit()


class FactsAtOnce(Plain):
    """A transaction appends its facts when it is given them, and the rest at its commit."""

    def transaction(self, inner: Transaction) -> Transaction:
        class Transacting(LayeredTransaction):
            def __init__(self, inner: Transaction, plain: Broker) -> None:
                super().__init__(inner)
                self.plain = plain
                self.appending: list[asyncio.Task[int]] = []

            def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
                self.appending.append(asyncio.create_task(self.plain.log.append(at, records)))

            async def commit(self) -> Positions:
                await asyncio.gather(*self.appending)
                return await super().commit()

        return Transacting(inner, self.plain)


class FactsFirst(Plain):
    """A commit appends its facts one by one, and then the rest."""

    def transaction(self, inner: Transaction) -> Transaction:
        class Transacting(Recording):
            def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
                self.facts.append((at, records))

            async def commit(self) -> Positions:
                first: dict[TopicPartition, int] = {}
                for at, records in self.facts:
                    first.setdefault(at, await self.plain.log.append(at, records))
                await super().commit()
                return first

        return Transacting(inner, self.plain)


class Swallowing(Layer):
    """A commit that is refused is said to have happened."""

    def transaction(self, inner: Transaction) -> Transaction:
        class Transacting(LayeredTransaction):
            async def commit(self) -> Positions:
                try:
                    return await super().commit()
                except BrokerError:
                    return {}

        return Transacting(inner)


def rebuilt(batch: Batch, order: Sequence[int], offsets: Sequence[int], next_offset: int) -> Batch:
    """A batch of some records of another one."""
    records = [batch.record(index) for index in order]

    class Own:
        def names(self) -> Sequence[str]:
            return batch.own.names()

        def column(self, name: str) -> Sequence[bytes | None]:
            return [record.own.get(name) for record in records]

    columns = [record.key for record in records], [record.value for record in records]
    at = TopicPartition(batch.topic, batch.partition)
    stamps = [record.timestamp_ms for record in records]
    return Batch(at, offsets, (*columns, stamps), common=batch.common, own=Own(), next_offset=next_offset)


class Reordered(Layer):
    """The records of a batch come in another order."""

    def reader(self, inner: Reader) -> Reader:
        class Reading(LayeredReader):
            def take(self) -> Batch | None:
                batch = super().take()
                if batch is None:
                    return None
                order = range(len(batch))[::-1]
                return rebuilt(batch, order, batch.offsets, batch.next_offset)

        return Reading(inner)


class CountedOffsets(Layer):
    """Where reading goes on is counted: the first offset plus the number of records."""

    def reader(self, inner: Reader) -> Reader:
        class Reading(LayeredReader):
            def take(self) -> Batch | None:
                batch = super().take()
                if batch is None:
                    return None
                return rebuilt(batch, range(len(batch)), batch.offsets, batch.offsets[0] + len(batch))

        return Reading(inner)


class SkippingGaps(Layer):
    """A reader that begins in a gap begins one record too late."""

    def log(self, inner: Log) -> Log:
        class Logging(LayeredLog):
            def reader(self, positions: Positions) -> Reader:
                return Reading(self.inner.reader(positions), positions)

        class Reading(LayeredReader):
            def __init__(self, inner: Reader, positions: Positions) -> None:
                super().__init__(inner)
                self.positions = dict(positions)

            def take(self) -> Batch | None:
                batch = super().take()
                if batch is None:
                    return None
                sought = self.positions.pop(TopicPartition(batch.topic, batch.partition), batch.offsets[0])
                if batch.offsets[0] == sought or len(batch) == 1:
                    return batch
                kept = range(1, len(batch))
                return rebuilt(batch, kept, batch.offsets[1:], batch.next_offset)

        return Logging(inner, self)


class LostWakeUps(Layer):
    """A wait that begins when there is something already does not end."""

    def reader(self, inner: Reader) -> Reader:
        class Reading(LayeredReader):
            stash: Batch | None = None

            def take(self) -> Batch | None:
                stash, self.stash = self.stash, None
                return stash or super().take()

            async def wait(self) -> None:
                self.stash = self.take()
                if self.stash is not None:
                    await asyncio.Event().wait()
                await super().wait()

        return Reading(inner)


class OneWakeUp(Layer):
    """An append wakes one of the readers that wait."""

    def __init__(self) -> None:
        self.woken: set[int] = set()

    def reader(self, inner: Reader) -> Reader:
        layer = self

        class Reading(LayeredReader):
            async def wait(self) -> None:
                await super().wait()
                if layer.woken - {id(self)}:
                    await asyncio.Event().wait()
                layer.woken.add(id(self))

        return Reading(inner)


class Spinning(Layer):
    """A wait returns at once."""

    def reader(self, inner: Reader) -> Reader:
        class Reading(LayeredReader):
            async def wait(self) -> None:
                await asyncio.sleep(0)

        return Reading(inner)


class Starving(Layer):
    """The partitions are read one after the other, each to its end."""

    def log(self, inner: Log) -> Log:
        class Logging(LayeredLog):
            def reader(self, positions: Positions) -> Reader:
                return Reading([self.inner.reader({at: offset}) for at, offset in positions.items()])

        class Reading(LayeredReader):
            def __init__(self, readers: list[Reader]) -> None:
                super().__init__(readers[0])
                self.readers = readers

            def take(self) -> Batch | None:
                return next((batch for reader in self.readers if (batch := reader.take()) is not None), None)

            async def wait(self) -> None:
                waits = [asyncio.ensure_future(reader.wait()) for reader in self.readers]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)

        return Logging(inner, self)


class DeafPauses(Layer):
    """A pause is ignored."""

    def reader(self, inner: Reader) -> Reader:
        class Reading(LayeredReader):
            def pause(self, partitions: Iterable[TopicPartition]) -> None:
                """Do nothing."""

        return Reading(inner)


class SilentReset(Layer):
    """A reader whose offset has gone waits for better times, without a word."""

    def reader(self, inner: Reader) -> Reader:
        class Reading(LayeredReader):
            def take(self) -> Batch | None:
                try:
                    return super().take()
                except OffsetOutOfRange:
                    return None

        return Reading(inner)


class SharedHeaders(Layer):
    """The headers of a batch's first record are taken for those of all."""

    def reader(self, inner: Reader) -> Reader:
        class Reading(LayeredReader):
            def take(self) -> Batch | None:
                batch = super().take()
                if batch is not None and batch.own.names():
                    first = batch.own_headers(0)

                    class Own:
                        def names(self) -> Sequence[str]:
                            return list(first)

                        def column(self, name: str) -> Sequence[bytes | None]:
                            return [first[name]] * len(offsets)

                    offsets = batch.offsets
                    batch.own = Own()
                return batch

        return Reading(inner)


class NoTombstones(Layer):
    """A record without a value is read with an empty one."""

    def reader(self, inner: Reader) -> Reader:
        class Reading(LayeredReader):
            def take(self) -> Batch | None:
                batch = super().take()
                if batch is not None:
                    batch.values = [value or b"" for value in batch.values]
                return batch

        return Reading(inner)


class Doubling(Layer):
    """Now and then an append is sent again after it had arrived."""

    def log(self, inner: Log) -> Log:
        calls = count(1)

        class Logging(LayeredLog):
            async def append(self, at: TopicPartition, records: Sequence[Record]) -> int:
                if next(calls) % 7 == 0:
                    await super().append(at, records)
                return await super().append(at, records)

        return Logging(inner, self)


class Losing(Layer):
    """Now and then an append is acknowledged that has not arrived."""

    def log(self, inner: Log) -> Log:
        calls = count(1)

        class Logging(LayeredLog):
            async def append(self, at: TopicPartition, records: Sequence[Record]) -> int:
                return await super().append(at, records if next(calls) % 7 else records[:-1])

        return Logging(inner, self)


class LateTimestamps(Layer):
    """A timestamp finds the record behind the one it should find."""

    def log(self, inner: Log) -> Log:
        class Logging(LayeredLog):
            async def offset_at(self, at: TopicPartition, timestamp_ms: int) -> int:
                return await super().offset_at(at, timestamp_ms + 1)

        return Logging(inner, self)


class ForgottenPositions(Layer):
    """A new owner begins at nothing."""

    def ownership(self, inner: Ownership) -> Ownership:
        owning = LayeredOwnership(inner, self)
        owning.positions = {}
        return owning


class OutlivedPositions(Layer):
    """A position stays where it was, whatever becomes of its topic."""

    def __init__(self) -> None:
        self.moved: dict[TopicPartition, int] = {}

    def transaction(self, inner: Transaction) -> Transaction:
        layer = self

        class Committing(LayeredTransaction):
            def positions(self, positions: Positions) -> None:
                layer.moved.update(positions)
                super().positions(positions)

        return Committing(inner)

    def ownership(self, inner: Ownership) -> Ownership:
        owning = LayeredOwnership(inner, self)
        owning.positions = {**self.moved, **inner.positions}
        return owning


class StandingEpochs(Layer):
    """Every owner has the same epoch."""

    def ownership(self, inner: Ownership) -> Ownership:
        owning = LayeredOwnership(inner, self)
        owning.epoch = 1
        return owning


class EverybodyHasAll(Layer):
    """Every member is assigned the tasks of the first, beside its own."""

    def __init__(self) -> None:
        self.given: set[int] = set()

    def membership(self, inner: Membership) -> Membership:
        layer = self

        class Belonging(LayeredMembership):
            async def assignment(self) -> frozenset[int]:
                layer.given |= await super().assignment()
                return frozenset(layer.given)

        return Belonging(inner, self)


class Shuffling(Layer):
    """After each change a member is told first that it has lost everything."""

    def membership(self, inner: Membership) -> Membership:
        class Belonging(LayeredMembership):
            pending: frozenset[int] | None = None

            async def assignment(self) -> frozenset[int]:
                if self.pending is not None:
                    pending, self.pending = self.pending, None
                    return pending
                self.pending = await super().assignment()
                return frozenset()

        return Belonging(inner, self)


class NeverExpelled(Layer):
    """A member that has been expelled waits for ever."""

    def membership(self, inner: Membership) -> Membership:
        class Belonging(LayeredMembership):
            async def assignment(self) -> frozenset[int]:
                try:
                    return await super().assignment()
                except MembershipLost:
                    await asyncio.Event().wait()
                    raise

        return Belonging(inner, self)


class SilentToSpares(Layer):
    """A member without tasks is told nothing until it gets some."""

    def membership(self, inner: Membership) -> Membership:
        class Belonging(LayeredMembership):
            known = False

            async def assignment(self) -> frozenset[int]:
                assigned = await super().assignment()
                while not (assigned or self.known):
                    assigned = await super().assignment()
                self.known = True
                return assigned

        return Belonging(inner, self)


class Clinging(Layer):
    """What a member declines stays with it."""

    def membership(self, inner: Membership) -> Membership:
        class Belonging(LayeredMembership):
            async def decline(self, task: int) -> bool:
                return task >= 0

        return Belonging(inner, self)


class Hasty(Layer):
    """Nobody who drains is waited for longer than a session timeout, whatever the grace of the group."""

    def group(self, inner: Group) -> Group:
        class Grouping(LayeredGroup):
            async def join(
                self, spec: GroupSpec, *, static_id: str | None = None, pinned: frozenset[int] | None = None
            ) -> Membership:
                return await super().join(replace(spec, grace_seconds=0), static_id=static_id, pinned=pinned)

        return Grouping(inner, self)


class AlwaysConfirmed(Layer):
    """The member is asked, not the group: it believes in everything."""

    def membership(self, inner: Membership) -> Membership:
        class Belonging(LayeredMembership):
            async def confirm(self, task: int) -> bool:
                return task >= 0

        return Belonging(inner, self)


class StandingTopicIds(Layer):
    """A topic's id is its name."""

    def admin(self, inner: Admin) -> Admin:
        class Administering(LayeredAdmin):
            async def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicDescription]:
                found = await super().topics(names)
                return {name: replace(topic, topic_id=name) for name, topic in found.items()}

        return Administering(inner)


class Rash(Layer):
    """Looking at what is needed makes it."""

    def admin(self, inner: Admin) -> Admin:
        class Administering(LayeredAdmin):
            async def prepare(
                self, topics: Sequence[TopicSpec], groups: Sequence[GroupSpec], *, dry: bool = False
            ) -> Sequence[Preparation]:
                return await super().prepare(topics, groups, dry=dry and False)

        return Administering(inner)


class CarelessReset(Layer):
    """Positions are said to be reset while members live."""

    def admin(self, inner: Admin) -> Admin:
        class Administering(LayeredAdmin):
            async def reset(self, group: str, positions: Positions) -> None:
                try:
                    await super().reset(group, positions)
                except BrokerError:
                    return

        return Administering(inner)
