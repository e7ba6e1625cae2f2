"""What is told about parked sequences, and how commands about them travel."""

import json

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from mainstem.broker import TopicPartition
from mainstem.delivery import Answer, Command, answers_topic, decode_answer, decode_entry, encode_command
from mainstem.delivery.commands import answer, decode_command
from mainstem.delivery.failures import Audit, Decided, Failure, Letter, Mark, Status, place_of
from mainstem.delivery.failures.audit import SHOWN_BYTES_MAX

FAILURE = Failure(3, 1_000, 2_000, "TimeoutError", "the bank does not answer", "Traceback ...")


@given(
    key=st.none() | st.binary(max_size=8),
    value=st.none() | st.binary(max_size=8),
    headers=st.dictionaries(st.text(max_size=5), st.binary(max_size=5), max_size=3),
    next_ms=st.none() | st.integers(0, 2**50),
    reason=st.text(max_size=10),
)
def test_an_entry_says_everything(
    key: bytes | None, value: bytes | None, headers: dict[str, bytes], next_ms: int | None, reason: str
) -> None:
    """Bytes, headers, origin, reason and history survive the way into the audit stream and back."""
    letter = Letter("orders", 3, 17, 900, key, value, headers)
    mark = Mark(2, 6, next_ms, FAILURE)
    at, record = Audit("billing", 3).tell(
        "parked", ("charge", place_of(letter)), mark, letter, 5_000, Decided(reason, "eva")
    )
    assert at == TopicPartition("billing.dead-letters", 3)
    assert record.value is not None
    entry = decode_entry(record.value)
    assert (entry.status, entry.handler, entry.task, entry.place) == ("parked", "charge", 3, place_of(letter))
    assert (entry.waiting, entry.at_ms, entry.next_ms) == (4, 5_000, next_ms)
    assert (entry.reason, entry.by) == (reason, "eva")
    assert (entry.failure, entry.letter, entry.left_out_bytes) == (FAILURE, letter, 0)
    assert record.timestamp_ms == 5_000


def test_a_key_can_be_read_in_json() -> None:
    """The key stands there as text, so that people can look for it; bytes that are no text are replaced."""
    for key, text in ((b"c-7", "c-7"), (b"\xff", "�"), (None, None)):
        letter = Letter("orders", 0, 1, 0, key, b"", {})
        _, record = Audit("a", 0).tell("parked", ("h", place_of(letter)), Mark(0, 1, None, FAILURE), letter, 1)
        assert record.value is not None
        assert json.loads(record.value)["key"] == text


def test_the_last_record_of_a_sequence_says_how_it_stands() -> None:
    """All records of a sequence have one key, of two sequences never; one that is worked off ends with a tombstone."""
    audit = Audit("a", 0)
    letters = [Letter("t", 0, 1, 0, key, b"", {}) for key in (b"x", b"y", None)]
    keys = set()
    for handler in ("h", "hx"):
        for letter in letters:
            place = place_of(letter)
            told = audit.tell("parked", (handler, place), Mark(0, 1, None, FAILURE), letter, 1)[1]
            over = audit.worked_off((handler, place), 2)[1]
            assert (over.key, over.value) == (told.key, None)
            keys.add(told.key)
    assert len(keys) == 6


def test_what_was_discarded_has_a_record_of_its_own() -> None:
    """Its key is no sequence's, and another one each time; the entry says which sequence it was."""
    audit, keys = Audit("a", 0), set()
    statuses: tuple[Status, ...] = ("discarded", "parked")
    for place, offset, at_ms in ((b"kx", 1, 5), (b"kx", 2, 5), (b"kx", 2, 6), (b"ky", 2, 6)):
        letter = Letter("t", 0, offset, 0, place[1:], b"", {})
        for status in statuses:
            record = audit.tell(status, ("h", place), Mark(0, 1, None, FAILURE), letter, at_ms, Decided("old"))[1]
            assert record.value is not None
            assert decode_entry(record.value).sequence_key == audit.worked_off(("h", place), 1)[1].key
            keys.add(record.key)
    assert len(keys) == 4 + 2


@pytest.mark.parametrize(
    ("value", "header", "left_out"),
    [
        (SHOWN_BYTES_MAX - 1, 1, 0),
        (SHOWN_BYTES_MAX, 1, SHOWN_BYTES_MAX),
        (10, SHOWN_BYTES_MAX + 1, SHOWN_BYTES_MAX + 11),
    ],
)
def test_a_large_letter_is_told_without_its_bytes(value: int, header: int, left_out: int) -> None:
    """An entry fits into a record of a million bytes, however large the letter is, and says what is missing."""
    letter = Letter("t", 0, 1, 0, b"k", b"v" * value, {"h": b"h" * header})
    _, record = Audit("a", 0).tell("parked", ("h", b"kk"), Mark(0, 1, None, FAILURE), letter, 1)
    assert record.value is not None
    assert len(record.value) < 1_000_000
    entry = decode_entry(record.value)
    assert entry.left_out_bytes == left_out
    assert entry.letter.key == b"k"


@given(
    command=st.builds(
        Command,
        id=st.text(max_size=8),
        action=st.sampled_from(["redrive", "discard"]),
        handler=st.text(max_size=8),
        place=st.binary(max_size=12),
        reason=st.text(max_size=8),
        by=st.text(max_size=8),
        at_ms=st.none() | st.integers(0, 2**50),
    )
)
def test_a_command_comes_as_it_was_sent(command: Command) -> None:
    """Any handler's name, any key's bytes."""
    assert decode_command(encode_command(command)) == command


@pytest.mark.parametrize("text", [b"", b"{}", b'{"id":"1","action":"explode","handler":"h","place":""}', b"\xff"])
def test_what_is_no_command_is_not_taken_for_one(text: bytes) -> None:
    """Unknown actions and other bytes are refused by the decoder."""
    with pytest.raises(msgspec.DecodeError):
        decode_command(text)


def test_an_answer_is_found_by_the_command() -> None:
    """Answers lie in one topic of the group, under the id of the command."""
    given = Answer("c-1", 2, 4, "redrive: 4 events")
    at, record = answer("billing", given, 7)
    assert at == TopicPartition(answers_topic("billing"), 0) == TopicPartition("billing.answers", 0)
    assert (record.key, record.timestamp_ms) == (b"c-1", 7)
    assert record.value is not None
    assert decode_answer(record.value) == given
