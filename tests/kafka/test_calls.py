"""Questions to a cluster that does not answer."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from mainstem.broker.kafka import KafkaBroker, KafkaOptions
from mainstem.broker.kafka.broker import met
from mainstem.broker.kafka.calls import Asking, Calls, Coordinators, background, translated
from mainstem.broker.kafka.options import ClientSettings
from mainstem.errors import BrokerAway, CommitUnknown, DefinitionError

SECONDS = 0.2
PATIENCE_SECONDS = 5.0


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of somebody who takes connections and says nothing, as a node that stands still."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def calls() -> Iterator[Calls]:
    """A thread to ask in."""
    calls = Calls(1, 10.0)
    yield calls
    calls.close()


async def test_a_client_that_is_left_without_an_answer_is_replaced(silent: str, calls: Calls) -> None:
    """It might never connect again, although the cluster has come back: the next question goes through another one."""
    asking = Asking(ClientSettings(silent, KafkaOptions()).admin(), SECONDS, calls)
    client = asking.client
    assert asking.client is client
    with pytest.raises(BrokerAway):
        await asking.look("who is there")
    assert asking.client is not client


async def test_coordinators_are_not_asked_where_nobody_answers(silent: str, calls: Calls) -> None:
    """Such a question ends the process when its broker comes back, so a harmless one goes before it."""
    coordinators = Coordinators(ClientSettings(silent, KafkaOptions()).admin(), SECONDS, calls)

    def question(_: AdminClient, _seconds: float) -> "Future[None]":
        pytest.fail("it has been asked")

    with pytest.raises(BrokerAway):
        await coordinators.ask(question, "group g")


async def test_a_question_that_is_left_without_an_answer_goes_to_another_client(kafka: str, calls: Calls) -> None:
    """A client asks a coordinator that has died for as long as it has time, so it is waited for more briefly.

    It has more time than anybody waits: where an answer comes after that time, the client ends the process.
    """
    coordinators = Coordinators(ClientSettings(kafka, KafkaOptions()).admin(), 10, calls)
    asked: list[tuple[AdminClient, float]] = []

    def question(client: AdminClient, seconds: float) -> "Future[str]":
        answer: Future[str] = Future()
        asked.append((client, seconds))
        if len(asked) == 3:
            answer.set_result("here")
        return answer

    assert await coordinators.ask(question, "group g") == "here"
    assert len({id(client) for client, _ in asked}) == 3
    assert all(seconds > 100 for _, seconds in asked)


async def test_a_commit_is_given_up_soon_and_the_next_one_of_its_task_later() -> None:
    """Whoever takes the task over anew asks another coordinator; where the cluster is slow, that mends nothing."""
    calls, go_on = Calls(4, 10.0, commit_seconds=0.02), threading.Event()
    try:
        for patience in ("0.02", "0.1"):
            with pytest.raises(CommitUnknown, match=rf"within {patience} s"):
                await calls.commit(go_on.wait, "billing.0")
        with pytest.raises(BrokerAway, match=r"within 0\.02 s"):
            await calls.commit(go_on.wait, "billing.1", BrokerAway)
        go_on.set()
        assert await calls.commit(go_on.wait, "billing.0")
        go_on.clear()
        with pytest.raises(CommitUnknown, match=r"within 0\.02 s"):
            await calls.commit(go_on.wait, "billing.0")
    finally:
        go_on.set()
        calls.close()


def test_a_partition_without_a_leader_is_waited_for() -> None:
    """One is elected within seconds, so it is the cluster that does not answer, and nothing that a user has to mend."""
    told = translated(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION), "orders[0]")
    assert isinstance(told, BrokerAway)
    assert "orders[0]" in str(told)


async def test_after_an_outage_coordinators_are_asked_anew(kafka: str, silent: str, calls: Calls) -> None:
    """A client that was idle meanwhile would wait for connections of before, as long as an answer may take."""
    coordinators = Coordinators(ClientSettings(kafka, KafkaOptions()).admin(), 10, calls)
    asked: list[AdminClient] = []

    def question(client: AdminClient, _seconds: float) -> "Future[None]":
        asked.append(client)
        answer: Future[None] = Future()
        answer.set_result(None)
        return answer

    await coordinators.ask(question, "group g")
    await coordinators.ask(question, "group g")
    with pytest.raises(BrokerAway):
        await Asking(ClientSettings(silent, KafkaOptions()).admin(), SECONDS, calls).look("who is there")
    await coordinators.ask(question, "group g")
    assert asked[0] is asked[1]
    assert asked[1] is not asked[2]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("security.protocl", "SSL", "security.protocl"), ("security.protocol", "SSLL", "SSLL")],
)
async def test_an_option_that_the_client_does_not_take_is_refused(option: str, value: str, said: str) -> None:
    """It is a mistake in the URL, and is told as one: which option, of which broker, and where they are listed."""
    with pytest.raises(DefinitionError, match=said) as refused:
        await KafkaBroker("nowhere:1", options=KafkaOptions(client={option: value})).open()
    assert refused.value.where == "kafka at nowhere:1"
    assert "CONFIGURATION.md" in refused.value.remedy


async def test_that_nobody_answers_is_said_once_and_before_waiting_is_over(
    calls: Calls, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who waits learns why, in one line of ours; the client does not say the same beside it."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        where = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(BrokerAway, match="Connection refused"):
            await met(ClientSettings(where, KafkaOptions()).admin(), 1.5, calls, where)
    [line] = caplog.messages
    assert line.startswith(f"{where} does not answer; it is waited for 1.5 s: ")
    assert "Connection refused" in line
    # Clients of tests before may still speak of theirs.
    assert where not in "".join(capfd.readouterr())


async def test_what_ends_in_the_background_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for it, so nobody would hear that positions are not kept alive any more, or copies not followed."""

    async def failing() -> None:
        raise ValueError("a fault of our own")

    await asyncio.wait([background(failing(), "standbys of shop")])
    assert "standbys of shop: goes on no more" in caplog.text
    assert "a fault of our own" in caplog.text


async def test_closing_leaves_nothing_open_behind_what_fails(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that cannot be left in order keeps no client, thread or producer of the broker open."""
    broker = KafkaBroker(silent)
    closed: list[str] = []

    async def failing() -> None:
        raise ValueError("a fault of our own")

    monkeypatch.setattr(broker._group, "close", failing)
    monkeypatch.setattr(broker._slots, "close", lambda: closed.append("producers"))
    monkeypatch.setattr(broker._calls, "close", lambda: closed.append("threads"))
    with pytest.raises(ValueError, match="fault of our own"):
        await broker.close()
    assert closed == ["producers", "threads"]


async def test_a_call_that_does_not_return_is_given_up() -> None:
    """It is told in time, as what it was; it held the only thread, and others are called all the same."""
    returning = threading.Event()
    calls = Calls(1, SECONDS)
    try:
        for kind in (BrokerAway, CommitUnknown):
            with pytest.raises(kind, match="has not returned within"):
                await calls.run(returning.wait, "a commit", kind)
        assert calls.outages == 2, "what was idle meanwhile is not trusted"
        assert await calls.run(threading.current_thread, "another") is not threading.current_thread()
        returning.set()
        assert await calls.run(returning.is_set, "and another")
    finally:
        returning.set()
        calls.close()


async def test_nobody_is_held_up_by_what_nobody_waits_for(calls: Calls) -> None:
    """A commit of a lost task may hang; the thread that it holds is replaced at once."""
    begun, returning = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        returning.wait()

    try:
        hanging = asyncio.create_task(calls.run(hang, "a commit"))
        assert await asyncio.to_thread(begun.wait, PATIENCE_SECONDS)
        hanging.cancel()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await calls.run(begun.is_set, "another")
    finally:
        returning.set()
