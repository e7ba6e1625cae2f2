"""A broker inside a broker: what a layer does not change is handed through."""

from collections.abc import Coroutine, Iterable, Mapping, Sequence

from mainstem.broker import (
    Admin,
    Batch,
    Broker,
    Change,
    Group,
    GroupDescription,
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
from mainstem.testing.conformance.broker.harness import Harness

Positions = Mapping[TopicPartition, int]


class LayeredReader:
    """A reader inside a reader."""

    def __init__(self, inner: Reader) -> None:
        self.inner = inner

    def take(self) -> Batch | None:
        """As :meth:`Reader.take`."""
        return self.inner.take()

    async def wait(self) -> None:
        """As :meth:`Reader.wait`."""
        await self.inner.wait()

    def seek(self, at: TopicPartition, offset: int) -> None:
        """As :meth:`Reader.seek`."""
        self.inner.seek(at, offset)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """As :meth:`Reader.pause`."""
        self.inner.pause(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """As :meth:`Reader.resume`."""
        self.inner.resume(partitions)

    def lag(self) -> Positions:
        """As :meth:`Reader.lag`."""
        return self.inner.lag()

    def close(self) -> None:
        """As :meth:`Reader.close`."""
        self.inner.close()


class LayeredTransaction:
    """A transaction inside a transaction."""

    def __init__(self, inner: Transaction) -> None:
        self.inner = inner

    def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
        """As :meth:`Transaction.append`."""
        self.inner.append(at, records)

    def changes(self, changes: Iterable[Change]) -> None:
        """As :meth:`Transaction.changes`."""
        self.inner.changes(changes)

    def positions(self, positions: Positions) -> None:
        """As :meth:`Transaction.positions`."""
        self.inner.positions(positions)

    async def commit(self) -> Positions:
        """As :meth:`Transaction.commit`."""
        return await self.inner.commit()

    def abort(self) -> None:
        """As :meth:`Transaction.abort`."""
        self.inner.abort()


class LayeredLog:
    """A log inside a log."""

    def __init__(self, inner: Log, layer: "Layer") -> None:
        self.inner = inner
        self.layer = layer

    async def append(self, at: TopicPartition, records: Sequence[Record]) -> int:
        """As :meth:`Log.append`."""
        return await self.inner.append(at, records)

    def transaction(self) -> Transaction:
        """As :meth:`Log.transaction`."""
        return self.layer.transaction(self.inner.transaction())

    def reader(self, positions: Positions) -> Reader:
        """As :meth:`Log.reader`."""
        return self.layer.reader(self.inner.reader(positions))

    async def bounds(self, at: TopicPartition) -> tuple[int, int]:
        """As :meth:`Log.bounds`."""
        return await self.inner.bounds(at)

    async def offset_at(self, at: TopicPartition, timestamp_ms: int) -> int:
        """As :meth:`Log.offset_at`."""
        return await self.inner.offset_at(at, timestamp_ms)


class LayeredOwnership:
    """An ownership inside an ownership."""

    def __init__(self, inner: Ownership, layer: "Layer") -> None:
        self.inner = inner
        self.layer = layer
        self.task = inner.task
        self.epoch = inner.epoch
        self.positions: Positions = inner.positions
        self.remembers = inner.remembers

    def transaction(self) -> Transaction:
        """As :meth:`Ownership.transaction`."""
        return self.layer.transaction(self.inner.transaction())


class LayeredMembership:
    """A membership inside a membership."""

    def __init__(self, inner: Membership, layer: "Layer") -> None:
        self.inner = inner
        self.layer = layer
        self.member = inner.member

    async def assignment(self) -> frozenset[int]:
        """As :meth:`Membership.assignment`."""
        return await self.inner.assignment()

    async def confirm(self, task: int) -> bool:
        """As :meth:`Membership.confirm`."""
        return await self.inner.confirm(task)

    async def take_over(self, task: int) -> Ownership:
        """As :meth:`Membership.take_over`."""
        return self.layer.ownership(await self.inner.take_over(task))

    async def release(self, task: int) -> None:
        """As :meth:`Membership.release`."""
        await self.inner.release(task)

    async def decline(self, task: int) -> bool:
        """As :meth:`Membership.decline`."""
        return await self.inner.decline(task)

    async def leave(self) -> None:
        """As :meth:`Membership.leave`."""
        await self.inner.leave()


class LayeredGroup:
    """A group role inside a group role."""

    def __init__(self, inner: Group, layer: "Layer") -> None:
        self.inner = inner
        self.layer = layer

    async def join(
        self, spec: GroupSpec, *, static_id: str | None = None, pinned: frozenset[int] | None = None
    ) -> Membership:
        """As :meth:`Group.join`."""
        return self.layer.membership(await self.inner.join(spec, static_id=static_id, pinned=pinned))


class LayeredAdmin:
    """An admin role inside an admin role."""

    def __init__(self, inner: Admin) -> None:
        self.inner = inner

    async def prepare(
        self, topics: Sequence[TopicSpec], groups: Sequence[GroupSpec], *, dry: bool = False
    ) -> Sequence[Preparation]:
        """As :meth:`Admin.prepare`."""
        return await self.inner.prepare(topics, groups, dry=dry)

    async def create(self, spec: TopicSpec) -> None:
        """As :meth:`Admin.create`."""
        await self.inner.create(spec)

    async def alter(self, spec: TopicSpec) -> None:
        """As :meth:`Admin.alter`."""
        await self.inner.alter(spec)

    async def delete(self, topic: str) -> None:
        """As :meth:`Admin.delete`."""
        await self.inner.delete(topic)

    async def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicDescription]:
        """As :meth:`Admin.topics`."""
        return await self.inner.topics(names)

    async def groups(self, names: Iterable[str] | None = None) -> Mapping[str, GroupDescription]:
        """As :meth:`Admin.groups`."""
        return await self.inner.groups(names)

    async def reset(self, group: str, positions: Positions) -> None:
        """As :meth:`Admin.reset`."""
        await self.inner.reset(group, positions)

    async def delete_group(self, group: str) -> None:
        """As :meth:`Admin.delete_group`."""
        await self.inner.delete_group(group)


class Layer:
    """What stands between a broker and who uses it. A method says what is put around a part; here, nothing changes."""

    def broker(self, inner: Broker) -> "LayeredBroker":
        """A broker with this layer around it."""
        return LayeredBroker(inner, self)

    def log(self, inner: Log) -> Log:
        """A log role with this layer around it."""
        return LayeredLog(inner, self)

    def reader(self, inner: Reader) -> Reader:
        """A reader with this layer around it."""
        return LayeredReader(inner)

    def transaction(self, inner: Transaction) -> Transaction:
        """A transaction with this layer around it."""
        return LayeredTransaction(inner)

    def group(self, inner: Group) -> Group:
        """A group role with this layer around it."""
        return LayeredGroup(inner, self)

    def membership(self, inner: Membership) -> Membership:
        """A membership with this layer around it."""
        return LayeredMembership(inner, self)

    def ownership(self, inner: Ownership) -> Ownership:
        """An ownership with this layer around it."""
        return LayeredOwnership(inner, self)

    def admin(self, inner: Admin) -> Admin:
        """An admin role with this layer around it."""
        return LayeredAdmin(inner)


class LayeredBroker:
    """A broker inside a broker."""

    def __init__(self, inner: Broker, layer: Layer) -> None:
        self.inner = inner
        self.name = inner.name
        self.log: Log = layer.log(inner.log)
        self.group: Group = layer.group(inner.group)
        self.admin: Admin = layer.admin(inner.admin)

    async def open(self) -> None:
        """As :meth:`Broker.open`."""
        await self.inner.open()

    async def close(self) -> None:
        """As :meth:`Broker.close`."""
        await self.inner.close()


class LayeredHarness:
    """A harness whose brokers have a layer around them."""

    def __init__(self, inner: Harness, layer: Layer) -> None:
        """Examine the brokers of ``inner`` through ``layer``."""
        self.inner = inner
        self.layer = layer
        self.capabilities = inner.capabilities

    def run(self, main: Coroutine[object, object, None]) -> None:
        """As :meth:`Harness.run`."""
        self.inner.run(main)

    def name(self, label: str) -> str:
        """As :meth:`Harness.name`."""
        return self.inner.name(label)

    def now_ms(self) -> int:
        """As :meth:`Harness.now_ms`."""
        return self.inner.now_ms()

    async def open(self) -> Broker:
        """A broker with the layer around it."""
        return self.layer.broker(await self.inner.open())

    async def advance(self, seconds: float) -> None:
        """As :meth:`Harness.advance`."""
        await self.inner.advance(seconds)

    async def maintained(self) -> None:
        """As :meth:`Harness.maintained`."""
        await self.inner.maintained()

    async def silence(self, membership: Membership) -> None:
        """As :meth:`Harness.silence`, for the membership inside."""
        assert isinstance(membership, LayeredMembership)
        await self.inner.silence(membership.inner)

    async def make_gap(self, at: TopicPartition) -> None:
        """As :meth:`Harness.make_gap`."""
        await self.inner.make_gap(at)

    async def stored(self, group: GroupSpec, store: str, task: int) -> Mapping[bytes, bytes]:
        """As :meth:`Harness.stored`."""
        return await self.inner.stored(group, store, task)
