"""Handlers that give way while their task is behind: their events wait, in order, and follow."""

from dataclasses import dataclass

import pytest

from mainstem.broker import Record, TopicPartition, single
from mainstem.clock import ManualClock
from mainstem.delivery import Command, Context, Processor, Store, encode_command, faults_of
from mainstem.delivery.failures import Audit
from mainstem.delivery.guards import Notices, Pauses, RightOfWay, giving_way
from mainstem.delivery.lanes import Lanes
from mainstem.settings import Settings
from tests.rooms.delivery.stage import Paid, Running, Stage, on, staged, until

LATE_MS = 60_000


class Noted:
    """What handlers were given."""

    def __init__(self) -> None:
        self.essential: list[str] = []
        self.waiting: list[str] = []

    def handlers(self) -> tuple[Processor, Processor]:
        """One that never waits, and one that does."""

        @on(Paid, name="first")
        async def first(event: Paid) -> None:
            self.essential.append(f"{event.order}{event.n}")

        @on(Paid, name="later", gives_way_ms=30_000)
        async def later(event: Paid) -> None:
            self.waiting.append(f"{event.order}{event.n}")

        return first, later


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(giving_way, "LOOK_SECONDS", 0.05)


async def late(stage: Stage, *events: Paid) -> None:
    """Publish what was made a minute ago, as if it had been waiting since."""
    await stage.publish(*events, timestamp_ms=stage.clock.now_ms() - LATE_MS)


def gives_way(running: Running) -> list[str]:
    """Which handlers of the first task do."""
    return [name for task in running.runner.tasks.values() for name in task.strain.giving_way]


async def test_its_events_wait_and_follow_in_order(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is lost: they are counted, listed as parked, and handled by key in order, new ones behind them."""
    noted = Noted()
    async with staged() as stage:
        await late(stage, Paid("a", 1), Paid("b", 1), Paid("a", 2))
        async with stage.running(*noted.handlers()) as running:
            await until(lambda: len(noted.essential) == 3)
            await stage.settled(running)
            assert (noted.waiting, running.counters.put_aside) == ([], 3)
            await until(lambda: not gives_way(running))
            await stage.publish(Paid("a", 3), Paid("c", 1))
            await stage.settled(running)
            assert noted.waiting == ["c1"]
            assert running.counters.failures == 0
        entries = [each for each in await stage.entries() if each is not None]
        assert [(each.status, each.failure.error, each.failure.failures) for each in entries] == [
            ("parked", "it gives way", 0)
        ] * 2
        stage.clock.ahead_ms += 2 * LATE_MS
        async with stage.running(*noted.handlers()) as running:
            await until(lambda: len(noted.waiting) == 5)
            await stage.settled(running)
        assert [each for each in noted.waiting if "a" in each] == ["a1", "a2", "a3"]
        assert sorted(noted.essential) == sorted(noted.waiting)
        assert stage.rows("$parking") == []
    assert caplog.text.count("later gives way, and its events wait") == 1
    assert caplog.text.count("3 events were put aside, and follow") == 1


async def test_one_that_is_alone_gives_way_too() -> None:
    """There are only its own events, and what is late is put aside to catch up with what is new."""
    noted = Noted()
    async with staged() as stage:
        await late(stage, Paid("a", 1), Paid("b", 1))
        async with stage.running(noted.handlers()[1]) as running:
            await stage.settled(running)
            assert running.counters.put_aside == 2
        assert noted.waiting == []


async def test_it_goes_on_at_half_the_way(caplog: pytest.LogCaptureFixture) -> None:
    """Between the half and the whole nothing changes: a task that is just as far behind does not begin and end."""
    noted = Noted()
    async with staged() as stage, stage.running(*noted.handlers()) as running:
        await stage.publish(Paid("a", 1), timestamp_ms=stage.clock.now_ms() - 20_000)
        await stage.settled(running)
        assert noted.waiting == ["a1"]
        await late(stage, Paid("b", 1))
        await until(lambda: bool(gives_way(running)))
        began = stage.clock.monotonic()
        count = 1
        while stage.clock.monotonic() - began < 0.2:  # four times as long as it must be calm
            count += 1
            await stage.publish(Paid(f"k{count}", 1), timestamp_ms=stage.clock.now_ms() - 20_000)
            await stage.settled(running)
        assert gives_way(running) == ["later"]
        await until(lambda: not gives_way(running))
    assert caplog.text.count("gives way, and its events wait") == 1


async def test_a_task_with_enough_to_do_is_no_nearer_to_the_end() -> None:
    """While it reads nothing because it is busy with what is late, its handlers go on giving way."""
    noted, free = Noted(), False

    @on(Paid, name="slow")
    async def slow(_: Paid) -> None:
        await until(lambda: free)

    few = Settings(commit_interval_ms=1, session_timeout_seconds=5.0, grace_seconds=1.0, buffer_events=1)
    async with staged() as stage:
        await late(stage, Paid("a", 1), Paid("b", 1), Paid("c", 1))
        async with stage.running(slow, *noted.handlers(), settings=few) as running:
            await until(lambda: bool(gives_way(running)))
            began = stage.clock.monotonic()
            await until(lambda: stage.clock.monotonic() - began > 0.2)
            assert gives_way(running) == ["later"]
            free = True
            await until(lambda: not gives_way(running))


async def test_an_old_command_does_not_say_that_events_are_late(caplog: pytest.LogCaptureFixture) -> None:
    """It is read from the inbox, which is read however much waits elsewhere."""
    noted = Noted()
    async with staged() as stage, stage.running(*noted.handlers()) as running:
        await until(lambda: any(each.positions for each in running.runner.tasks.values()))
        command = encode_command(Command("c", "discard", "later", b"kx"))
        old = Record(b"kx", command, stage.clock.now_ms() - LATE_MS)
        await stage.broker.log.append(TopicPartition("shop.inbox", 0), [old])

        async def answered() -> bool:
            return bool(await stage.answers())

        await until(answered)
    assert "gives way, and its events wait" not in caplog.text


async def test_a_sequence_that_still_waits_is_looked_at_less_and_less_often() -> None:
    """An event is put aside for half as long as it is old, ten seconds at least and an hour at most."""
    clock = ManualClock(10**12)
    way, now = giving_way.GivingWay("task", clock, lambda: 0.5, {}), clock.now_ms()
    waits = [way.again_ms(now - age) - now for age in (0, 10_000, 60_000, 86_400_000)]
    assert waits == [10_000, 10_000, 30_000, 3_600_000]


async def test_what_cannot_wait_is_refused() -> None:
    """A batch would wait event by event, others of its stores with it; and at least once there is no store."""

    @on(Paid, gives_way_ms=1_000)
    async def many(events: list[Paid]) -> None: ...

    @on(Paid, gives_way_ms=1_000)
    async def remembers(event: Paid, context: Context) -> None: ...

    @on(Paid)
    async def too(event: Paid, context: Context) -> None: ...

    spent = Store("spent", int)
    async with staged() as stage:
        plans = (
            stage.plan(many, lanes=1),
            stage.plan(*Noted().handlers(), delivery="at_least_once"),
            stage.plan(remembers, too, stores=[spent]),
        )
        assert ["is to give way" in str(fault) for plan in plans for fault in faults_of(plan)] == [True] * 3
        assert faults_of(stage.plan(remembers, *Noted().handlers()[:1], stores=[spent])) == []


@dataclass
class Doing:
    """What a task has to do."""

    next_ms: int | None = None
    held: bool = False
    resting: bool = False


async def test_a_task_that_stands_still_itself_is_not_behind() -> None:
    """To give way would not help it; and what was put aside up to the bound is worked off then."""
    told: list[str] = []
    clock, doing = ManualClock(), Doing()
    doing.next_ms = clock.now_ms() - LATE_MS
    waiter = giving_way.Waiter(1_000, lambda _: told.append("begin"), lambda: told.append("end"))
    lateness = giving_way.Lateness(clock, [waiter], doing)
    at = TopicPartition("orders", 0)
    lateness.read(single(at, 0, Record(None, b"", clock.now_ms() - LATE_MS)))
    assert told == ["begin"]
    doing.held = True
    await until(lambda: told == ["begin", "end"])
    doing.held = False
    await until(lambda: told == ["begin", "end", "begin"])
    doing.next_ms, doing.resting = None, True
    await until(lambda: told == ["begin", "end", "begin", "end"])
    lateness.close()


async def test_one_that_hangs_does_not_hold_the_others_up_for_ever() -> None:
    """A task that reads and begins nothing is not behind after ten seconds; it is once it begins something late."""
    told: list[str] = []
    clock, doing = ManualClock(), Doing()
    waiter = giving_way.Waiter(1_000, lambda _: told.append("begin"), lambda: told.append("end"))
    lateness = giving_way.Lateness(clock, [waiter], doing)
    late_one = single(TopicPartition("orders", 0), 0, Record(None, b"", clock.now_ms() - LATE_MS))
    lateness.read(late_one)
    await until(lambda: lateness._still_since is not None)
    clock.advance(giving_way.STILL_SECONDS - 1)
    looks = 0
    while looks < 3:
        before = lateness._handle
        await until(lambda before=before: lateness._handle is not before)
        looks += 1
    assert told == ["begin"]
    clock.advance(1)
    await until(lambda: told == ["begin", "end"])
    lateness.read(late_one)
    assert told == ["begin", "end", "begin"]
    lateness.close()


def pauses() -> Pauses:
    """Those of a task."""
    return Pauses("a task", ManualClock(), Lanes(1, lambda _: None), Notices(Audit("shop", 0), ManualClock()))


def test_the_sooner_one_gives_way_the_less_it_matters() -> None:
    """Nobody waits for one that gives way sooner, or as soon; so no two wait for each other."""
    way = RightOfWay({"shop": None, "mails": 40, "reports": 10, "copies": 10})
    waiters = {group: [each.after_ms for each in way.join(group, pauses())] for group in ("shop", "mails", "reports")}
    assert waiters == {"shop": [40, 10, 10], "mails": [10, 10], "reports": []}


def test_a_task_that_comes_later_gives_way_at_once() -> None:
    """As long as any task of the other group is behind; one that is over holds nobody up."""
    way = RightOfWay({"shop": None, "reports": 10})
    first, second, reports, late_one = pauses(), pauses(), pauses(), pauses()
    waiters = [*way.join("shop", first), *way.join("shop", second)]
    way.join("reports", reports)
    for each in waiters:
        each.begin(20)
    way.join("reports", late_one)
    assert list(reports.reasons) == list(late_one.reasons) == ["it gives way to 'shop'"]
    waiters[0].end()
    assert reports.some
    way.leave("shop", second)
    assert [reports.some, late_one.some] == [False, False]


async def test_what_is_kept_back_goes_on_first() -> None:
    """In its order, before what came meanwhile; a command runs at once; and drained it is abandoned."""
    ran: list[str] = []

    @dataclass
    class Note:
        name: str
        key: bytes | None = b"k"

        async def run(self) -> None:
            ran.append(self.name)

    lanes = Lanes(1, lambda _: None)
    held = Pauses("a task", ManualClock(), lanes, Notices(Audit("shop", 0), ManualClock()))
    lanes.add([Note("1"), Note("2"), Note("3")])
    held.hold("it gives way", keep=True)
    lanes.add([Note("command")])
    await until(lambda: ran == ["command"])
    assert lanes.in_flight == 3
    lanes.add([Note("4")])
    held.release("it gives way")
    await until(lambda: len(ran) == 5)
    assert ran == ["command", "1", "2", "3", "4"]
    lanes.add([Note("5")])
    held.hold("it gives way", keep=True)
    held.close()
    assert lanes.in_flight == 0
    await lanes.stop()
