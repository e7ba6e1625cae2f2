"""The rules of a registry, as a table: what is done, and what is said to it."""

import asyncio

import pytest

from mainstem.clock import ManualClock
from mainstem.registry.contents import (
    Config,
    DeleteConfig,
    DeleteContext,
    DeleteMode,
    DeleteSubject,
    DeleteVersion,
    InMemory,
    Limits,
    Register,
    SetConfig,
    SetMode,
    guid_of,
)
from mainstem.schemas.documents import Schema
from tests.rooms.registry.played import Step, play, record, refer

A = record("A", "text")
A2 = record("A", "text", "more?")
A_SPACED = Schema('{"name" : "A", "type":"record", "fields": [{"type":"string","name":"text"}], "doc": "x"}')
A_TURNED = Schema('{"name":"A","type":"record","doc":"x","fields":[{"name":"text","type":"string"}]}')
B = record("B", "number:int")
HAS_A = record("H", "inner:A", references=[refer("A", "a")])
JSON_A = Schema('{"type":"object","properties":{"text":{"type":"string"}}}', "JSON")
JSON_HAS_A = Schema('{"type":"object","properties":{"inner":{"$ref":"a.json"}}}', "JSON", (refer("a.json", "a"),))
PROTO_A = Schema('syntax = "proto3"; message A { string text = 1; }', "PROTOBUF")
PROTO_HAS_A = Schema(
    'syntax = "proto3"; import "a.proto"; message H { A inner = 1; }', "PROTOBUF", (refer("a.proto", "a"),)
)
NONE = SetConfig(Config(compatibility_level="NONE"))

TABLE: dict[str, list[tuple[Step, object]]] = {
    "a schema has one id, and a subject has it once": [
        (Register("a", A), (1, 1)),
        (Register("a", A), (1, 1)),
        (Register("b", A), (1, 1)),
        (Register("b", A2), (2, 2)),
        (lambda c: c.uses(1), [("a", 1), ("b", 1)]),
        (lambda c: c.highest_id(), 2),
    ],
    "what says the same is one schema when it is normalized, and not before": [
        (Register("a", A_SPACED), (1, 1)),
        (Register("a", A_TURNED), (2, 2)),
        (Register("b", A_SPACED, normalize=True), (3, 1)),
        (Register("b", A_TURNED, normalize=True), (3, 1)),
        (Register("a", A_TURNED, normalize=True), (2, 2)),
        (SetConfig(Config(normalize=True), "c"), Config(normalize=True)),
        (Register("c", A_SPACED), (3, 1)),
        (lambda c: c.find("c", A_TURNED), (3, 1)),
        (lambda c: c.find("b", A_TURNED), 40403),
        (lambda c: c.find("b", A_TURNED, normalize=True), (3, 1)),
    ],
    "what is deleted is seen no more, and can go for good after that": [
        (NONE, Config(compatibility_level="NONE")),
        (Register("a", A), (1, 1)),
        (Register("a", B), (2, 2)),
        (DeleteVersion("a", 1, permanent=True), 40407),
        (DeleteVersion("a", 1), 1),
        (DeleteVersion("a", 1), 40406),
        (lambda c: c.versions("a"), [2]),
        (lambda c: c.versions("a", shown="all"), [1, 2]),
        (lambda c: c.versions("a", shown="deleted"), [1]),
        (lambda c: c.version("a", 1), 40402),
        (lambda c: c.version("a", 1, deleted=True), (1, 1)),
        (lambda c: c.find("a", A), 40403),
        (lambda c: c.find("a", A, deleted=True), (1, 1)),
        (lambda c: c.schema(1).schema, A),
        (DeleteVersion("a", 1, permanent=True), 1),
        (lambda c: c.schema(1), 40403),
        (lambda c: c.version("a", 1, deleted=True), 40402),
        (DeleteVersion("a", 3), 40402),
        (DeleteVersion("z", 1), 40401),
        (DeleteVersion("a", "newest"), 42202),
        (DeleteVersion("a", "latest"), 2),
        (lambda c: c.versions("a"), 40401),
    ],
    "a subject goes with all its versions": [
        (NONE, Config(compatibility_level="NONE")),
        (Register("a", A), (1, 1)),
        (Register("a", B), (2, 2)),
        (DeleteSubject("a", permanent=True), 40405),
        (DeleteSubject("a"), [1, 2]),
        (DeleteSubject("a"), 40404),
        (lambda c: c.subjects(), []),
        (lambda c: c.subjects(shown="all"), ["a"]),
        (lambda c: c.subjects(shown="deleted"), ["a"]),
        (Register("a", B), (2, 3)),
        (lambda c: c.subjects(shown="deleted"), []),
        (lambda c: c.versions("a", shown="all"), [1, 2, 3]),
        (DeleteSubject("a"), [3]),
        (DeleteSubject("a", permanent=True), [1, 2, 3]),
        (lambda c: c.subjects(shown="all"), []),
        (DeleteSubject("a", permanent=True), 40401),
        (DeleteSubject("a"), 40401),
    ],
    "an id stays that of its content, whatever is deleted": [
        (NONE, Config(compatibility_level="NONE")),
        (Register("a", A), (1, 1)),
        (Register("a", B), (2, 2)),
        (DeleteSubject("a"), [1, 2]),
        (DeleteSubject("a", permanent=True), [1, 2]),
        (Register("a", A2), (3, 1)),
        (Register("b", B), (2, 1)),
        (Register("b", A), (1, 2)),
    ],
    "numbers of versions begin again after a subject has gone, and only then": [
        (NONE, Config(compatibility_level="NONE")),
        (Register("a", A), (1, 1)),
        (Register("a", B), (2, 2)),
        (DeleteVersion("a", 2), 2),
        (DeleteVersion("a", 2, permanent=True), 2),
        (Register("a", B), (2, 3)),
        (DeleteVersion("a", "latest"), 3),
        (DeleteVersion("a", "latest", permanent=True), 3),
    ],
    "references lead to versions, which stay as long as somebody needs them": [
        (Register("h", HAS_A), 42201),
        (Register("a", A), (1, 1)),
        (Register("h", HAS_A), (2, 1)),
        (Register("l", record("H", "inner:A", references=[refer("A", "a", -1)])), (2, 1)),
        (lambda c: c.referenced_by("a", 1), [2]),
        (lambda c: c.referenced_by("h", "latest"), []),
        (DeleteVersion("a", 1), 42206),
        (DeleteSubject("a"), 42206),
        (DeleteSubject("l"), [1]),
        (DeleteSubject("h"), [1]),
        (lambda c: c.referenced_by("a", 1), []),
        (lambda c: c.referenced_by("a", 1, shown="all"), [2]),
        (DeleteSubject("a"), [1]),
        (DeleteSubject("a", permanent=True), 42206),
        (DeleteSubject("h", permanent=True), [1]),
        (DeleteSubject("a", permanent=True), 42206),
        (DeleteSubject("l", permanent=True), [1]),
        (DeleteSubject("a", permanent=True), [1]),
    ],
    "references are found in JSON Schema": [
        (Register("h", JSON_HAS_A), 42201),
        (Register("h", Schema(JSON_HAS_A.text, "JSON")), 42201),
        (Register("a", JSON_A), (1, 1)),
        (Register("h", JSON_HAS_A), (2, 1)),
        (Register("n", JSON_HAS_A, normalize=True), (3, 1)),
        (lambda c: c.comparing("h", JSON_HAS_A)().compatible, True),
        (lambda c: c.referenced_by("a", 1), [2, 3]),
        (DeleteSubject("a"), 42206),
    ],
    "references are found in Protobuf": [
        (Register("h", PROTO_HAS_A), 42201),
        (Register("h", Schema(PROTO_HAS_A.text, "PROTOBUF")), 42201),
        (Register("a", PROTO_A), (1, 1)),
        (Register("h", PROTO_HAS_A), (2, 1)),
        (lambda c: c.comparing("h", PROTO_HAS_A, normalize=True)().compatible, True),
        (lambda c: c.referenced_by("a", 1), [2]),
        (DeleteSubject("a"), 42206),
    ],
    "one name means one schema": [
        (Register("a", A), (1, 1)),
        (Register("x", A), (1, 1)),
        (Register("x", A2), (2, 2)),
        (Register("h", record("H", "inner:A", references=[refer("A", "a"), refer("A", "x", 2)])), 42201),
        (Register("h", record("H", "inner:A", references=[refer("A", "a")])), (3, 1)),
        (Register("k", record("K", "h:H", "a:A", references=[refer("H", "h"), refer("A", "x", 2)])), 42201),
        (Register("k", record("K", "h:H", "a:A", references=[refer("H", "h"), refer("A", "x", 1)])), (4, 1)),
    ],
    "contexts have ids of their own": [
        (Register("a", A), (1, 1)),
        (Register(":.shop:b", B), (1, 1)),
        (Register(":.shop:a", A), (2, 1)),
        (Register(":.:a", A), (1, 1)),
        (lambda c: c.contexts(), [".", ".shop"]),
        (lambda c: c.subjects(), ["a", ":.shop:a", ":.shop:b"]),
        (lambda c: c.subjects(":.shop:"), [":.shop:a", ":.shop:b"]),
        (lambda c: c.subjects(""), ["a"]),
        (lambda c: c.subjects(":*:b"), [":.shop:b"]),
        (lambda c: c.schema(2), 40403),
        (lambda c: c.schema(2, ":.shop:").schema, A),
        (lambda c: c.schema(2, "a").schema, A),
        (lambda c: c.uses(2, ":.shop:a"), [(":.shop:a", 1)]),
        (lambda c: c.ids_of(guid_of(A)), [(".", 1), (".shop", 2)]),
        (lambda c: c.by_guid(guid_of(B)).schema, B),
        (lambda c: c.by_guid("none"), 40403),
        (DeleteContext("shop"), 42211),
        (DeleteSubject(":.shop:a"), [1]),
        (DeleteSubject(":.shop:b"), [1]),
        (DeleteContext(".shop"), 42211),
        (DeleteSubject(":.shop:a", permanent=True), [1]),
        (DeleteSubject(":.shop:b", permanent=True), [1]),
        (DeleteContext(".shop"), None),
        (lambda c: c.contexts(), ["."]),
        (Register(":.shop:c", A2), (3, 1)),
    ],
    "a reference stays in its context, unless it names another": [
        (Register("a", A), (1, 1)),
        (Register(":.shop:h", HAS_A), 42201),
        (Register(":.shop:h", record("H", "inner:A", references=[refer("A", ":.:a")])), (1, 1)),
        (Register(":.shop:a", A), (2, 1)),
        (Register(":.shop:i", HAS_A), (3, 1)),
        (lambda c: c.referenced_by("a", 1), [1]),
        (lambda c: c.referenced_by(":.shop:a", 1), [3]),
    ],
    "a mode that takes no writes refuses them, but for what is there": [
        (Register("a", A), (1, 1)),
        (SetMode("READONLY", "a"), "READONLY"),
        (Register("a", A), (1, 1)),
        (Register("a", A2), 42205),
        (DeleteSubject("a"), 42205),
        (DeleteVersion("a", 1), 42205),
        (Register("b", A2), (2, 1)),
        (SetMode("FORWARD"), "FORWARD"),
        (Register("c", A2), 42205),
        (SetMode("READONLY_OVERRIDE"), "READONLY_OVERRIDE"),
        (SetMode("READWRITE", "c"), "READWRITE"),
        (Register("c", A2), 42205),
        (DeleteMode(), "READONLY_OVERRIDE"),
        (Register("c", A2), (2, 1)),
    ],
    "an import chooses ids and versions, and cannot give one twice": [
        (Register("a", A, id=7), 42205),
        (SetMode("IMPORT", "a"), "IMPORT"),
        (Register("a", A), 42205),
        (Register("a", A, id=7, version=3), (7, 3)),
        (Register("a", A, id=7, version=3), (7, 3)),
        (Register("a", A, id=8), 42207),
        (Register("a", B, id=7), 42205),
        (Register("a", B, id=9, version=3), 42205),
        (Register("a", B, id=0), 42201),
        (Register("a", B, id=9, version=0), 42202),
        (Register("a", B, id=5, version=1), (5, 1)),
        (DeleteMode("a"), "IMPORT"),
        (Register("c", A2), (8, 1)),
        (Register("a", A2, version=9), 42201),
        (SetMode("IMPORT"), 42205),
        (SetMode("IMPORT", "a"), 42205),
        (SetMode("IMPORT", "new"), "IMPORT"),
        (SetMode("IMPORT", force=True), "IMPORT"),
    ],
    "an import of the last number there can be leaves the others an id": [
        (Register("b", B), (1, 1)),
        (SetMode("IMPORT", "a"), "IMPORT"),
        (Register("a", A, id=2**31 - 1, version=2**31 - 1), (2**31 - 1, 2**31 - 1)),
        (Register("a", A2, id=3, version=1), (3, 1)),
        (SetMode("READWRITE", "a"), "READWRITE"),
        (Register("c", JSON_A), (2, 1)),
        (Register("d", PROTO_A), (4, 1)),
        (Register("a", record("A", "text", "other?")), 42205),
        (lambda c: c.highest_id(), 2**31 - 1),
    ],
    "a name that ends as that of a context does is a subject": [
        (Register("s:", A), (1, 1)),
        (Register("s:t", A), (1, 1)),
        (lambda c: c.uses(1, "s:"), [("s:", 1)]),
        (SetMode("IMPORT", "s:u"), "IMPORT"),
        (DeleteMode("s:", recursive=True), "READWRITE"),
        (lambda c: c.configured.mode("s:u"), "IMPORT"),
        (DeleteSubject("s:"), [1]),
        (DeleteSubject("s:", permanent=True), [1]),
        (SetMode("IMPORT", "s:"), "IMPORT"),
    ],
    "an id that is free again is taken all the same": [
        (Register("a", A), (1, 1)),
        (DeleteSubject("a"), [1]),
        (DeleteSubject("a", permanent=True), [1]),
        (SetMode("IMPORT"), "IMPORT"),
        (Register("a", B, id=1), 42205),
        (Register("a", A, id=2), 42207),
        (Register("a", A, id=1), (1, 1)),
    ],
    "what may follow is said by level, against the versions that count": [
        (Register("a", A), (1, 1)),
        (Register("a", record("A", "text", "must")), 40901),
        (Register("a", A2), (2, 2)),
        (Register("a", B), 40901),
        (SetConfig(Config(compatibility_level="NONE"), "a"), Config(compatibility_level="NONE")),
        (Register("a", B), (3, 3)),
        (SetConfig(Config(compatibility_level="BACKWARD"), "a"), Config(compatibility_level="BACKWARD")),
        (lambda c: c.comparing("a", record("B", "number:long"))().compatible, True),
        (
            SetConfig(Config(compatibility_level="BACKWARD_TRANSITIVE"), "a"),
            Config(compatibility_level="BACKWARD_TRANSITIVE"),
        ),
        (lambda c: c.comparing("a", record("B", "number:long"))().compatible, False),
        (lambda c: c.comparing("a", record("B", "number:long"), 3)().compatible, True),
        (lambda c: c.comparing("a", record("B", "number:long"), "latest")().compatible, True),
        (lambda c: c.comparing("a", record("B", "number:long"), 9)(), 40402),
        (lambda c: c.comparing("z", record("B", "number:long"), 1)(), 40401),
        (lambda c: c.comparing("z", record("B", "number:long"))().compatible, True),
        (lambda c: c.comparing("a", Schema('{"type":"nothing"}'))(), 42201),
        (DeleteVersion("a", 3), 3),
        (lambda c: c.comparing("a", A2)().compatible, True),
        (DeleteConfig("a"), Config(compatibility_level="BACKWARD_TRANSITIVE")),
        (Register("a", Schema('{"type":"string"}', "JSON")), 40901),
    ],
    "a name that stands for another is used for it, but where it is configured": [
        (Register("real", A), (1, 1)),
        (SetConfig(Config(alias="real"), "alias"), Config(alias="real")),
        (lambda c: c.version("alias", 1).subject, "real"),
        (Register("alias", A2), (2, 2)),
        (lambda c: c.versions("real"), [1, 2]),
        (lambda c: c.find("alias", A), (1, 1)),
        (lambda c: c.configured.aliases(), [("alias", "real")]),
        (lambda c: [each.subject for each in c.schemas("ali", latest_only=True)], []),
        (
            lambda c: [(each.subject, each.version) for each in c.schemas("ali", aliases=True)],
            [("real", 1), ("real", 2)],
        ),
        (lambda c: [each.version for each in c.schemas("", latest_only=True, aliases=True)], [2]),
        (lambda c: c.uses(1, "alias"), [("real", 1)]),
        (SetConfig(Config(alias="alias"), "second"), Config(alias="alias")),
        (lambda c: c.versions("second"), 40401),
        (SetConfig(Config(alias=None), "alias"), Config()),
        (lambda c: c.versions("alias"), 40401),
        (SetConfig(Config(alias=""), "alias"), Config(alias="")),
        (Register("alias", A), (1, 1)),
        (lambda c: c.subjects("ali"), ["alias"]),
    ],
    "names have any letters but control characters": [
        (Register('a/b {c} "d" é😀 :x', A), (1, 1)),
        (lambda c: c.versions('a/b {c} "d" é😀 :x'), [1]),
        (Register("", A), 42208),
        (Register(":.shop:", A), 42208),
        (Register("__EMPTY", A), 42208),
        (Register("a\x1fb", A), 42208),
        (lambda c: c.versions("a\x1fb"), 42208),
    ],
    "versions are numbers or the latest": [
        (Register("a", A), (1, 1)),
        (Register("a", A2), (2, 2)),
        (lambda c: c.version("a", "latest"), (2, 2)),
        (lambda c: c.version("a", -1), (2, 2)),
        (lambda c: c.version("a", "1"), (1, 1)),
        (lambda c: c.version("a", 3), 40402),
        (lambda c: c.version("z", 1), 40401),
        *((lambda c, each=each: c.version("a", each), 42202) for each in (0, -2, "01", "+1", "1_0", "one", "", 2**31)),
    ],
    "all schemas can be listed": [
        (Register("a", A), (1, 1)),
        (Register("a", A2), (2, 2)),
        (Register("b", A), (1, 1)),
        (DeleteVersion("a", 1), 1),
        (lambda c: c.schemas(), [(2, 2), (1, 1)]),
        (lambda c: c.schemas("a"), [(2, 2)]),
        (lambda c: c.schemas("a", shown="all"), [(1, 1), (2, 2)]),
        (lambda c: c.schemas(shown="all", latest_only=True), [(2, 2), (1, 1)]),
    ],
    "what is no schema is refused": [
        (Register("a", Schema('{"type":"nothing"}')), 42201),
        (Register("a", Schema("{")), 42201),
        (Register("a", Schema("{", "JSON")), 42201),
        (Register("a", Schema("{", "PROTOBUF")), 42201),
        (lambda c: c.subjects(shown="all"), []),
        (lambda c: c.find("a", A), 40401),
    ],
}


@pytest.mark.parametrize("rule", TABLE)
def test_a_registry_keeps_its_rules(rule: str) -> None:
    """What each step says, one after the other on an empty registry."""
    steps = TABLE[rule]
    assert play([step for step, _ in steps]) == [said for _, said in steps]


@pytest.mark.parametrize(
    "schema",
    [
        Schema(f'{{"type":"string","doc":"{"x" * 200}"}}'),
        Schema('"string"', references=tuple(refer(f"n{each}", "a") for each in range(4))),
        Schema('"string"', metadata={"properties": {"a": "x" * 200}}),
        Schema('"string"', references=(refer("x" * 200, "a"),)),
    ],
)
def test_what_is_too_large_is_refused(schema: Schema) -> None:
    """A text, its references and its metadata have bounds, with a number of their own."""
    assert play([Register("b", schema)], Limits(schema_bytes=150, references=3)) == [42209]


def test_a_version_says_since_when_it_is() -> None:
    """Its time is when it was registered, whatever happens to it later."""

    async def played() -> None:
        clock = ManualClock(start_ms=1_000)
        registry = InMemory(clock)
        await registry.write(Register("a", A))
        clock.advance(5)
        await registry.write(Register("a", A))
        await registry.write(DeleteSubject("a"))
        found = (await registry.view()).version("a", 1, deleted=True)
        assert found.timestamp_ms == 1_000

    asyncio.run(played())


def test_why_a_schema_may_not_follow_is_told() -> None:
    """Each reason names the place, the rule, the level, the version, and who is to read whom."""
    [_, comparison] = play([Register("a", A), lambda c: c.comparing("a", record("A", "text", "must"))()])
    [message] = comparison.messages  # type: ignore[attr-defined]
    assert "must" in message
    assert message.endswith("level BACKWARD: the new one is to read version 1")


def test_of_very_many_reasons_some_are_told() -> None:
    """The rest is counted: an answer stays small, whatever was asked."""
    names = [f"f{number}" for number in range(60)]
    [_, comparison] = play([Register("a", A), lambda c: c.comparing("a", record("A", "text", *names))()])
    assert len(comparison.messages) == 51  # type: ignore[attr-defined]
    assert comparison.messages[-1] == "and 10 more"  # type: ignore[attr-defined]
