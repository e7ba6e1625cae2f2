"""Values of stores, and the rows they lie in."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from mainstem.delivery import Store
from mainstem.delivery.context import row_key
from mainstem.errors import DecodingFailed, DefinitionError, EventRefused
from mainstem.state import header
from tests.rooms.state.rows import DictRows


class Basket(msgspec.Struct):
    """A value that can be changed."""

    items: list[str] = []


class Colour(Enum):
    """A value of few."""

    RED = "red"


@dataclass
class Pair:
    """A value with a rule of its own."""

    left: int
    right: int | None = None

    def __post_init__(self) -> None:
        """The rule."""
        if self.left == 13:
            raise ValueError("thirteen brings bad luck")


@given(value=st.integers(-(2**63), 2**64 - 1), version=st.integers(1, 0xFFFF), expires=st.booleans())
def test_what_is_put_is_got(value: int, version: int, expires: bool) -> None:  # noqa: FBT001 - hypothesis calls by name
    """With and without an expiry, under any version."""
    store = Store("s", int, version=version, expire_after="1s" if expires else None)
    assert store.unpack(store.pack(value, 1_000), 1_999) == value


def test_a_value_expires() -> None:
    """From the moment on that its time has come it counts as absent."""
    store = Store("s", int, expire_after="1s")
    row = store.pack(7, 1_000)
    assert [store.unpack(row, now) for now in (1_000, 1_999, 2_000, 9_000)] == [7, 7, None, None]


def test_a_store_that_has_begun_to_expire_reads_what_was_there_before() -> None:
    """Values written before the declaration said so stay, and the other way round the time that was set counts."""
    lasting, expiring = Store("s", int), Store("s", int, expire_after="1s")
    assert expiring.unpack(lasting.pack(7, 0), 10**12) == 7
    assert [lasting.unpack(expiring.pack(7, 0), now) for now in (0, 1_000)] == [7, None]


def test_an_older_version_is_read() -> None:
    """A field with a default may be added at any time; the version in the row is that of its writer."""
    older = Store("s", Basket, version=1).pack(Basket(["a"]), 0)
    assert Store("s", Basket, version=2).unpack(older, 0) == Basket(["a"])


def test_everybody_has_a_value_of_their_own() -> None:
    """Changing what was got, or what was put, changes nothing in the store."""
    store = Store("s", Basket)
    basket = Basket(["a"])
    row = store.pack(basket, 0)
    basket.items.append("b")
    first = store.unpack(row, 0)
    assert first is not None
    first.items.append("c")
    assert store.unpack(row, 0) == Basket(["a"])


@pytest.mark.parametrize(
    ("row", "what", "remedy"),
    [
        (header(3) + b"\x07", "has version 3, and the store is declared with version 2", "declares version=3"),
        (header(3, 99) + b"\x07", "has version 3, and the store is declared with version 2", "declares version=3"),
        (b"\x03\x00\x01\x07", "this version reads forms 1 and 2", "run that version"),
        (header(2) + b"\xa1x", "a stored value is no int", "declare a store of another name"),
        (header(1) + b"\xc1", "a stored value is no int", "declare a store of another name"),
        (header(2), "a stored value is no int", "declare a store of another name"),
    ],
)
def test_what_cannot_be_read_is_never_guessed(row: bytes, what: str, remedy: str) -> None:
    """Rows of later versions and of other types are refused, by the name of the store."""
    with pytest.raises(DecodingFailed) as raised:
        Store("spent", int, version=2).unpack(row, 0)
    assert what in raised.value.what
    assert "store spent" in raised.value.where
    assert remedy in raised.value.remedy
    if "no int" in what:
        assert "has changed since" in raised.value.why
        assert "has put something else there" in raised.value.why


@pytest.mark.parametrize("value", [2**70, "\udcff", object(), {1: object()}])
def test_what_has_no_bytes_is_refused_where_it_is_put(value: object) -> None:
    """The error names the store and its type."""
    loose: Store[Any] = Store("spent", int)
    with pytest.raises(EventRefused, match="cannot be stored as int") as raised:
        loose.pack(value, 0)
    assert raised.value.where == "store spent"


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        (int, "7", "at the top expected int, found str"),
        (int, 7.5, "at the top expected int, found float"),
        (int, True, "at the top expected int, found bool"),
        (int, None, "at the top expected int, found NoneType"),
        (str, datetime(2013, 1, 1, tzinfo=UTC), "expected str, found datetime"),
        (str, Colour.RED, "expected str, found Colour"),
        (bool, 1, "expected bool, found int"),
        (bytes, "7", "found str"),
        (datetime, "2013-01-01T00:00:00Z", "expected datetime, found str"),
        (int | None, "7", "expected int | NoneType, found str"),
        (Annotated[int, msgspec.Meta(ge=0)], -1, ">= 0"),
        (Basket, {"items": []}, "expected Basket, found dict"),
        (Basket, Basket(["a", 7]), "at $.items[1] expected str, found int"),  # type: ignore[list-item]
        (Basket | None, 7, "expected Basket | NoneType, found int"),
        (Pair, Pair(1, "2"), "at $.right expected int | null, found str"),  # type: ignore[arg-type]
        (list[int], [1, "2"], "] expected int, found str"),
        (dict[str, int], {"a": "b"}, "] expected int, found str"),
        (Colour, "red", "expected Colour, found str"),
    ],
)
def test_what_would_not_be_read_again_is_refused_where_it_is_put(kind: Any, value: object, found: str) -> None:
    """At the write, whose fault it is; at the next read it would stop the key for ever. Path, expected and found."""
    loose: Store[Any] = Store("spent", kind)
    with pytest.raises(EventRefused, match="cannot be stored as") as raised:
        loose.pack(value, 0)
    assert found in raised.value.what
    assert raised.value.where == "store spent"


def test_a_rule_of_the_type_itself_counts_at_the_write() -> None:
    """What its own __post_init__ would refuse at the read is refused when it is put."""
    pair = Pair(1)
    pair.left = 13
    with pytest.raises(EventRefused, match="thirteen brings bad luck"):
        Store("pairs", Pair).pack(pair, 0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, 7),
        (float, 7.5),
        (float, 7),
        (bool, False),
        (bytes, b"7"),
        (int | str | None, None),
        (int | str | None, "7"),
        (Annotated[int, msgspec.Meta(ge=0)], 0),
        (Annotated[Basket, msgspec.Meta(title="what somebody buys")], Basket(["a"])),
        (Basket | None, None),
        (Pair, Pair(1, 2)),
        (Colour, Colour.RED),
        (list[int], [1, 2]),
        (dict[str, list[Pair]], {"a": [Pair(1)]}),
        (Any, {"a": [1, None, "b"]}),
        (datetime, datetime(2013, 1, 1, tzinfo=UTC)),
    ],
)
def test_what_fits_is_put_and_got(kind: Any, value: object) -> None:
    """Scalars, also as an alternative; an integer where a float is meant; containers, enums and constraints kept."""
    store: Store[Any] = Store("spent", kind)
    row = store.pack(value, 0)
    assert (value, None)[value is None] == store.unpack(row, 0)


def test_an_integer_is_not_looked_at_twice() -> None:
    """A value whose type says it all costs its encoding and next to nothing else."""
    store, encode = Store("spent", int), msgspec.msgpack.Encoder().encode
    ratios = []
    for _ in range(20):
        begin = time.thread_time()
        for number in range(2_000):
            store.pack(number, 0)
        middle = time.thread_time()
        for number in range(2_000):
            _pack_unchecked(store, encode, number)
        ratios.append((middle - begin) / (time.thread_time() - middle))
    assert min(ratios) < 1.4


def _pack_unchecked(store: Store[int], encode: Callable[[object], bytes], value: int) -> bytes:
    try:
        encoded = encode(value)
    except TypeError as error:
        raise AssertionError from error
    if store.expire_after_ms is None:
        return header(1) + encoded
    return encoded


@pytest.mark.parametrize("name", ["", "$mine"])
def test_the_runtime_keeps_some_names(name: str) -> None:
    """Stores that begin with $ are the runtime's own."""
    with pytest.raises(DefinitionError, match="cannot be called"):
        Store(name, int)


def test_free_keys() -> None:
    """Text is UTF-8, a number its digits, bytes themselves; as keys of events are."""
    assert [row_key(each) for each in ("é", 17, -3, b"\xff")] == ["é".encode(), b"17", b"-3", b"\xff"]


@pytest.mark.parametrize("count", [0, 1, 5_000, 5_001])
def test_a_reader_from_outside_sees_all_values(count: int) -> None:
    """Each once, in the order of their keys, however many pages they fill."""
    store, rows = Store("spent", int), DictRows()
    rows.stores["spent"] = {b"%06d" % n: store.pack(n, 0) for n in range(count)}
    assert list(store.values(rows, 0)) == [(b"%06d" % n, n) for n in range(count)]


def test_a_reader_from_outside_sees_nothing_that_has_expired() -> None:
    """What counts as absent for a handler is absent here too."""
    store, rows = Store("seen", str, expire_after="1s"), DictRows()
    rows.stores["seen"] = {b"old": store.pack("a", 0), b"young": store.pack("b", 500)}
    assert dict(store.values(rows, 1_000)) == {b"young": "b"}
