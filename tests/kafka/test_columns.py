"""Messages become columns: what all share once, and the rest by name."""

from confluent_kafka import Message

from mainstem.broker import TopicPartition
from mainstem.broker.kafka.wire import Piece

AT = TopicPartition("orders", 0)
SHARED = [("ce_type", b"OrderPaid"), ("ce_source", b"/shop")]


def message(offset: int, *headers: tuple[str, bytes | None]) -> Message:
    """A message with these headers."""
    return Message(
        topic="orders", partition=0, offset=offset, key=b"k", value=b"v", headers=list(headers), timestamp=(1, offset)
    )


def piece(*messages: Message) -> Piece:
    """All of them in columns."""
    made = Piece()
    made.take_in(messages)
    return made


def test_headers_that_all_share_are_held_once() -> None:
    """A header of equal value everywhere is common to the batch, and the others are columns."""
    batch = piece(*(message(n, *SHARED, ("ce_id", b"%d" % n)) for n in range(3))).batch(AT, 9)
    assert batch.common == dict(SHARED)
    assert batch.own.names() == ["ce_id"]
    assert list(batch.own.column("ce_id")) == [b"0", b"1", b"2"]
    assert (list(batch.offsets), list(batch.timestamps), batch.next_offset) == ([0, 1, 2], [0, 1, 2], 9)


def test_each_message_keeps_its_headers_however_they_are_mixed() -> None:
    """Messages of one batch may differ in names, order and number of headers, and be taken in one by one."""
    rows = [
        [("a", b"1"), ("b", b"2")],
        [("b", b"2"), ("a", b"1")],
        [("a", b"1")],
        [],
        [("a", b"3"), ("c", b"4")],
    ]
    expected = [dict(row) for row in rows]
    messages = [message(number, *row) for number, row in enumerate(rows)]
    one_by_one = piece(messages[0])
    for each in messages[1:]:
        one_by_one.take_in([each])
    for made in (piece(*messages), one_by_one):
        batch = made.batch(AT, 5)
        assert [batch.headers(index) for index in range(5)] == expected


def test_pieces_with_other_common_headers_are_joined() -> None:
    """What was common to a piece and is not to the next becomes a column, also when it is gone there."""
    first = piece(*(message(n, *SHARED) for n in range(2)))
    first.join(piece(*(message(n, ("ce_type", b"OrderSent"), ("ce_source", b"/shop")) for n in range(2, 4))))
    first.join(piece(message(4)))
    batch = first.batch(AT, 5)
    assert batch.common == {}
    assert list(batch.column("ce_type")) == [b"OrderPaid", b"OrderPaid", b"OrderSent", b"OrderSent", None]
    assert list(batch.column("ce_source")) == [b"/shop"] * 4 + [None]


def test_a_repeated_header_counts_by_its_last_value_and_one_without_value_not_at_all() -> None:
    """What other producers may write does not break the columns."""
    batch = piece(message(0, ("a", b"1"), ("a", b"2")), message(1, ("a", b"3"), ("b", None))).batch(AT, 2)
    assert [batch.headers(index) for index in range(2)] == [{"a": b"2"}, {"a": b"3"}]
    alone = piece(message(0, ("a", b"1"), ("a", b"2"))).batch(AT, 1)
    assert alone.headers(0) == {"a": b"2"}
