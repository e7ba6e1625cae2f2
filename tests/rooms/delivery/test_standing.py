"""What is ordered from outside about schedules: paused, resumed, run by hand; and what is told of them."""

import msgspec

from mainstem.delivery import Command, Context, Cron, Processor, Recurring, Registration, compile_handler
from mainstem.delivery.schedules import CRON
from mainstem.delivery.schedules.recurring import Standing, standings
from mainstem.state import TaskState, Timer
from tests.rooms.delivery.stage import GROUP, Running, Stage, Told, staged, until

HOUR_MS = 3_600_000


def hourly(name: str = "tell", *, was: tuple[str, ...] = (), jitter_ms: int = 0) -> Processor:
    """A handler that tells which run it is."""

    async def tell(timer: Timer) -> Told:
        return Told(str(timer.due_ms))

    recurring = Recurring(Cron("0 * * * *", "UTC"), "all", jitter_ms)
    timer = CRON + name
    return compile_handler(Registration(function=tell, name=name, timer=timer, schedule=recurring, was=was), {})


def due(stage: Stage) -> list[int]:
    """When the next runs begin."""
    return [int.from_bytes(row[:8], "big") for _, row in stage.rows("$timers")]


def standing(stage: Stage) -> dict[str, Standing]:
    """What is known of the schedules."""
    return dict(standings(TaskState(stage.broker.rows(GROUP, 0))))


async def order(stage: Stage, running: Running, action: str, handler: str = "tell") -> tuple[int, str]:
    """Send a command and wait for its answer."""
    await stage.settled(running)
    before = len(await stage.answers())
    command = msgspec.convert({"id": f"{action}-{before}", "action": action, "handler": handler, "place": b""}, Command)
    await stage.command(msgspec.structs.replace(command, by="eva", reason="tonight"))

    async def answered() -> bool:
        return len(await stage.answers()) > before

    await until(answered)
    await stage.settled(running)
    answer = (await stage.answers())[-1]
    return answer.found, answer.text


async def test_a_paused_schedule_has_no_next_run() -> None:
    """Also after a start, and under another name, until it is resumed; what would have been due is not made up for."""
    async with staged() as stage:
        async with stage.running(hourly()) as running:
            assert (await order(stage, running, "pause"))[0] == 1
            assert due(stage) == []
        assert standing(stage)["tell"].paused_by == "eva"
        assert standing(stage)["tell"].reason == "tonight"
        stage.clock.ahead_ms += 5 * HOUR_MS
        async with stage.running(hourly("say", was=("tell",))) as running:
            assert await order(stage, running, "pause", "say") == (1, "pause: it was so already")
            assert due(stage) == []
            assert (await order(stage, running, "resume", "say"))[0] == 1
            [next_ms] = due(stage)
            assert 0 < next_ms - stage.clock.now_ms() <= HOUR_MS
            assert await order(stage, running, "resume", "say") == (1, "resume: it was so already")
        assert await stage.told() == []
        assert list(standing(stage)) == ["say"]
        assert standing(stage)["say"].paused_ms is None


async def test_a_run_by_hand_is_one_more() -> None:
    """Also of a schedule that is paused; the next one by the calendar stays where it is."""
    async with staged() as stage:
        async with stage.running(hourly()) as running:
            await until(lambda: bool(due(stage)))
            before = due(stage)
            now_ms = stage.clock.now_ms()
            assert await order(stage, running, "run") == (1, "run: it has begun")
            assert due(stage) == before
            assert (await order(stage, running, "pause"))[0] == 1
            assert (await order(stage, running, "run"))[0] == 1
        told = [int(each) for each in await stage.told()]
        assert len(told) == 2
        assert 0 <= told[0] - now_ms < 5_000
        known = standing(stage)["tell"]
        assert (known.runs, known.last_ms) == (2, told[1])


async def test_a_run_by_hand_that_was_interrupted_goes_on() -> None:
    """Under the same id: the command is done, and the run is not."""
    ids: list[str] = []

    async def half(context: Context) -> Told:
        ids.append(context.event_id)
        if len(ids) == 1:
            await until(lambda: False, 60)
        return Told("whole")

    recurring = Recurring(Cron("0 * * * *", "UTC"))
    registration = Registration(function=half, name="half", timer=f"{CRON}half", schedule=recurring)
    async with staged() as stage:
        await stage.run(compile_handler(registration, {}))
        running = stage.start(stage.plan(compile_handler(registration, {})))
        await stage.command(Command("1", "run", "half", b""))
        await until(lambda: len(ids) == 1)
        await until(lambda: len(stage.rows("$begun")) == 1)
        await running.crash()
        async with stage.running(compile_handler(registration, {})) as running:
            await until(lambda: len(ids) == 2)
            await stage.settled(running)
        assert ids[0] == ids[1]
        assert await stage.told() == ["whole"]


async def test_a_schedule_that_is_not_there() -> None:
    """The answer says so, whatever was ordered."""
    async with staged() as stage, stage.running(hourly()) as running:
        for action in ("run", "pause", "resume"):
            assert await order(stage, running, action, "sell") == (0, f"{action}: there is no schedule of this name")


async def test_a_jitter_moves_the_beginning_and_not_the_run() -> None:
    """The handler is told the time of the calendar; the next run is the same for the next owner."""
    async with staged() as stage:
        await stage.run(hourly(jitter_ms=1_800_000))
        [first] = due(stage)
        await stage.run(hourly(jitter_ms=1_800_000))
        assert due(stage) == [first]
        run_ms = first // HOUR_MS * HOUR_MS
        assert first != run_ms, "as likely as not to be a matter of milliseconds"
        stage.clock.ahead_ms += first - stage.clock.now_ms()
        async with stage.running(hourly(jitter_ms=1_800_000)) as running:

            async def told() -> bool:
                return bool(await stage.told())

            await until(told)
            await stage.settled(running)
        assert await stage.told() == [str(run_ms)]
        [second] = due(stage)
        assert second // HOUR_MS * HOUR_MS == run_ms + HOUR_MS
        await stage.run(hourly())
        assert due(stage) == [run_ms + HOUR_MS], "without a jitter the run begins when it is"


async def test_what_was_left_out_is_counted() -> None:
    """And when it was due."""

    async def tell(timer: Timer) -> Told:
        return Told(str(timer.due_ms))

    registration = Registration(
        function=tell, name="tell", timer=f"{CRON}tell", schedule=Recurring(Cron("0 * * * *", "UTC"), "skip")
    )
    async with staged() as stage:
        await stage.run(compile_handler(registration, {}))
        [first] = due(stage)
        stage.clock.ahead_ms += first - stage.clock.now_ms() + 3 * HOUR_MS + 120_000
        async with stage.running(compile_handler(registration, {})) as running:
            await until(lambda: due(stage) != [first])
            await stage.settled(running)
        known = standing(stage)["tell"]
        assert (known.left_out, known.left_out_ms, known.runs) == (4, first, 0)
        assert (known.cron, known.zone, known.missed) == ("0 * * * *", "UTC", "skip")
