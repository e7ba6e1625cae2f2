"""What a service may be told about failures and time, played on both brokers: the same code, the same outcome."""

import json
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainstem import Breaker, Context, Deduplicate, IntegrationEvent, KillSwitch, Limit, Retry, Service, Timer, running
from mainstem.broker import Record, TopicPartition, read_all
from mainstem.clock import SystemClock
from mainstem.delivery import decode_entry, is_notice
from mainstem.identifiers import Identifiers
from mainstem.resilience import BreakerRule, CallsWindow, TokenBucket
from mainstem.service import Floor, HandlerGroup, Running
from mainstem.settings import Settings
from tests.journeys.conditions import caught_up, until
from tests.rooms.ops.conftest import Shell

MINUTE_MS = 60_000
ENVELOPE = {"ce_source": b"/elsewhere", "ce_type": b"Paid", "ce_specversion": b"1.0"}


class Shifted(SystemClock):
    """A wall clock that a test has set forward."""

    __slots__ = ("_ahead_ms",)

    def __init__(self, ahead_ms: int) -> None:
        self._ahead_ms = ahead_ms

    def now_ms(self) -> int:
        """The wall clock, and so much more."""
        return super().now_ms() + self._ahead_ms


class Shop:
    """A service on a broker, with names that nobody else has there; it is run as often as a test likes."""

    def __init__(self, url: str, name: str, folder: Path) -> None:
        self.url = url
        self.name = name
        self.folder = folder
        self.given: list[tuple[str, int]] = []
        """What handlers were given."""

        class Paid(IntegrationEvent, topic=f"{name}-paid", key="customer"):
            customer: str
            number: int
            provider: str = ""

        class Told(IntegrationEvent, topic=f"{name}-told", key="customer"):
            customer: str
            number: int

        self.Paid, self.Told = Paid, Told

    def service(self, handler: Callable[..., Awaitable[None]] | None = None, **options: Any) -> Service:
        """The service with one handler: it notes what it is given, unless another one is given."""
        service = Service(self.name, publishes=(self.Paid,))
        for topic in ("paid", "told"):
            service.topic(f"{self.name}-{topic}", partitions=1)
        self.add(service, "handle", handler or self.note, **options)
        return service

    def add(
        self, service: Service | HandlerGroup, name: str, handler: Callable[..., Awaitable[None]], **options: Any
    ) -> None:
        """One more handler of the same event."""

        async def handle(paid: Any, context: Context) -> None:
            await handler(paid, context)

        handle.__annotations__["paid"] = self.Paid
        service.on(self.Paid, name=name, **options)(handle)

    async def note(self, paid: Any, _context: Context) -> None:
        """A negative number cannot be handled until somebody has mended it."""
        self.given.append((paid.customer, paid.number))
        if paid.number < 0 and not (self.folder / "mended").exists():
            raise ConnectionError(f"cannot pay back {-paid.number}")

    def run(
        self, service: Service, ahead_ms: int = 0, settings: Settings | None = None
    ) -> AbstractAsyncContextManager[Running]:
        """Run it, on a wall clock that has been set forward."""
        clock = Shifted(ahead_ms)
        floor = Floor(clock=clock, identifiers=Identifiers(clock), chance=random.Random(1))
        usual = Settings(session_timeout_seconds=3, grace_seconds=5)
        return running(service, broker=self.url, dev=True, settings=settings or usual, floor=floor)

    def letters(self, name: str) -> list[dict[str, Any]]:
        """What the lines of a file say, but for which file it is."""
        lines = map(json.loads, (self.folder / name).read_text().splitlines())
        return [{name: value for name, value in line.items() if name != "archive"} for line in lines]

    async def send_doubles(self, process: Running, number: int) -> None:
        """Two events of a stranger: one of an id that he has used before, and the other not, the first time apart."""
        value = b'{"customer":"doubled","number":%d}' % number
        records = [Record(b"doubled", value, 1, {**ENVELOPE, "ce_id": each}) for each in (b"0", b"%d" % number)]
        await process.broker.log.append(TopicPartition(f"{self.name}-paid", 0), records)

    async def published(self, process: Running) -> list[tuple[str, int]]:
        """What was told, in its order."""
        found: list[tuple[str, int]] = []
        async for batch in read_all(process.broker, f"{self.name}-told"):
            told = [msgspec.json.decode(value or b"{}") for value in batch.values]
            found += [(each["customer"], each["number"]) for each in told]
        return found

    async def has_told(self, process: Running) -> bool:
        """Whether anything was told."""
        return bool(only("limited", await self.published(process)))

    async def has_told_all(self, process: Running, count: int) -> bool:
        """Whether handlers that need a provider have told so much."""
        return len(self.given) >= count and len(await self.published(process)) >= count

    def needing(self, name: str, calls: list[str]) -> Callable[[Any, Context], Awaitable[None]]:
        """A handler that needs a provider. The one in the east is away until it is mended, or both are."""

        async def ask(paid: Any, context: Context) -> None:
            calls.append(f"{name} {paid.provider}")
            if (paid.provider == "east" or name != "keyed") and not (self.folder / "mended").exists():
                raise ConnectionError(paid.provider)
            context.publish(self.Told(f"{name} {paid.customer}", paid.number))
            self.given.append((f"{name} {paid.customer}", paid.number))

        return ask

    async def audited(self, process: Running) -> list[tuple[str, str]]:
        """What the group says of its failures: what has become of them, and why."""
        entries = []
        async for batch in read_all(process.broker, f"{self.name}.dead-letters"):
            told = zip(batch.keys, batch.values, strict=True)
            entries += [decode_entry(value) for key, value in told if value is not None and not is_notice(key)]
        return [(each.status, each.reason) for each in entries]


@pytest.fixture(params=["file", "kafka"])
def shop(
    request: pytest.FixtureRequest, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shop:
    """A shop on each of the brokers; commands are given in its folder."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/shop.db"
    if request.param == "kafka":
        url = f"kafka://{request.getfixturevalue('kafka')}?state_folder={tmp_path}/state"
    monkeypatch.setenv("MAINSTEM_BROKER", url)
    return Shop(url, unique("shop"), tmp_path)


def reasons(process: Running) -> list[str]:
    """Why inputs stand still."""
    tasks = [task for runner in process.runners.values() for task in runner.tasks.values()]
    return [reason for task in tasks for reason in task.paused]


async def test_a_pause_waits_for_what_is_away(shop: Shop) -> None:
    """Nothing is read, parked or lost meanwhile; when it is back all goes on in its order, once."""
    service = shop.service(retry=Retry.on(ConnectionError).pause("50ms"))
    async with shop.run(service) as process:
        await service.publish(shop.Paid("a", -1))
        await until(lambda: reasons(process) == ["handle waits for what it needs"])
        await service.publish(shop.Paid("a", 2), shop.Paid("b", 3))
        await until(lambda: shop.given.count(("a", -1)) > 3)
        assert set(shop.given) == {("a", -1)}
        (shop.folder / "mended").touch()
        await caught_up(process)
        assert [each for each in shop.given if each[1] > 0] == [("a", 2), ("b", 3)]
        assert await shop.audited(process) == []


async def test_so_many_may_be_parked(shop: Shop) -> None:
    """At the bound the inputs stand still, and commands do not; below it they go on."""
    shell, few = Shell(shop.folder, shop.url), Settings(session_timeout_seconds=3, parked_events_most=3)
    service = shop.service(retry=Retry.never())
    async with shop.run(service, settings=few) as process:
        await service.publish(*(shop.Paid("a", number) for number in (-1, 2, 3)))
        await until(lambda: bool(reasons(process)))
        await service.publish(shop.Paid("b", 4))
        done = await shell.beside("dead-letters", "discard", shop.name, "--all", "--reason", "old", "--yes")
        assert "1 discarded" in done.stdout, done.output
        await until(lambda: ("b", 4) in shop.given)
        assert shop.given == [("a", -1), ("b", 4)]
        await caught_up(process)
        assert ("discarded", "old") in await shop.audited(process)


async def test_dead_letters_are_edited_kept_in_files_and_redriven(shop: Shop) -> None:
    """Each with what waits behind it, in its order; and what was discarded by its policy waits nowhere."""
    shell = Shell(shop.folder, shop.url)
    retry = Retry.on(ConnectionError).dead_letter().also_on(ValueError).discard("worthless")

    async def note(paid: Any, context: Context) -> None:
        if paid.number == 0:
            raise ValueError
        await shop.note(paid, context)

    async def letters(*arguments: str) -> str:
        done = await shell.beside("dead-letters", *arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    service = shop.service(note, retry=retry)
    async with shop.run(service) as process:
        await service.publish(*(shop.Paid(key, number) for key in "ab" for number in (-1, 2)), shop.Paid("c", 0))
        await caught_up(process)
        assert ("discarded", "worthless") in await shop.audited(process)
        await letters(
            "edit", shop.name, "--key", "a", "--patch", '{"number": 1}', "--reason", "typo", "--letter", "0", "--yes"
        )
        assert "1 worked off" in await letters("redrive", shop.name, "--key", "a", "--yes")
        assert shop.given[2:] == [("a", 1), ("a", 2)]
        assert "1 sequence, 2 events" in await letters("export", shop.name, "new.jsonl", "--all")
        assert "1 discarded" in await letters("archive", shop.name, "old.jsonl", "--all", "--reason", "later", "--yes")
        assert shop.letters("old.jsonl") == shop.letters("new.jsonl")
        assert "2 events restored" in await letters("restore", shop.name, "old.jsonl", "--yes")
        (shop.folder / "mended").touch()
        assert "1 worked off" in await letters("redrive", shop.name, "--all", "--yes")
        assert shop.given[4:] == [("b", -1), ("b", 2)]
        statuses = {status for status, _ in await shop.audited(process)}
        assert {"dead-lettered", "edited", "discarded"} <= statuses


async def test_what_one_owner_knows_the_next_one_knows(shop: Shop) -> None:
    """A double is passed over; who is over a limit waits for a turn, and has not failed.

    What is to be published later is, once and at no other time; a schedule's runs that were missed are made up for.
    """
    turns: list[tuple[str, int]] = []
    due: list[int] = []

    async def take_a_turn(paid: Any, _context: Context) -> None:
        turns.append((paid.customer, paid.number))

    async def tell_later(paid: Any, context: Context) -> None:
        context.publish_later(shop.Told(paid.customer, paid.number), after="1m")

    async def every_minute(timer: Timer) -> None:
        due.append(timer.due_ms)

    for life, ahead_ms in enumerate((0, 0, 3 * MINUTE_MS, 3 * MINUTE_MS)):
        service = shop.service(deduplicate=Deduplicate("1h"))
        shop.add(service, "limited", take_a_turn, limit=Limit(TokenBucket(limit=1, period_ms=MINUTE_MS)))
        shop.add(service, "later", tell_later, publishes=(shop.Told,))
        service.schedule("* * * * *", missed="all")(every_minute)
        async with shop.run(service, ahead_ms=ahead_ms) as process:
            if life < 2:
                await shop.send_doubles(process, life)
                await service.publish(shop.Paid("limited", life))
            else:
                await until(lambda: len(due) >= 3 and only("limited", turns) == [0, 1])
                await until(partial(shop.has_told, process))
            await caught_up(process)
            assert only("limited", turns) == ([0] if life < 2 else [0, 1])
            assert only("limited", await shop.published(process)) == ([] if life < 2 else [0, 1])
            assert sum(each.counters.failures for each in await process.statistics()) == 0
    assert only("doubled", shop.given) == [0, 1]
    assert due == [due[0] + number * MINUTE_MS for number in range(len(due))]


async def test_what_a_breaker_holds_back_follows_when_it_closes(shop: Shop) -> None:
    """One for all events, one for each provider, and a kill switch as it is: each is open for the next owner.

    Then everything is handled once and in its order, and nothing has become a dead letter.
    """
    rule = BreakerRule(window=CallsWindow(4), minimum_calls=4, open_ms=2 * MINUTE_MS, probes=2)
    customers = [f"c{number}" for number in range(60)]
    calls: list[str] = []

    for life, ahead_ms in enumerate((0, 0, 3 * MINUTE_MS)):
        service = shop.service(shop.needing("bare", calls), breaker=KillSwitch(), publishes=(shop.Told,))
        for name, breaker in (("wide", Breaker(rule)), ("keyed", Breaker(rule, by="provider"))):
            shop.add(service.group(name), name, shop.needing(name, calls), breaker=breaker, publishes=(shop.Told,))
        async with shop.run(service, ahead_ms=ahead_ms) as process:
            if life == 0:
                await service.publish(*(shop.Paid(each, number, "east") for number in (0, 1) for each in customers))
            if life < 2:
                await until(lambda: sorted(open_breakers(process)) == ["handle", "keyed for east", "wide"])
                await service.publish(shop.Paid("other", life, "west"))
                await until(partial(shop.has_told_all, process, life + 1))
                assert await shop.published(process) == [("keyed other", number) for number in range(life + 1)]
                assert life == 0 or {"wide east", "wide west", "keyed east"}.isdisjoint(calls)
            else:
                await until(partial(shop.has_told_all, process, 3 * 2 * (len(customers) + 1)))
                assert open_breakers(process) == []
                told = await shop.published(process)
                for name in ("bare", "wide", "keyed"):
                    assert [only(f"{name} {each}", told) for each in (*customers, "other")] == [[0, 1]] * 61
            assert sum(each.counters.dead_lettered for each in await process.statistics()) == 0
        calls.clear()
        if life == 1:
            (shop.folder / "mended").touch()


def open_breakers(process: Running) -> list[str]:
    """The breakers that are not closed."""
    tasks = [task for runner in process.runners.values() for task in runner.tasks.values()]
    return [each for task in tasks for each in task.open_breakers]


def only(customer: str, given: list[tuple[str, int]]) -> list[int]:
    """The numbers of one customer."""
    return [number for each, number in given if each == customer]
