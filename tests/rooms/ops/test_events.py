"""Publishing by hand, and looking at what is in a topic."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainstem.broker import Record, TopicPartition
from mainstem.clock import ManualClock
from mainstem.errors import DefinitionError
from mainstem.identifiers import Identifiers
from mainstem.ops.events import LogPoint, point_of
from mainstem.service import connected
from tests.rooms.ops.conftest import SHOP, Shell
from tests.rooms.ops.processes import Spawned

LOYALTY = f"{SHOP}:loyalty"


@pytest.fixture
def topics(shell: Shell) -> None:
    """The topics of the loyalty service."""
    assert shell("topics", "apply", LOYALTY).exit_code == 0


def append(shell: Shell, topic: str, *records: Record) -> None:
    """Put records into the first partition of a topic, as somebody else would."""

    async def write() -> None:
        clock = ManualClock()
        async with connected(shell.broker, clock, Identifiers(clock)) as broker:
            await broker.log.append(TopicPartition(topic, 0), records)

    asyncio.run(write())


@pytest.mark.usefixtures("topics")
def test_an_event_is_published_with_its_envelope(shell: Shell) -> None:
    """What is typed arrives as an event of its type, in the partition of its key, with an envelope of the service."""
    [told] = shell.json("publish", LOYALTY, "OrderPaid", '{"customer_id": "c-1", "amount_cents": 5}')
    assert told == {"type": "OrderPaid", "version": 1, "topic": "orders", "published": 1}
    [line] = tail(shell, "orders")
    attributes = line["attributes"]
    assert line["data"] == {"customer_id": "c-1", "amount_cents": 5}
    assert line["key"] == "c-1"
    assert (attributes["type"], attributes["source"], attributes["kind"]) == ("OrderPaid", "/loyalty", "integration")


@pytest.mark.usefixtures("topics")
def test_a_type_is_found_by_class_and_by_wire_name(shell: Shell) -> None:
    """A namespace may be left out; what a service only publishes or only reads can be published alike."""
    for name in ("GoldReached", "Shop.GoldReached"):
        assert shell.json("publish", LOYALTY, name, '{"customer_id": "c-1"}')[0]["type"] == "Shop.GoldReached"
    assert len(tail(shell, "gold", "--type", "GoldReached")) == 2
    assert len(tail(shell, "gold", "--type", "Shop.GoldReached")) == 2
    assert tail(shell, "gold", "--type", "OrderPaid") == []


@pytest.mark.usefixtures("topics")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((LOYALTY, "OrderPad", "{}"), "did you mean OrderPaid?"),
        ((LOYALTY, "OrderPaid", '{"customer_id": "c-1"}'), "the required field amount_cents is missing"),
        ((LOYALTY, "OrderPaid", "{"), "not JSON"),
        ((LOYALTY, "OrderPaid", "{customer_id: c-1}"), "put the JSON into single quotes"),
        ((f"{SHOP}:listener", "Counted", '{"number": 1}'), "may not publish Counted, a domain event of 'elsewhere'"),
        ((f"{SHOP}:importer", "ErpOrder", '{"order_no": "o-1"}'), "topic 'erp' is not there"),
    ],
)
def test_what_cannot_be_published_is_refused(arguments: tuple[str, ...], said: str, shell: Shell) -> None:
    """A wrong type, a payload that is not of it, a domain event of others and a topic that is not there are refused."""
    result = shell("publish", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert tail(shell, "orders") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Shop.Booked", '{"seat": "1a"}'), "Shop.Booked v2 event"),
        (("Booked", '{"seat": "1a"}'), "Shop.Booked v2 event"),
        (("Shop.Booked", '{"place": 1}', "--version", "1"), "Shop.Booked v1 event"),
        (("BookedFirst", '{"place": 1}'), "Shop.Booked event"),
    ],
)
def test_of_several_versions_one_is_published_and_told(arguments: tuple[str, ...], said: str, shell: Shell) -> None:
    """The newest, unless another one is asked for, or its class; what only reads less of it is none of them."""
    assert shell("publish", f"{SHOP}:desk", *arguments, "--dev").stdout == f"published 1 {said} to bookings\n"
    [line] = tail(shell, "bookings")
    assert line["attributes"].get("eventversion", "1") == ("2" if "v2" in said else "1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("desk", "Shop.Booked", "{}", "--version", "3"), "'desk' knows no Shop.Booked v3"),
        (("desk", "Shop.Booked", "{}", "--version", "3"), "it publishes or subscribes to v1, v2"),
        (("till", "Row", "{}"), "Row v1 on left is the class Row; Row v1 on right is the class Row"),
    ],
)
def test_what_names_no_version_or_several_types_is_refused(arguments: tuple[str, ...], said: str, shell: Shell) -> None:
    """Nothing is chosen in silence."""
    result = shell("publish", f"{SHOP}:{arguments[0]}", *arguments[1:], "--dev")
    assert (result.exit_code, said in result.stderr) == (1, True), result.stderr


def test_dev_creates_the_topic_as_it_is_declared(shell: Shell) -> None:
    """With --dev the first publish creates file and topic."""
    shell.json("publish", LOYALTY, "OrderPaid", '{"customer_id": "c-1", "amount_cents": 5}', "--dev")
    [topic] = shell.json("topics", "list")
    assert (topic["name"], topic["partitions"]) == ("orders", 2)


def test_what_is_typed_is_json_whatever_the_format(shell: Shell) -> None:
    """The record has the bytes of the format that the type states; nobody types Avro."""
    shell.json("publish", f"{SHOP}:post", "Weighed", '{"grams": 3}', "--dev")
    [line] = tail(shell, "weights")
    assert line["headers"]["content-type"] == "application/avro"
    result = shell("publish", f"{SHOP}:post", "Weighed", '{"grams": "3"}', "--dev")
    assert (result.exit_code, "expected int, found str" in result.stderr) == (1, True)


@pytest.mark.usefixtures("topics")
def test_standard_input_is_published_line_by_line(shell: Shell) -> None:
    """Each line is an event; the order of a key is the order of its lines."""
    typed = "".join(f'{{"customer_id": "c-{n % 3}", "amount_cents": {n}}}\n' for n in range(2_500)) + "\n"
    [told] = shell.json("publish", LOYALTY, "OrderPaid", "-", typed=typed)
    assert told["published"] == 2_500
    amounts = [line["data"]["amount_cents"] for line in tail(shell, "orders", "--from", "earliest", "--key", "c-1")]
    assert amounts == list(range(1, 2_500, 3))


@pytest.mark.usefixtures("topics")
def test_a_bad_line_stops_its_block_and_says_how_far_it_came(shell: Shell) -> None:
    """Blocks before the bad line are published as a whole, its own not at all, and the error says where to go on."""
    lines = ['{"customer_id": "c-1", "amount_cents": 5}\n'] * 1_500
    lines[1_200] = '{"customer_id": "c-1", "amount_cents": "five"}\n'
    result = shell("publish", LOYALTY, "OrderPaid", "-", typed="".join(lines))
    assert result.exit_code == 1
    assert "expected int, found str" in result.stderr
    assert "where: line 1201" in result.stderr
    assert "before it 1000 events were published" in result.stderr
    assert len(tail(shell, "orders", "--from", "earliest")) == 1_000


# --- tail


def tail(shell: Shell, *arguments: str) -> list[dict[str, Any]]:
    """The lines that ``tail --json`` prints."""
    result = shell("tail", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return [msgspec.json.decode(line) for line in result.stdout.splitlines()]


def publish(shell: Shell, count: int, start: int = 0) -> None:
    """Publish orders with rising amounts."""
    typed = "".join(f'{{"customer_id": "c-{n % 4}", "amount_cents": {n}}}\n' for n in range(start, start + count))
    assert shell("publish", LOYALTY, "OrderPaid", "-", typed=typed).exit_code == 0


@pytest.mark.usefixtures("topics")
def test_the_last_events_are_shown_unless_a_point_is_named(shell: Shell) -> None:
    """Without --from these are the last 10, or as many as asked for; with it, the first from there on."""
    for start in range(3):
        publish(shell, 8, 8 * start)
    assert len(tail(shell, "orders")) == 10
    assert len(tail(shell, "orders", "--limit", "3")) == 3
    assert len(tail(shell, "orders", "--from", "earliest")) == 24
    assert {line["offset"] for line in tail(shell, "orders", "--from", "earliest", "--limit", "2")} == {0, 1}
    assert all(line["offset"] >= 5 for line in tail(shell, "orders", "--from", "5"))
    assert tail(shell, "orders", "--from", "latest") == []
    assert len(tail(shell, "orders", "--from", "1h")) == 24
    assert tail(shell, "orders", "--from", "2999-01-01T00:00:00Z") == []
    [last] = tail(shell, "orders", "--key", "c-3", "--limit", "1")
    assert last["data"] == {"customer_id": "c-3", "amount_cents": 23}


@pytest.mark.usefixtures("topics")
def test_records_of_others_are_shown_as_they_are(shell: Shell) -> None:
    """A topic without envelope, bytes that are no JSON, tombstones and keyless records can be looked at."""
    append(
        shell,
        "gold",
        Record(b"k", b'{"order_no": "o-1"}', 1),
        Record(None, b"\x00\xff", 2, own={"trace": b"\xfe"}),
        Record(b"\xff", None, 3),
    )
    plain, binary, tombstone = tail(shell, "gold")
    assert (plain["data"], plain["attributes"]) == ({"order_no": "o-1"}, {})
    assert (binary["data_base64"], binary["key"], binary["headers"]) == ("AP8=", None, {"trace": "\\xfe"})
    assert "data" not in tombstone
    assert tombstone["key"] == "\\xff"
    text = shell("tail", "gold").stdout
    assert "gold/0@2" in text
    assert "(a tombstone)" in text


@pytest.mark.usefixtures("topics")
def test_a_topic_that_is_not_there_is_answered_with_a_near_one(shell: Shell) -> None:
    """A misspelt topic is refused with the one that may have been meant."""
    result = shell("tail", "order")
    assert result.exit_code == 1
    assert "did you mean orders?" in result.stderr
    assert shell("tail", "orders", "--from", "yesterday").exit_code == 1


@pytest.mark.usefixtures("topics")
def test_following_shows_what_comes_until_it_is_interrupted(shell: Shell) -> None:
    """``--follow`` goes on after the last events, and Ctrl-C is its ordinary end."""
    publish(shell, 1)
    with Spawned(Path("followed.log")) as follower:
        follower.start("tail", "orders", "--follow", "--json")
        follower.wait_for('"amount_cents":0')
        publish(shell, 1, start=77)
        follower.wait_for('"amount_cents":77')
        assert follower.stop(signal.SIGINT) == 0
        assert "Traceback" not in follower.said()


def test_a_reader_that_goes_away_is_no_error(shell: Shell) -> None:
    """``mainstem tail ... | head -1`` ends in silence."""
    shell("topics", "apply", LOYALTY)
    publish(shell, 5_000)
    read, write = os.pipe()
    with Spawned(Path("piped.log")) as program:
        program.start_into(write, "tail", "orders", "--from", "earliest")
        os.close(write)
        assert os.read(read, 10)
        os.close(read)
        program.ended()
        assert program.said() == ""


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("earliest", LogPoint("earliest")),
        ("latest", LogPoint("latest")),
        ("17", LogPoint("offset", 17)),
        ("2s", LogPoint("timestamp", 8_000)),
        ("1970-01-01T00:00:01Z", LogPoint("timestamp", 1_000)),
        ("1970-01-01T00:00:01", LogPoint("timestamp", 1_000)),
        ("1970-01-01T01:00:00+01:00", LogPoint("timestamp", 0)),
    ],
)
def test_a_point_is_read(text: str, point: LogPoint) -> None:
    """Two words, an offset, a time that is UTC unless it says otherwise, or how long ago."""
    assert point_of(text, 10_000) == point


def test_what_is_no_point_is_refused() -> None:
    """Anything else is refused with what can be written."""
    for text in ("", "-1", "soon", "orders/1=2"):
        with suppress(DefinitionError):
            pytest.fail(f"{text!r} was read as {point_of(text, 0)}")


@pytest.mark.usefixtures("topics")
def test_an_event_in_structured_mode_is_shown_like_any_other(shell: Shell) -> None:
    """Its attributes are found in its document: type and payload are shown, and a type can be asked for."""
    document = b'{"specversion":"1.0","id":"e-1","source":"/erp","type":"OrderPaid","data":{"customer_id":"c-1"}}'
    mode = {"content-type": b"application/cloudevents+json"}
    append(shell, "orders", Record(b"c-1", document, 5, mode), Record(b"c-2", b"{}", 5, {"ce_type": b"Other"}))
    [line] = tail(shell, "orders", "--type", "OrderPaid")
    assert (line["data"], line["attributes"]["source"]) == ({"customer_id": "c-1"}, "/erp")
