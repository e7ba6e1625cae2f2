"""The commit of a task: all of it or nothing, and nothing by an owner that has been replaced."""

import asyncio
import threading
from pathlib import Path

import pytest

from mainstem.broker import Change, GroupSpec, Ownership, TopicPartition, TopicSpec, Transaction
from mainstem.broker.sqlite import SqliteBroker, SqliteOptions
from mainstem.database import Step, Write
from mainstem.errors import CommitRefused, CommitUnknown, Fenced
from tests.rooms.broker_sqlite.conftest import AT, Opener, outcome, records, values

INBOX = TopicPartition("billing.inbox", 0)
SPEC = GroupSpec("billing", "billing", 1, {"orders": 1})


async def owned(broker: SqliteBroker) -> Ownership:
    """The only task of the group."""
    membership = await broker.group.join(SPEC)
    return await membership.take_over(0)


def commit_of(ownership: Ownership, value: str, position: int) -> Transaction:
    """A commit with a fact, a change and a position."""
    transaction = ownership.transaction()
    transaction.append(TopicPartition("paid", 0), records(value))
    transaction.changes([Change("spent", b"c", value.encode())])
    transaction.positions({AT: position, INBOX: 0})
    return transaction


async def state(broker: SqliteBroker) -> tuple[list[str], bytes | None, int | None]:
    """Facts, store and position, as everybody sees them."""
    position = (await broker.admin.groups())["billing"].positions.get(AT)
    return values(broker, TopicPartition("paid", 0)), broker.rows("billing", 0).get("spent", b"c"), position


async def test_facts_changes_and_positions_commit_together(opened: Opener, tmp_path: Path) -> None:
    """While the transaction is open nobody sees any of it, and when it is committed all of it."""
    async with opened(tmp_path / "log.db") as broker:
        await broker.admin.create(TopicSpec("paid", 1))
        ownership = await owned(broker)
        begun, go_on = threading.Event(), threading.Event()

        def holds_up(_write: Write) -> None:
            begun.set()
            go_on.wait()

        committing = asyncio.ensure_future(commit_of(ownership, "a", 7).commit())
        await asyncio.sleep(0)
        behind = broker.database.writer.submit(Step(holds_up))
        await asyncio.to_thread(begun.wait)
        assert await state(broker) in (([], None, None), (["a"], b"a", 7))
        go_on.set()
        assert await committing == {TopicPartition("paid", 0): 0}
        await behind
        assert await state(broker) == (["a"], b"a", 7)


async def test_a_replaced_owner_commits_nothing(opened: Opener) -> None:
    """After a take-over the older owner is fenced, and not a trace of its commit is left."""
    async with opened() as broker:
        await broker.admin.create(TopicSpec("paid", 1))
        older, newer = await owned(broker), await owned(broker)
        assert newer.epoch == older.epoch + 1
        fenced = await outcome(commit_of(older, "late", 3).commit())
        assert isinstance(fenced, Fenced)
        assert "epoch" in str(fenced)
        assert await state(broker) == ([], None, None)
        await commit_of(newer, "a", 7).commit()
        assert await state(broker) == (["a"], b"a", 7)


async def test_without_the_epoch_a_replaced_owner_would_commit(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """The epoch is what does it: with this guard switched off, the older owner's commit goes through."""
    monkeypatch.setattr("mainstem.broker.sqlite.transaction.check_epoch", lambda _connection, _owner: None)
    async with opened() as broker:
        await broker.admin.create(TopicSpec("paid", 1))
        older, _ = await owned(broker), await owned(broker)
        await commit_of(older, "late", 3).commit()
        assert await state(broker) == (["late"], b"late", 3)


async def test_a_refused_commit_does_not_take_its_neighbours_along(opened: Opener) -> None:
    """Commits of several tasks share a transaction; the one that is fenced is refused alone."""
    async with opened(options=SqliteOptions(latency=lambda: 0.001)) as broker:
        await broker.admin.create(TopicSpec("paid", 1))
        older, newer = await owned(broker), await owned(broker)
        commits = [commit_of(owner, value, 1) for owner, value in ((newer, "a"), (older, "late"), (newer, "b"))]
        found = await asyncio.gather(*(outcome(commit.commit()) for commit in commits))
        assert isinstance(found[1], Fenced)
        assert await state(broker) == (["a", "b"], b"b", 1)


async def test_every_input_is_named(opened: Opener) -> None:
    """A commit that leaves an input out, or names one that is not its task's, is refused."""
    async with opened() as broker:
        await broker.admin.create(TopicSpec("paid", 1))
        ownership = await owned(broker)
        for positions in ({AT: 1}, {AT: 1, INBOX: 0, TopicPartition("paid", 0): 0}, {}):
            transaction = ownership.transaction()
            transaction.positions(positions)
            assert isinstance(await outcome(transaction.commit()), CommitRefused)
        assert await state(broker) == ([], None, None)


async def test_publishing_takes_no_changes_and_no_positions(opened: Opener) -> None:
    """A transaction without an owner has no store and no input."""
    async with opened() as broker:
        transaction = broker.log.transaction()
        with pytest.raises(CommitRefused):
            transaction.changes([Change("s", b"k", b"v")])
        transaction.positions({AT: 1})
        assert isinstance(await outcome(transaction.commit()), CommitRefused)


async def test_a_transaction_ends_once(opened: Opener) -> None:
    """What was committed or aborted is not committed again."""
    async with opened() as broker:
        for end in ("commit", "abort"):
            transaction = broker.log.transaction()
            transaction.append(AT, records("a"))
            if end == "commit":
                await transaction.commit()
            transaction.abort()
            assert isinstance(await outcome(transaction.commit()), CommitRefused)
        assert values(broker) == ["a"]


@pytest.mark.parametrize(("point", "kept"), [("before-commit", False), ("committed", True)])
async def test_after_an_unknown_outcome_the_next_owner_knows(point: str, *, kept: bool, opened: Opener) -> None:
    """Who cannot know takes over again, and finds positions and stores that fit each other."""
    armed: list[str] = []

    def fault(reached: str) -> None:
        if reached in armed:
            armed.clear()
            raise RuntimeError("crash")

    async with opened(options=SqliteOptions(latency=lambda: 0.001, at=fault)) as broker:
        await broker.admin.create(TopicSpec("paid", 1))
        ownership = await owned(broker)
        armed.append(point)
        assert isinstance(await outcome(commit_of(ownership, "a", 7).commit()), CommitUnknown)
        again = await owned(broker)
        assert again.positions.get(AT) == (7 if kept else None)
        assert await state(broker) == ((["a"], b"a", 7) if kept else ([], None, None))
