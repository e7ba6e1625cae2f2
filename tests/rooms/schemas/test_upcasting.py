"""Events of older versions: steps from each version to the next, checked before the first event."""

import json
from collections.abc import Callable

import pytest

from mainstem.errors import DecodingFailed, DefinitionError, VersionUnknown
from mainstem.events import IntegrationEvent, Plain, Step, Topic, declaration_of
from mainstem.schemas import codec_for
from mainstem.schemas.upcasting import (
    check_chain,
    default,
    drop,
    map_values,
    move,
    reading_of,
    rename,
    split,
    upcasted,
)


class Placed(IntegrationEvent, topic="orders", version=4):
    order_id: str
    customer_id: str
    total: dict[str, int | str]
    channel: str = "web"


Placed.upcast(1, rename("client_id", "customer_id"))
Placed.upcast(2, map_values("channel", {"www": "web"}), drop("fax"))


@Placed.upcast(3)
def with_currency(data: Plain) -> Plain:
    """An amount without a currency was in euros."""
    return {**data, "total": {"amount": data["total"], "currency": "EUR"}}


PLACED = declaration_of(Placed)
READING = reading_of(PLACED)
NOW = Placed("o-1", "c-1", {"amount": 7, "currency": "EUR"})


@pytest.mark.parametrize(
    ("version", "payload"),
    [
        (None, {"order_id": "o-1", "client_id": "c-1", "total": 7, "channel": "www", "fax": "0"}),
        (b"1", {"order_id": "o-1", "client_id": "c-1", "total": 7}),
        (b"2", {"order_id": "o-1", "customer_id": "c-1", "total": 7, "channel": "www"}),
        (b"3", {"order_id": "o-1", "customer_id": "c-1", "total": 7, "channel": "web"}),
        (b"4", {"order_id": "o-1", "customer_id": "c-1", "total": {"amount": 7, "currency": "EUR"}}),
    ],
)
def test_every_version_becomes_the_current_one(version: bytes | None, payload: object) -> None:
    """Whatever the header says, and without one it is the first, a reader sees the class as it is now."""
    assert READING.decoder(version)(json.dumps(payload).encode()) == NOW


def test_the_current_version_has_nothing_in_between() -> None:
    """Its decoder is the codec's own function."""
    decode = codec_for(PLACED).decode
    assert READING.decoders[b"4"] == decode
    assert reading_of(declaration_of(Topic("t", dict, envelope=None))).decoders.keys() == {None}


@pytest.mark.parametrize(
    ("version", "kind", "what"),
    [
        (b"5", VersionUnknown, "only v4 is known"),
        (b"05", VersionUnknown, "only v4 is known"),
        (b"0", DecodingFailed, "ce_eventversion is b'0'"),
        (b"4.0", DecodingFailed, "ce_eventversion is b'4.0'"),
        (b"9999999999", DecodingFailed, "ce_eventversion is"),
        (b"", DecodingFailed, "ce_eventversion is b''"),
    ],
)
def test_a_version_that_is_not_known_is_told(version: bytes, kind: type[Exception], what: str) -> None:
    """A later one is never guessed at, and neither is what is no version."""
    with pytest.raises(kind, match=what):
        READING.decoder(version)


def test_leading_zeros_do_not_make_another_version() -> None:
    """A producer in another language may write the number otherwise."""
    assert READING.decoder(b"04") == READING.decoder(b"4")


def test_what_is_older_than_the_oldest_is_told() -> None:
    """A declaration that says oldest= needs no steps from before, and reads nothing from before."""
    declaration = declaration_of(Topic("t", dict, version=3, oldest=3))
    check_chain(declaration)
    for version in (None, b"1", b"2"):
        with pytest.raises(DecodingFailed, match="v3 is the oldest that is read"):
            reading_of(declaration).decoder(version)


def test_a_gap_in_the_chain_is_found_before_the_first_event() -> None:
    """Every version that is read needs a way to the next one; the error names those without."""
    topic = Topic("t", dict, version=5)
    topic.upcast(3, drop("fax"))
    with pytest.raises(DefinitionError, match="dict v1, v2, v4 becomes"):
        check_chain(topic.declaration)
    assert "oldest=5" in str(_raised(lambda: check_chain(topic.declaration)))


def _raised(call: Callable[[], object]) -> Exception:
    with pytest.raises(DefinitionError) as caught:
        call()
    return caught.value


def broken(data: Plain) -> Plain:
    """Expects what is not there."""
    return {"n": data["count"]}


@pytest.mark.parametrize(
    ("step", "data", "what"),
    [
        (broken, {"order": "o"}, r"Counted v1 did not become v2: broken\(\): KeyError: 'count'"),
        (lambda _: None, {}, "returned a NoneType"),
        (rename("a", "b"), {"a": 1, "b": 2}, "rename a to b: b is there already"),
        (rename("a.b", "c"), {"a": "text"}, "rename a.b to c: a is no object"),
        (drop("a[].b"), {"a": {"b": 1}}, r"drop a\[\].b: a is no list"),
        (drop("a[].b"), {"a": [{"b": 1}, 2]}, r"a\[\] is no object"),
        (split("name", ("first", "last")), {"name": "Cher"}, "has 1 parts, and not 2"),
        (split("name", ("first", "last")), {"name": 7}, "name is no text"),
        (split("name", ("first", "last")), {"name": "A B", "last": "B"}, "last is there already"),
    ],
)
def test_a_step_that_fails_is_named(step: Step, data: Plain, what: str) -> None:
    """The error says which version, which step and why, and keeps what raised it."""
    topic = Topic("t", dict, version=2, type_name="Counted")
    topic.upcast(1, step)
    with pytest.raises(DecodingFailed, match=what):
        reading_of(topic.declaration).decoder(b"1")(json.dumps(data).encode())


def test_what_is_no_object_has_no_steps() -> None:
    """Steps work on fields; a list or a text has none."""
    with pytest.raises(DecodingFailed, match="the payload is no object"):
        READING.decoder(b"1")(b"[1]")


def test_steps_that_make_something_else_are_told() -> None:
    """What comes out of the chain has to be what the class says, with the place where it is not."""
    with pytest.raises(DecodingFailed, match=r"steps from v2 did not make a Placed v4: .*order_id is missing"):
        READING.decoder(b"2")(b'{"customer_id":"c-1","total":7}')


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        (rename("a", "b"), {"a": 1, "c": 2}, {"b": 1, "c": 2}),
        (rename("a", "b"), {"b": 2}, {"b": 2}),
        (rename("x.a", "b"), {"x": {"a": None}}, {"x": {"b": None}}),
        (rename("x[].y.a", "b"), {"x": [{"y": {"a": 1}}, {"y": None}, {}]}, {"x": [{"y": {"b": 1}}, {"y": None}, {}]}),
        (move("a", "x.y.b"), {"a": 1}, {"x": {"y": {"b": 1}}}),
        (move("a", "x.a"), {"x": None, "a": 1}, {"x": {"a": 1}}),
        (move("a", "x.a"), {}, {}),
        (move("x.a", "a"), {"x": {"a": 1}}, {"x": {}, "a": 1}),
        (default("a", [1]), {}, {"a": [1]}),
        (default("a", 1), {"a": None}, {"a": None}),
        (default("x[].a", 0), {"x": [{}, {"a": 1}]}, {"x": [{"a": 0}, {"a": 1}]}),
        (drop("a"), {"a": 1, "b": 2}, {"b": 2}),
        (drop("a"), {}, {}),
        (split("n", ("f", "l")), {"n": "Ada King Lovelace"}, {"f": "Ada", "l": "King Lovelace"}),
        (split("n", ("f", "l"), missing=""), {"n": "Cher"}, {"f": "Cher", "l": ""}),
        (split("at", ("x", "y", "z"), at="/"), {"at": "1/2/3"}, {"x": "1", "y": "2", "z": "3"}),
        (split("n", ("n", "m")), {"n": "a b"}, {"n": "a", "m": "b"}),
        (map_values("c", {"www": "web"}), {"c": "www"}, {"c": "web"}),
        (map_values("c", {"www": "web"}), {"c": "app"}, {"c": "app"}),
        (map_values("c", {1: "one"}), {"c": True}, {"c": True}),
        (map_values("c", {None: "none"}), {"c": None}, {"c": "none"}),
        (map_values("c[].d", {"a": "b"}), {"c": [{"d": "a"}, {"d": ["a"]}]}, {"c": [{"d": "b"}, {"d": ["a"]}]}),
    ],
)
def test_a_step_does_what_it_says(step: Step, before: Plain, after: Plain) -> None:
    """What is absent stays absent, and what is not named stays as it is."""
    assert step(before) == after


def test_a_default_is_a_new_value_each_time() -> None:
    """Who changes one event's does not change the next one's."""
    step = default("tags", [])
    first = step({})
    assert isinstance(first["tags"], list)
    first["tags"].append("x")
    assert step({}) == {"tags": []}


@pytest.mark.parametrize(
    "declared",
    [
        lambda: rename("", "a"),
        lambda: rename("a", "b.c"),
        lambda: rename("a..b", "c"),
        lambda: drop("a[]"),
        lambda: drop("a[0].b"),
        lambda: drop(7),  # type: ignore[arg-type]
        lambda: move("a[].b", "c"),
        lambda: move("a", "b[].c"),
        lambda: default("a", object()),
        lambda: split("a", ("b",)),
        lambda: split("a", ("b", "b")),
        lambda: split("a", "bc"),  # type: ignore[arg-type]
        lambda: split("a", ("b", "c"), at=""),
    ],
)
def test_a_step_that_cannot_be_is_refused_where_it_is_written(declared: Callable[[], object]) -> None:
    """A mistake is found when the step is declared, never at the first event."""
    with pytest.raises(DefinitionError):
        declared()


def test_a_test_may_ask_a_chain_without_bytes() -> None:
    """The data that it gives stays as it was."""
    before: Plain = {"order_id": "o-1", "client_id": "c-1", "total": 7}
    assert upcasted(PLACED, 1, before)["customer_id"] == "c-1"
    assert before == {"order_id": "o-1", "client_id": "c-1", "total": 7}
