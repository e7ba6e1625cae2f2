"""Dead letters: seen, decided about by those who run the group, and waited for."""

import asyncio
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from mainstem.settings import operator
from tests.journeys.conditions import until
from tests.rooms.ops.conftest import Shell
from tests.rooms.ops.shop import OrderPaid, loyalty


def failed(shell: Shell, *customers: str, later: int = 0) -> None:
    """Orders that cannot be handled, by customer, with others waiting behind them; nobody runs the group."""
    asyncio.run(shell.fail(*customers, later=later))


def listed(shell: Shell, *arguments: str) -> list[str]:
    """The keys that are listed."""
    return sorted(str(each["key"]) for each in shell.json("dead-letters", "list", *arguments))


def test_a_dead_letter_is_listed_and_shown_in_full(shell: Shell) -> None:
    """The list says who, where, why and how many; ``show`` adds headers, payload and trace."""
    failed(shell, "c-1", later=2)
    [letter] = shell.json("dead-letters", "list")
    assert (letter["group"], letter["handler"], letter["key"]) == ("loyalty", "tally", "c-1")
    assert (letter["status"], letter["next_try"], letter["failures"]) == ("dead-lettered", None, 1)
    assert (letter["error_type"], letter["error"]) == ("ValueError", "cannot pay back 5")
    [shown] = shell.json("dead-letters", "show", "loyalty")
    assert shown["payload"] == {"customer_id": "c-1", "amount_cents": -5}
    assert shown["headers"]["ce_type"] == "OrderPaid"
    assert "raise ValueError" in str(shown["trace"])
    text = shell("dead-letters", "show", "loyalty").stdout
    assert "cannot pay back 5" in text
    assert "orders/" in text
    assert "     next_try  -\n" in text
    assert "\nfirst_failure  2" in text, "all labels end in one column"
    assert '      payload  {"customer_id":"c-1","amount_cents":-5}\n' in text
    assert "1 sequence, 1 event" in shell("dead-letters", "list").stdout


def test_filters_narrow_the_list(shell: Shell) -> None:
    """Handler, key, exception type and age are filters, alone and together."""
    failed(shell, "c-1", "c-2", "c-3")
    assert listed(shell) == listed(shell, "loyalty") == ["c-1", "c-2", "c-3"]
    assert listed(shell, "--key", "c-1", "--key", "c-3") == ["c-1", "c-3"]
    assert listed(shell, "--handler", "tally", "--key", "c-2") == ["c-2"]
    assert listed(shell, "--handler", "other") == []
    assert listed(shell, "--error", "ValueError", "--newer-than", "1h") == ["c-1", "c-2", "c-3"]
    assert listed(shell, "--error", "TimeoutError") == []
    assert listed(shell, "--older-than", "1h") == []


def test_the_groups_are_named_when_one_is_not_there(shell: Shell) -> None:
    """A misspelt group is refused with the one that may have been meant."""
    failed(shell, "c-1")
    result = shell("dead-letters", "list", "loyality")
    assert result.exit_code == 1
    assert "did you mean loyalty?" in result.stderr


def test_a_decision_is_only_printed_until_it_is_confirmed(shell: Shell) -> None:
    """Without --yes nothing is sent; without a filter and without --all nothing is even meant."""
    failed(shell, "c-1", "c-2")
    result = shell("dead-letters", "redrive", "loyalty", "--all")
    assert result.exit_code == 0
    assert "2 sequences of loyalty, 2 events. Nothing was done; --yes does it." in result.stdout
    [plan] = shell.json("dead-letters", "discard", "loyalty", "--key", "c-1", "--reason", "old")
    assert plan == {"action": "discard", "group": "loyalty", "matched": 1, "waiting": 1, "outcome": None}
    assert shell("dead-letters", "redrive", "loyalty", "--yes").exit_code == 2
    assert shell("dead-letters", "discard", "loyalty", "--all", "--yes").exit_code == 2, "a reason is wanted"
    assert listed(shell) == ["c-1", "c-2"]
    [group] = shell.json("groups", "show", "loyalty")
    assert group["lag"] == 0, "nothing was put into the inbox"


def test_a_redrive_works_off_what_can_be_handled_now(shell: Shell) -> None:
    """Events are handled in order with those behind them, and the command says so once that is done."""
    failed(shell, "c-1", "c-2", later=3)
    Path("mended").touch()

    async def redrive() -> None:
        async with shell.running(loyalty):
            done = await shell.beside("dead-letters", "redrive", "loyalty", "--key", "c-1", "--yes")
            assert done.exit_code == 0, done.stderr
            assert "redrive: 1 sequence of loyalty, 4 events: 1 worked off" in done.stdout

    asyncio.run(redrive())
    assert listed(shell, "--parked") == ["c-2"]


def test_what_fails_again_is_counted_and_stays(shell: Shell) -> None:
    """A redrive that is of no use says so; the dead letter is there as before."""
    failed(shell, "c-1", "c-2")

    async def redrive() -> None:
        async with shell.running(loyalty):
            done = await shell.beside("dead-letters", "redrive", "loyalty", "--all", "--yes", "--json")
            outcome = msgspec.json.decode(done.stdout)["outcome"]
            assert outcome == {"sent": 2, "answered": 2, "events": 2, "done": 0, "failed_again": 2, "gone": 0} | {
                "scheduled": 0,
                "held_back": 0,
                "refused": [],
            }

    asyncio.run(redrive())
    assert listed(shell) == ["c-1", "c-2"]


def test_a_discarded_sequence_is_gone_and_its_reason_is_told(shell: Shell) -> None:
    """Its key flows again, and the audit topic says what was discarded and why."""
    failed(shell, "c-1", later=1)

    async def discard() -> None:
        async with shell.running(loyalty) as process:
            done = await shell.beside(
                "dead-letters", "discard", "loyalty", "--error", "ValueError", "--reason", "paid by hand", "--yes"
            )
            assert "1 discarded" in done.stdout
            await loyalty.publish(OrderPaid("c-1", 7))

            async def handled() -> bool:
                return sum(each.counters.handled for each in await process.statistics()) > 1

            await until(handled)

    asyncio.run(discard())
    assert listed(shell, "--parked") == []
    told = shell("tail", "loyalty.dead-letters", "--json").stdout
    assert '"status":"discarded"' in told
    assert '"reason":"paid by hand"' in told


def test_nobody_running_the_group_is_said_and_the_command_waits(shell: Shell) -> None:
    """Without an answer the code is 1 and the error says why; the command is carried out when the group is started."""
    failed(shell, "c-1")
    Path("mended").touch()
    result = shell("dead-letters", "redrive", "loyalty", "--all", "--yes", "--timeout", "0.1")
    assert result.exit_code == 1
    assert "1 of 1 command to 'loyalty' not answered [not-answered]" in result.stderr
    assert "no process runs the group" in result.stderr

    async def start() -> None:
        async with shell.running(loyalty) as process:

            async def redriven() -> bool:
                return sum(each.counters.redriven for each in await process.statistics()) == 1

            await until(redriven)

    asyncio.run(start())
    assert listed(shell, "--parked") == []


def test_nothing_to_decide_is_no_error(shell: Shell) -> None:
    """A filter that holds nothing sends nothing, and says so."""
    failed(shell, "c-1")
    result = shell("dead-letters", "redrive", "loyalty", "--key", "c-9", "--yes")
    assert (result.exit_code, result.stdout) == (0, "Nothing is dead-lettered there.\n")


@pytest.mark.parametrize("count", [1_200])
def test_many_are_decided_in_one_go(count: int, shell: Shell) -> None:
    """More commands than go into one transaction are all answered, and all sequences are over."""
    failed(shell, *(f"c-{number}" for number in range(count)))
    Path("mended").touch()

    async def redrive() -> None:
        async with shell.running(loyalty):
            done = await shell.beside("dead-letters", "redrive", "loyalty", "--all", "--yes")
            assert f"{count} worked off" in done.stdout, done.output

    asyncio.run(redrive())
    assert listed(shell, "--parked") == []


def decided(shell: Shell, *arguments: str) -> dict[str, int]:
    """The outcome of a decision, given while the service runs."""

    async def decide() -> bytes:
        async with shell.running(loyalty):
            done = await shell.beside("dead-letters", *arguments, "--yes", "--json")
            return done.stdout_bytes

    found: dict[str, int] = msgspec.json.decode(asyncio.run(decide()))["outcome"]
    return found


def test_a_topic_is_a_filter_and_exceptions_are_counted(shell: Shell) -> None:
    """``--topic`` asks where the event came from; ``--group`` counts by handler and exception type."""
    failed(shell, "c-1", "c-2", later=1)
    assert listed(shell, "--topic", "orders") == ["c-1", "c-2"]
    assert listed(shell, "--topic", "gold") == []
    [kind] = shell.json("dead-letters", "list", "loyalty", "--group")
    assert (kind["handler"], kind["error_type"], kind["error"]) == ("tally", "ValueError", "cannot pay back 5")
    assert (kind["sequences"], kind["group"]) == (2, "loyalty")
    assert "tally     ValueError           2" in shell("dead-letters", "list", "--group").stdout


def test_a_redrive_for_later_is_a_durable_timer(shell: Shell) -> None:
    """``--after`` is answered at once, and begins then: not before, and also when the group was restarted meanwhile."""
    failed(shell, "c-1")
    Path("mended").touch()
    outcome = decided(shell, "redrive", "loyalty", "--all", "--after", "1h", "--by", "eva", "--reason", "tonight")
    assert (outcome["answered"], outcome["scheduled"], outcome["done"]) == (1, 1, 0)
    [shown] = shell.json("dead-letters", "show", "loyalty", "--parked")
    assert (shown["status"], shown["by"], shown["reason"]) == ("redriven", "eva", "tonight")
    assert shown["next_try"] > shown["since"]
    outcome = decided(shell, "redrive", "loyalty", "--all", "--parked", "--at", "2020-01-31T08:00:00Z")
    assert outcome["scheduled"] == 1, "a time that has passed is now"

    async def wait() -> None:
        async with shell.running(loyalty):

            async def worked_off() -> bool:
                return not msgspec.json.decode(
                    (await shell.beside("dead-letters", "list", "--parked", "--json")).stdout_bytes
                )

            await until(worked_off)

    asyncio.run(wait())


def test_a_rate_spreads_a_redrive_over_time(shell: Shell) -> None:
    """At 20 sequences in a second the fourth begins 150 ms after the first; all of them are watched to their end."""
    failed(shell, "c-1", "c-2", "c-3", "c-4")
    outcome = decided(shell, "redrive", "loyalty", "--all", "--rate", "20/s")
    assert (outcome["failed_again"], outcome["scheduled"]) == (4, 0)
    ends = sorted(str(each["last_failure"]) for each in shell.json("dead-letters", "show", "loyalty"))
    first, last = (datetime.fromisoformat(ends[at]) for at in (0, -1))
    assert (last - first).total_seconds() >= 0.1


def test_a_redrive_stops_when_too_many_fail_again(shell: Shell) -> None:
    """It goes out in growing waves; what was not sent any more is still a dead letter, and the code is 1."""
    failed(shell, *(f"c-{number}" for number in range(7)))
    outcome = decided(shell, "redrive", "loyalty", "--all", "--stop-at", "20%")
    assert (outcome["sent"], outcome["failed_again"], outcome["held_back"]) == (1, 1, 6)
    Path("mended").touch()
    outcome = decided(shell, "redrive", "loyalty", "--all", "--stop-at", "20%")
    assert (outcome["done"], outcome["held_back"]) == (7, 0)


def test_who_decides_is_told(shell: Shell) -> None:
    """Without ``--by`` it is the user of the operating system."""
    failed(shell, "c-1")
    decided(shell, "discard", "loyalty", "--all", "--reason", "old")
    assert f'"by":"{operator()}"' in shell("tail", "loyalty.dead-letters", "--json").stdout


@pytest.mark.parametrize(
    "wrong",
    [
        ("--rate", "often"),
        ("--rate", "0/s"),
        ("--at", "tomorrow"),
        ("--stop-at", "100%"),
        ("--at", "2026-01-31", "--after", "1h"),
        ("--after", "1h", "--stop-at", "20%"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_refused(wrong: tuple[str, ...], shell: Shell) -> None:
    """Before anything is asked of the group."""
    failed(shell, "c-1")
    result = shell("dead-letters", "redrive", "loyalty", "--all", "--yes", *wrong)
    assert result.exit_code == 2, result.output
