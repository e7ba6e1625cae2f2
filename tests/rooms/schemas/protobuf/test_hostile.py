"""Texts and descriptors that somebody has made to do harm: refused, and soon."""

from base64 import b64encode
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstem.errors import SchemaRefused
from mainstem.schemas.documents import Schema
from mainstem.schemas.protobuf import GRAMMAR, differences, serialized
from mainstem.schemas.protobuf.files import linked
from tests.rooms.schemas.protobuf.texts import EDITION, OLD, ORDER

SIZE = 20_000
WORDS = sorted({word for text in (ORDER, OLD, EDITION) for word in text.replace(";", " ; ").split()})


def schema(text: str) -> Schema:
    """A schema without references."""
    return Schema(text, "PROTOBUF")


def asked_everything(one: Schema) -> None:
    """All that a registry asks of a schema, until it is refused."""
    try:
        GRAMMAR.plain(one)
        GRAMMAR.check(one, {})
        GRAMMAR.normal(one, {})
        serialized(one, {})
        assert differences(one, one, ({}, {}), "STRICT").compatible
    except SchemaRefused:
        return


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([ORDER, OLD, EDITION]), st.integers(0, 2_000), st.integers(0, 20), st.sampled_from(WORDS))
def test_a_damaged_text_is_read_or_refused(text: str, place: int, length: int, word: str) -> None:
    """Words of the language in places where they do not belong."""
    asked_everything(schema(text[:place] + word + text[place + length :]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_a_salad_of_words_is_read_or_refused(words: list[str]) -> None:
    """In any order."""
    asked_everything(schema(" ".join(words)))


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever it is."""
    asked_everything(schema(text))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([ORDER, OLD, EDITION]), st.integers(0, 1_500), st.binary(max_size=4))
def test_a_damaged_descriptor_is_read_or_refused(text: str, place: int, other: bytes) -> None:
    """A descriptor comes without a grammar: what its bytes say is looked at as closely."""
    file = linked(schema(text), {}).file
    file.ClearField("source_code_info")
    raw = file.SerializeToString()
    damaged = raw[:place] + other + raw[place + len(other) :]
    asked_everything(schema(b64encode(damaged).decode()))


def many(unit: Callable[[int], str]) -> str:
    """A unit with ever new numbers, as often as it fits."""
    found, length, number = [], 0, 1
    while length < SIZE:
        number += 1_000 if number == 19_000 else 0
        found.append(unit(number))
        length += len(found[-1])
        number += 1
    return "".join(found)


HEAD = 'syntax="proto3";'
LONG = {
    "spaces": " " * SIZE + "{",
    "fields": f"{HEAD}message M{{{many(lambda i: f'int32 f{i}={i};')}}}",
    "maps": f"{HEAD}message M{{{many(lambda i: f'map<int32,int32> f{i}={i};')}}}",
    "oneofs": f"{HEAD}message M{{{many(lambda i: f'oneof o{i}{{int32 f{i}={i};}}')}}}",
    "one oneof": f"{HEAD}message M{{oneof o{{{many(lambda i: f'int32 f{i}={i};')}}}}}",
    "optional": f"{HEAD}message M{{{many(lambda i: f'optional int32 f{i}={i};')}}}",
    "messages": HEAD + many(lambda i: f"message M{i}{{}}"),
    "values": f"{HEAD}message M{{E e=1;}}enum E{{Z=0;{many(lambda i: f'V{i}={i};')}}}",
    "imports": many(lambda i: f'import "{i}";'),
    "reserved": f"message M{{{many(lambda i: f'reserved {i};')}}}",
    "options": many(lambda i: f"option (o{i})={i};"),
    "extensions": f"message M{{extensions 1 to max;}}{many(lambda i: f'extend M{{optional int32 f{i}={i};}}')}",
    "comments": "/*" * SIZE,
    "quotes": "'\\" * SIZE,
    "digits": f"option (a)={'1' * SIZE};",
    "braces": f"option (a)={'{' * SIZE}",
    "deep": "message M{" * SIZE,
    "parentheses": "option (" * SIZE,
}


@pytest.mark.timeout(150)
@pytest.mark.parametrize("name", LONG)
def test_what_is_long_takes_no_longer_than_that(name: str) -> None:
    """Time grows with the length, and not with its square: everything that is asked takes a second or two."""
    asked_everything(schema(LONG[name]))
