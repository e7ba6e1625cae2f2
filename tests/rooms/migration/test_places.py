"""Which offset becomes which."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mainstem.broker import TopicPartition
from mainstem.delivery.gates import relocated_seen
from mainstem.delivery.gates.doubles import Seen
from mainstem.migration.places import PartitionPlaces, Translation

GAPS = st.lists(st.integers(1, 4), max_size=40)


def rising(gaps: list[int], start: int) -> list[int]:
    """Offsets with these gaps between them."""
    offsets = []
    for gap in gaps:
        start += gap
        offsets.append(start)
    return offsets


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), max_size=40), st.integers(0, 3), st.integers(0, 3))
def test_every_offset_becomes_that_of_the_same_record(
    gaps: list[tuple[int, int]], start: int, target_start: int
) -> None:
    """Also one that lies in a gap: forwards it is the next record's, backwards the one's before."""
    sources = rising([here for here, _ in gaps], start)
    targets = rising([there for _, there in gaps], target_start)
    end = (targets[-1] if targets else target_start) + 3
    places = PartitionPlaces(sources, targets, end)
    for offset in range(start + 4 * len(gaps) + 5):
        behind = [there for here, there in zip(sources, targets, strict=True) if here >= offset]
        before = [there for here, there in zip(sources, targets, strict=True) if here < offset]
        assert places.first_from(offset) == (behind[0] if behind else end)
        assert places.last_before(offset) == (before[-1] if before else -1)


def test_an_offset_of_what_is_gone_stays() -> None:
    """A handler's first offset in a topic that was deleted long ago says nothing, and is left alone."""
    nowhere = Translation({}, {})
    assert nowhere.first_from(TopicPartition("gone", 0), 7) == 7
    assert nowhere.last_before(TopicPartition("gone", 0), 7) == 6


def test_what_was_seen_moves_with_its_record() -> None:
    """An event that is read again where it has been moved to is not taken for a double of itself."""
    at = TopicPartition("orders", 1)
    there = Translation({at: PartitionPlaces([4, 9], [0, 1], 2)}, {"orders": "id"})
    for topic, partition, before, after in [("orders", 1, 9, 1), ("orders", 0, 9, 9), ("gone", 1, 9, 9)]:
        row = msgspec.msgpack.encode(Seen(1234, topic, partition, before))
        assert msgspec.msgpack.decode(relocated_seen(row, there), type=Seen) == Seen(1234, topic, partition, after)
