"""Edits: another value for the same event."""

from mainstem.delivery import Command, Context, Retry
from mainstem.delivery.guards import COUNT_STORE
from tests.rooms.delivery.stage import Paid, on, staged
from tests.rooms.delivery.test_commands import answered


async def test_an_edited_letter_is_the_same_event_and_counts_once() -> None:
    """The handler gets the new value under the old idempotency key; the task has as many letters as before the edit."""
    keys: list[tuple[int, str]] = []

    @on(Paid, retry=Retry.never(), name="handle")
    async def handle(event: Paid, context: Context) -> None:
        keys.append((event.n, context.idempotency_key("charge")))
        if event.n == 1:
            raise ValueError("no")

    async with staged() as stage:
        await stage.publish(Paid("bad", 1))
        async with stage.running(handle) as running:
            await stage.settled(running)
            entry = (await stage.entries())[0]
            assert entry is not None
            letter, before = entry.letter, stage.rows("$parking")
            new = (letter.value or b"").replace(b'"n":1', b'"n":2')
            assert new != letter.value
            edit = Command("c-1", "edit", "handle", b"kbad", "typo", "eva", origin=letter.origin, value=new)
            again = Command("c-2", "edit", "handle", b"kbad", "late", "bob", origin=letter.origin, value=new)
            found = await answered(stage, running, edit)
            assert found == [("c-1", 1, "edit: 1 events")]
            [(_, refused, text)] = await answered(stage, running, again)
            assert refused == 0
            assert "the letter has changed since it was read" in text
            assert len(stage.rows("$parked")) == 1
            assert stage.rows("$parking") == before
            assert [row for _, row in stage.rows(COUNT_STORE)] == [b"1"]
            await answered(stage, running, Command("c-3", "redrive", "handle", b"kbad"))
            await stage.settled(running)
            assert stage.rows(COUNT_STORE) == []
    assert [n for n, _ in keys] == [1, 2]
    assert len({key for _, key in keys}) == 1


async def test_a_discard_of_what_was_seen_takes_nothing_else() -> None:
    """Another event has come to wait behind it since, or another one stands in its place: then it is refused."""

    @on(Paid, retry=Retry.never(), name="handle")
    async def handle(_: Paid) -> None:
        raise ValueError("no")

    async with staged() as stage:
        await stage.publish(Paid("bad", 1))
        async with stage.running(handle) as running:
            await stage.settled(running)
            entry = (await stage.entries())[0]
            assert entry is not None
            origin = entry.letter.origin
            await stage.publish(Paid("bad", 2))
            await stage.settled(running)
            seen = Command("c-1", "discard", "handle", b"kbad", number=1, origin=origin)
            other = Command("c-2", "discard", "handle", b"kbad", number=2, origin=origin + "0")
            for command in (seen, other):
                [(_, found, text)] = await answered(stage, running, command)
                assert (found, text) == (0, f"discard: refused: 2 events wait there now, from {origin} on")
            assert len(stage.rows("$parked")) == 2
            now = Command("c-3", "discard", "handle", b"kbad", number=2, origin=origin)
            assert await answered(stage, running, now) == [("c-3", 2, "discard: 2 events")]
            assert stage.rows("$parked") == []
