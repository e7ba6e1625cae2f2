"""Letters that come back from a file come back once and in their order, however often they are asked for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from mainstem import IntegrationEvent, Retry, Service
from mainstem.broker import Broker
from mainstem.delivery import Order
from mainstem.ops.letters.contents import Reading
from tests.journeys.conditions import until
from tests.rooms.ops.conftest import Shell

LETTERS = 250
LIVE = [1_000, 1_001]


class Errand(IntegrationEvent, topic="errands", key="street"):
    street: str
    number: int


class Killed(Exception):
    """The command is not there any more."""


@dataclass
class Errands:
    """A service that fails until it is mended, what it has handled, and the command line beside it."""

    shell: Shell
    handled: list[int] = field(default_factory=list)
    mended: bool = False
    service: Service = field(default_factory=lambda: Service("errands", publishes=(Errand,)))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Broker]:
        """Run it, with a sequence of dead letters."""
        self.service.topic("errands", partitions=1)

        @self.service.on(Errand, retry=Retry.never(), breaker=None)
        async def run(errand: Errand) -> None:
            if not self.mended:
                raise ValueError("too tired")
            self.handled.append(errand.number)

        async with self.shell.running(self.service) as process:

            async def settled() -> bool:
                return not sum(each.lag for each in await process.statistics())

            self.settled = settled
            await self.arrive(range(LETTERS))
            yield process.broker

    async def arrive(self, numbers: Sequence[int]) -> None:
        """Errands of one street come, and each is handled or waits."""
        await self.service.publish(*(Errand("Elm", number) for number in numbers))
        await until(self.settled)

    async def say(self, *arguments: str, code: int = 0) -> str:
        """Give a command about dead letters, which ends with this code."""
        result = await self.shell.beside("dead-letters", arguments[0], "errands", *arguments[1:], "--yes")
        assert result.exit_code == code, result.output
        return result.output

    async def archive(self, file: str = "old.jsonl", *, code: int = 0) -> str:
        """Archive all that waits."""
        return await self.say("archive", file, "--all", "--reason", "later", code=code)

    async def redrive(self) -> None:
        """Handle all that waits."""
        assert "1 worked off" in await self.say("redrive", "--all")


@pytest.fixture
def errands(shell: Shell) -> Errands:
    """The service, in an empty folder."""
    return Errands(shell)


Step = Callable[[str], Coroutine[None, None, None]]


def behind_each(monkeypatch: pytest.MonkeyPatch, step: Step, *, before: bool = False) -> None:
    """Do something between the commands of a command line; it hears what was asked for."""
    plain = Reading.ask

    async def ask(self: Reading, orders: Sequence[Order]) -> Mapping[str, object]:
        if before:
            await step(orders[0].command.action)
        answers = await plain(self, orders)
        if not before:
            await step(orders[0].command.action)
        return answers

    monkeypatch.setattr(Reading, "ask", ask)


async def restored_by_half(errands: Errands, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restore that is killed behind its first piece."""

    async def die(_action: str) -> None:
        raise Killed

    with monkeypatch.context() as inside:
        behind_each(inside, die)
        with pytest.raises(Killed):
            await errands.say("restore", "old.jsonl")


def without_ids(file: str) -> None:
    """Make a file as older versions have written it."""
    lines = [msgspec.json.decode(line) for line in Path(file).read_bytes().splitlines()]
    kept = [{name: value for name, value in line.items() if name != "archive"} for line in lines]
    Path(file).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in kept))


def cut(file: str, missing: slice) -> tuple[str, str]:
    """A copy of a file that lacks some lines; its name, and that of the file."""
    lines = Path(file).read_bytes().splitlines(keepends=True)
    del lines[missing]
    Path("cut.jsonl").write_bytes(b"".join(lines))
    return "cut.jsonl", file


def test_events_that_come_between_the_pieces_wait_behind_all(errands: Errands, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is refused, nothing handled twice or left out, and the order of the key is kept."""

    async def journey() -> None:
        async with errands.running():
            await errands.archive()
            errands.mended = True
            home = asyncio.get_running_loop()
            live = iter(LIVE)

            async def arrive(_action: str) -> None:
                for number in live:
                    coming = asyncio.run_coroutine_threadsafe(errands.arrive([number]), home)
                    await asyncio.wrap_future(coming)
                    break

            with monkeypatch.context() as inside:
                behind_each(inside, arrive)
                assert f"{LETTERS} events restored" in await errands.say("restore", "old.jsonl")
            assert not errands.handled
            await errands.redrive()
            assert errands.handled == [*range(LETTERS), *LIVE]

    asyncio.run(journey())


@pytest.mark.parametrize("old", [False, True])
def test_a_restore_that_was_killed_goes_on(errands: Errands, monkeypatch: pytest.MonkeyPatch, *, old: bool) -> None:
    """Behind what the task has; until then a redrive is refused, which would handle the last letters first."""

    async def journey() -> None:
        async with errands.running():
            await errands.archive()
            if old:
                without_ids("old.jsonl")
            errands.mended = True
            await restored_by_half(errands, monkeypatch)
            await errands.arrive(LIVE)
            assert "repeat the restore that was cut off" in await errands.say("redrive", "--all", code=1)
            assert "200 events restored\n  50 events came back before" in await errands.say("restore", "old.jsonl")
            await errands.redrive()
            assert errands.handled == [*range(LETTERS), *LIVE]
            assert f"{LETTERS} events came back before" in await errands.say("restore", "old.jsonl")
            assert "Nothing is dead-lettered there" in await errands.say("redrive", "--all")

    asyncio.run(journey())


def test_what_has_taken_the_place_of_half_a_restore_goes_first(
    errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who discards the half lets the key go on; the other half comes when nothing waits, and the first never again."""

    async def journey() -> None:
        async with errands.running():
            await errands.archive()
            await restored_by_half(errands, monkeypatch)
            await errands.say("discard", "--all", "--reason", "enough")
            await errands.arrive(LIVE)
            assert "2 events of run wait there already" in await errands.say("restore", "old.jsonl", code=1)
            errands.mended = True
            await errands.redrive()
            assert "200 events restored" in await errands.say("restore", "old.jsonl")
            await errands.redrive()
            assert errands.handled == [*LIVE, *range(200)]

    asyncio.run(journey())


def test_a_sequence_that_was_not_given_up_does_not_come_back(errands: Errands, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has grown before it could be discarded; the file has copies of letters that are handled where they are."""

    async def journey() -> None:
        async with errands.running():
            home = asyncio.get_running_loop()

            async def grow(action: str) -> None:
                if action == "discard":
                    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(errands.arrive(LIVE), home))

            with monkeypatch.context() as inside:
                behind_each(inside, grow, before=True)
                assert "252 events wait there now" in await errands.archive(code=1)
            errands.mended = True
            await errands.redrive()
            assert f"{LETTERS} events came back before, or never left" in await errands.say("restore", "old.jsonl")
            assert errands.handled == [*range(LETTERS), *LIVE]

    asyncio.run(journey())


def test_the_same_letters_may_come_and_go(errands: Errands) -> None:
    """Each archive is one of its own, also of letters that came from another."""

    async def journey() -> None:
        async with errands.running():
            for file in ("one.jsonl", "two.jsonl"):
                await errands.archive(file)
                assert f"{LETTERS} events restored" in await errands.say("restore", file)
            errands.mended = True
            await errands.redrive()
            assert errands.handled == [*range(LETTERS)]

    asyncio.run(journey())


def test_a_file_that_lacks_letters_is_refused(errands: Errands) -> None:
    """What stands before the gap would come without what stands behind it, in an order that is none."""

    async def journey() -> None:
        async with errands.running():
            await errands.archive()
            some, every = cut("old.jsonl", slice(20, 25))
            assert "letters 20 to 24 are missing in the file" in await errands.say("restore", some, code=1)
            assert "25 events restored" in await errands.say("restore", every)

    asyncio.run(journey())
