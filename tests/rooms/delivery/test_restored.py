"""What a task remembers of letters that came back from a file: for as long as their handler exists."""

from msgspec.structs import replace

from mainstem.clock import SystemClock
from mainstem.delivery import Command, Failure, Letter, Processor, Retirement, Retry
from tests.rooms.delivery.stage import Paid, on, staged

K = b"kk"
GONE = Failure(1, 0, 0, "ValueError", "too tired", "")
LETTERS = tuple(Letter("orders", 0, offset, 0, b"k", b"{}", {}) for offset in range(4))
LAST = Command("1", "restore", "a", K, number=2, letters=LETTERS[2:], failure=GONE, archive="file")
FIRST = replace(LAST, number=0, letters=LETTERS[:2])


def handler(name: str, **options: object) -> Processor:
    """A handler that has nothing to do."""

    async def handle(_paid: Paid) -> None:
        """Nothing."""

    return on(Paid, name=name, retry=Retry.never(), **options)(handle)


async def test_it_is_there_in_the_next_life_and_under_the_next_name() -> None:
    """A piece is taken once; the handler that is renamed in the middle gets the others, and no redrive before."""
    async with staged() as stage:
        await stage.run(handler("a"))
        async with stage.running(handler("a")) as running:
            assert await stage.said(running, LAST) == "restore: 2 events"
        async with stage.running(handler("a")) as running:
            assert await stage.said(running, LAST) == "restore: 0 events"
        async with stage.running(handler("b", was=("a",))) as running:
            assert await stage.said(running, replace(LAST, handler="b")) == "restore: 0 events"
            assert "letters that go before them are missing" in await stage.said(
                running, Command("2", "redrive", "b", K)
            )
            assert await stage.said(running, replace(FIRST, handler="b")) == "restore: 2 events"
            assert await stage.said(running, Command("2", "redrive", "b", K)) == "redrive: 4 events"


async def test_it_goes_with_the_handler() -> None:
    """Nothing can be restored for a handler that was retired."""
    async with staged() as stage:
        await stage.run(handler("a"))
        async with stage.running(handler("a")) as running:
            await stage.said(running, LAST)
        assert len(stage.rows("$restored")) == 1
        [group] = (await stage.broker.admin.groups()).values()
        await Retirement(stage.broker, group, "a").carry_out(SystemClock(), "gone", lambda _: None)
        assert stage.rows("$restored") == []


async def test_letters_of_two_files_do_not_mix() -> None:
    """While one file is missing letters nothing of another is put between; and none without the id of its file."""
    async with staged() as stage:
        await stage.run(handler("a"))
        async with stage.running(handler("a")) as running:
            await stage.said(running, LAST)
            assert "the restore of another file was cut off" in await stage.said(
                running, replace(LAST, archive="other")
            )
            assert "older than the process" in await stage.said(running, replace(LAST, archive=""))
            longer = replace(LAST, number=4)
            assert "had 4 letters when it was restored" in await stage.said(running, longer)
            assert len(stage.rows("$parked")) == 2


async def test_what_does_not_belong_together_is_refused() -> None:
    """Letters of another key, without their failure, or with a piece missing behind them: nothing of it is taken."""
    stranger = replace(LETTERS[3], key=b"another")
    async with staged() as stage:
        await stage.run(handler("a"))
        async with stage.running(handler("a")) as running:
            for command, why in (
                (replace(LAST, letters=(LETTERS[2], stranger)), "of another key, or without their failure"),
                (replace(LAST, failure=None), "of another key, or without their failure"),
                (replace(LAST, archive=""), "older than the process"),
            ):
                assert why in await stage.said(running, command)
            assert stage.rows("$parked") == []
            assert await stage.said(running, replace(LAST, number=3, letters=LETTERS[3:])) == "restore: 1 events"
            missing = await stage.said(running, FIRST)
            assert missing.endswith("letters 2 to 2 are missing in the file")
            assert len(stage.rows("$parked")) == 1
