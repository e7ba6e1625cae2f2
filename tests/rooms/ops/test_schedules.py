"""What is due when: listed, shown and taken back; and what runs by the calendar: run by hand, paused, resumed."""

import asyncio
from collections.abc import Callable, Coroutine

import msgspec
from click.testing import Result

from mainstem import Context, IntegrationEvent, Service, Timer
from mainstem.service import Running
from tests.journeys.conditions import until
from tests.rooms.ops.conftest import Shell


class Paid(IntegrationEvent, topic="paid", key="customer_id"):
    customer_id: str


class Reminder(IntegrationEvent, topic="reminders", key="customer_id"):
    customer_id: str
    text: str = ""


def office(ran: list[int] | None = None) -> Service:
    """A service with something of each kind that waits."""
    service = Service("office", publishes=(Paid, Reminder))
    service.topic("paid", partitions=2)
    service.topic("reminders", partitions=2)

    @service.on(Paid, publishes=(Reminder,))
    async def put_off(paid: Paid, context: Context) -> None:
        context.publish_later(Reminder(paid.customer_id, "by a handler"), after="2h", name="second")
        context.wake("look", after="1h")

    @service.on_timer("look")
    async def look() -> None:
        """Nothing to do."""

    @service.schedule("0 8 * * *", tz="Europe/Berlin")
    async def nightly(timer: Timer) -> None:
        if ran is not None:
            ran.append(timer.due_ms)

    return service


def beside(shell: Shell, service: Service, work: Callable[[Running], Coroutine[None, None, None]]) -> None:
    """Do something while the service runs."""

    async def run() -> None:
        async with shell.running(service) as process:
            await work(process)

    asyncio.run(run())


def filled(shell: Shell) -> None:
    """Some events and timers wait; nobody runs the group."""
    service = office()

    async def fill(process: Running) -> None:
        await service.publish(Paid("c-1"), Paid("c-2"))
        await service.later.publish(Reminder("c-3", "from outside"), after="30m", name="first")

        def waiting() -> int:
            rows = [process.broker.rows("office", task) for task in range(2)]
            return sum(
                len(each.scan(store, b"", None, limit=9)) for each in rows for store in ("$scheduled", "$timers")
            )

        await until(lambda: waiting() == 6)

    beside(shell, service, fill)


def names(shell: Shell, *arguments: str) -> list[tuple[str, str]]:
    """What waits, by name and key."""
    [found] = shell.json("schedules", "list", *arguments)
    return [(each["name"], each["key"]) for each in found["waiting"]]


def test_what_waits_is_listed_in_the_order_in_which_it_is_due(shell: Shell) -> None:
    """Whoever has scheduled it, also while nobody runs the group; filters narrow it."""
    filled(shell)
    every = [("first", "c-3"), ("look", "c-1"), ("look", "c-2"), ("second", "c-1"), ("second", "c-2")]
    assert names(shell)[0] == every[0]
    assert sorted(names(shell)) == sorted(every)
    assert names(shell, "office", "--name", "first") == names(shell, "--key", "c-3") == [every[0]]
    assert sorted(names(shell, "--topic", "reminders")) == [each for each in every if each[0] != "look"]
    assert len(names(shell, "--type", "Reminder", "--key", "c-1")) == 1
    assert names(shell, "--type", "Paid") == names(shell, "--before", "2020-01-01") == []
    assert len(names(shell, "--before", "2999-01-01")) == 5
    [found] = shell.json("schedules", "list", "--limit", "2")
    assert (len(found["waiting"]), found["more"]) == (2, True)
    assert [each["scheduled_by"] for each in found["waiting"]] == ["outside", "handler"]
    text = shell("schedules", "list", "--limit", "2").stdout
    assert "1 schedule; waiting: the first 2; --limit shows more" in text
    assert "0 8 * * *" in text
    assert shell("schedules", "list", "offise").exit_code == 1


def test_a_schedule_and_an_event_are_shown_in_full(shell: Shell) -> None:
    """The next runs of the one, headers and payload of the other."""
    filled(shell)
    assert "nightly runs at 0 8 * * * Europe/Berlin\n" in shell("services").stdout
    [event] = shell.json("schedules", "show", "office", "first")
    assert event["payload"] == {"customer_id": "c-3", "text": "from outside"}
    assert event["headers"]["ce_type"] == "Reminder"
    [schedule] = shell.json("schedules", "show", "office", "nightly")
    assert (schedule["cron"], schedule["zone"], schedule["state"]) == ("0 8 * * *", "Europe/Berlin", "active")
    assert len(schedule["runs_next"]) == 5
    assert schedule["runs_next"][0] == schedule["next"]
    assert len(shell.json("schedules", "show", "office", "second")) == 2
    text = shell("schedules", "show", "office", "nightly").stdout
    assert "paused_by" in text
    refused = shell("schedules", "show", "office", "third")
    assert refused.exit_code == 1
    assert "nothing of 'office' runs or waits under 'third'" in refused.stderr


def test_events_are_taken_back(shell: Shell) -> None:
    """Nothing happens without --yes, nothing is meant without a filter; timers stay."""
    filled(shell)
    plan = shell("schedules", "cancel", "office", "--all")
    assert "3 events of office. Nothing was done; --yes takes them back." in plan.stdout
    assert shell("schedules", "cancel", "office", "--yes").exit_code == 2
    assert len(names(shell)) == 5

    async def cancel(_process: Running) -> None:
        done = await shell.beside("schedules", "cancel", "office", "--key", "c-1", "--yes")
        assert "cancel: 1 event of office taken back\n" in done.stdout, done.output
        rest = await shell.beside("schedules", "cancel", "office", "--all", "--yes", "--json")
        assert decoded(rest) == {"action": "cancel", "group": "office", "matched": 2, "done": 2, "answer": ""}

    beside(shell, office(), cancel)
    assert sorted(names(shell)) == [("look", "c-1"), ("look", "c-2")]
    assert "No such event waits there." in shell("schedules", "cancel", "office", "--all", "--yes").stdout


def decoded(result: Result) -> dict[str, object]:
    """The JSON that a command has printed."""
    assert result.exit_code == 0, result.stderr
    found: dict[str, object] = msgspec.json.decode(result.stdout)
    return found


def test_a_schedule_is_run_paused_and_resumed(shell: Shell) -> None:
    """By whoever runs the group; what was decided is seen in the list."""
    ran: list[int] = []

    async def decide(_process: Running) -> None:
        for command in ("run-now", "pause", "resume"):
            plan = await shell.beside("schedules", command, "office", "nightly")
            assert "Nothing was done; --yes does it." in plan.stdout
        assert ran == []
        done = await shell.beside("schedules", "run-now", "office", "nightly", "--yes")
        assert "nightly of office: run: it has begun" in done.stdout, done.output
        await until(lambda: len(ran) == 1)
        paused = await shell.beside("schedules", "pause", "office", "nightly", "--yes", "--by", "eva", "--json")
        assert decoded(paused)["answer"] == "pause: done"

    beside(shell, office(ran), decide)
    [found] = shell.json("schedules", "list", "office")
    [schedule] = found["schedules"]
    assert (schedule["state"], schedule["paused_by"], schedule["next"], schedule["runs"]) == ("paused", "eva", None, 1)
    assert shell.json("schedules", "show", "office", "nightly")[0]["runs_next"] == []

    async def resume(_process: Running) -> None:
        done = await shell.beside("schedules", "resume", "office", "nightly", "--yes")
        assert "resume: done" in done.stdout, done.output

    beside(shell, office(ran), resume)
    [found] = shell.json("schedules", "list")
    assert found["schedules"][0]["state"] == "active"
    assert found["schedules"][0]["next"] is not None


def test_a_schedule_that_is_not_there_or_that_nobody_runs(shell: Shell) -> None:
    """The one is refused with what may have been meant; the other waits in the inbox, and the code is 1."""
    filled(shell)
    wrong = shell("schedules", "pause", "office", "nightli", "--yes")
    assert wrong.exit_code == 1
    assert "did you mean nightly?" in wrong.stderr
    unheard = shell("schedules", "pause", "office", "nightly", "--yes", "--timeout", "0.1")
    assert unheard.exit_code == 1
    assert "no process runs the group" in unheard.stderr

    async def paused(_process: Running) -> None:
        async def seen() -> bool:
            listed = decoded(await shell.beside("schedules", "list", "--json"))
            return "paused" in str(listed["schedules"])

        await until(seen)

    beside(shell, office(), paused)
