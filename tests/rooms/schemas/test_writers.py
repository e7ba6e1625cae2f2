"""Writers' schemas: what is asked and remembered, and payloads read with them, whole and damaged."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, cast

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstem.clock import SystemClock
from mainstem.errors import DecodingFailed, DefinitionError, MainstemError, ServerAway, VersionUnknown
from mainstem.events import Declaration, DomainEvent, IntegrationEvent, declaration_of
from mainstem.registry import LocalRegistry
from mainstem.registry.contents import DeleteSubject, InMemory
from mainstem.registry.http import Api, Exposure
from mainstem.schemas import DECODER_ERRORS, FieldNumber, codec_for, decoding_failure, schema_of
from mainstem.schemas.documents import Reference, Schema
from mainstem.schemas.framing import guid_header, id_prefix
from mainstem.schemas.registries import RemoteRegistry, SchemaRegistry
from mainstem.schemas.upcasting import Reading, reading_of
from mainstem.schemas.writers import DENIED_SECONDS, Answer, Asking, SchemaName, Writers, Written
from mainstem.testing import simulated
from mainstem.web import Address
from mainstem.web.client import Client
from mainstem.web.server import Request, Response, Route, everything, serving

GUID = "89791762-2336-4186-9674-299b90a802e2"


class Order(IntegrationEvent, topic="orders", format="avro", schema_id="prefix", version=2):
    id: str
    tags: list[str] = msgspec.field(default_factory=list)
    more: dict[str, int] = msgspec.field(default_factory=dict)
    note: str | None = None


@Order.upcast(1)
def named(data: dict[str, object]) -> dict[str, object]:
    """The first version had a number for a name."""
    return {"id": f"o-{data['number']}"}


class Flight(IntegrationEvent, topic="flights", format="protobuf", schema_id="prefix"):
    number: Annotated[str, FieldNumber(1)]
    stops: Annotated[list[str], FieldNumber(2)] = msgspec.field(default_factory=list)


class Booked(DomainEvent, topic="bookings", service="booking", format="avro", schema_id="prefix"):
    id: str


OLDER = Schema('{"type":"record","name":"Order","fields":[{"name":"number","type":"long"}]}')
WIDER = Schema(
    """{"type":"record","name":"Order","fields":[
    {"name":"parts","type":{"type":"array","items":{"type":"map","values":["null","double","Order"]}}},
    {"name":"tags","type":{"type":"array","items":"string"}},
    {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["A","B"]}},
    {"name":"raw","type":{"type":"fixed","name":"Raw","size":3}},{"name":"id","type":"string"}]}"""
)
VALUE = {"parts": [{"a": 1.5, "b": None}], "tags": ["x"], "kind": "B", "raw": b"abc", "id": "o-1"}


def encoded(schema: Schema, value: object) -> bytes:
    """A payload in Avro, as the library writes it."""
    file = io.BytesIO()
    fastavro.schemaless_writer(file, json.loads(schema.text), value)
    return file.getvalue()


def read(reading: Reading, value: bytes, version: bytes | None, header: bytes | None = None) -> object:
    """The event, as a task decodes it: the error of what cannot be read is one that a dead letter tells."""
    try:
        return reading.decoder(version, header)(value)
    except DecodingFailed as error:
        return error
    except DECODER_ERRORS as error:
        return decoding_failure(error, reading.declaration, value)


async def nothing(_: Sequence[SchemaName]) -> Sequence[Answer]:
    """Answers to no question."""
    return []


def known(declaration: Declaration, **schemas: Schema) -> Reading:
    """A reading that knows these schemas, by id."""
    writers = Writers(nothing)
    for name, schema in schemas.items():
        writers.learn(SchemaName(int(name[1:])), Written(schema, {}))
    return reading_of(declaration, writers)


ORDERS = known(declaration_of(Order), n1=OLDER, n2=WIDER, n3=schema_of(declaration_of(Order)))
FLIGHTS = known(declaration_of(Flight), n1=schema_of(declaration_of(Flight)))
SEVERAL = Schema(
    'syntax = "proto3"; message Other { map<string, int64> m = 1; message Flight { string number = 1; } }', "PROTOBUF"
)


def test_the_writers_schema_decides_how_bytes_are_read() -> None:
    """The same type from three schemas, in either place of the id; an older version goes through its steps."""
    own = codec_for(declaration_of(Order)).encode(Order("o-3", ["y"]))
    assert read(ORDERS, id_prefix(2) + encoded(WIDER, VALUE), b"2") == Order("o-1", ["x"])
    assert read(ORDERS, id_prefix(3) + own, b"2") == Order("o-3", ["y"])
    assert read(ORDERS, id_prefix(1) + encoded(OLDER, {"number": 7}), b"1") == Order("o-7")
    assert read(ORDERS, id_prefix(1) + encoded(OLDER, {"number": 7}), None) == Order("o-7")
    assert isinstance(read(ORDERS, id_prefix(3) + own, b"3"), VersionUnknown)
    writers = Writers(nothing)
    writers.learn(SchemaName(None, GUID), Written(OLDER, {}))
    behind = reading_of(declaration_of(Order), writers)
    assert read(behind, encoded(OLDER, {"number": 7}), b"1", guid_header(GUID)) == Order("o-7")
    assert read(behind, b"\1" + guid_header(GUID)[1:] + encoded(OLDER, {"number": 7}), b"1") == Order("o-7")


def test_a_message_must_be_the_one_that_is_read() -> None:
    """By the way to it in the writer's file, in which the entries of maps count too."""
    reading = known(declaration_of(Flight), n1=SEVERAL)
    flight = b"\x0a\x03UA1"
    assert read(reading, id_prefix(1, (0, 1)) + flight, b"1") == Flight("UA1")
    for indexes, words in [((0,), "is Other"), ((0, 0), "is MEntry"), ((0, 2), "no message"), ((1,), "no message")]:
        assert words in str(read(reading, id_prefix(1, indexes) + flight, b"1"))
    alone = reading_of(declaration_of(Flight))
    assert read(alone, id_prefix(5, (0,)) + flight, b"1") == Flight("UA1")
    assert "nobody to ask" in str(read(alone, id_prefix(5, (1,)) + flight, b"1"))


def test_what_is_no_schema_for_the_type_is_a_dead_letter() -> None:
    """Of another format, of another record, one that could hold a process up, and none at all."""
    endless = '{"type":"record","name":"Order","fields":[{"name":"a","type":{"type":"array","items":"null"}}]}'
    stranger = '{"type":"record","name":"Invoice","fields":[{"name":"id","type":"string"}]}'
    reading = known(
        declaration_of(Order),
        n1=Schema('{"type":"object"}', "JSON"),
        n2=Schema(stranger),
        n3=Schema(endless),
        n4=Schema("{"),
        n5=SEVERAL,
    )
    for number in range(1, 7):
        error = read(reading, id_prefix(number) + b"\x02a", b"2")
        assert isinstance(error, DecodingFailed)


@st.composite
def damaged(draw: st.DrawFn, values: list[bytes]) -> bytes:
    """One of these with bytes changed, put in, taken out and cut off; or any bytes."""
    value = bytearray(draw(st.sampled_from(values)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(value)))
        match draw(st.sampled_from(["change", "insert", "remove", "cut"])):
            case "change":
                value[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "insert":
                value[at:at] = draw(st.binary(min_size=1, max_size=12) | st.just(b"\xff" * 9))
            case "remove":
                del value[at : at + draw(st.integers(1, 4))]
            case _:
                del value[at:]
    return bytes(value) if draw(st.integers(0, 9)) else draw(st.binary(max_size=40))


AVRO = [
    id_prefix(1) + encoded(OLDER, {"number": 7}),
    id_prefix(2) + encoded(WIDER, VALUE),
    id_prefix(3) + codec_for(declaration_of(Order)).encode(Order("o", ["a"], {"b": 1}, "n")),
]
PROTOBUF = [id_prefix(1, (0,)) + codec_for(declaration_of(Flight)).encode(Flight("UA1", ["a", "b"]))]


@settings(max_examples=300, deadline=2_000)
@given(damaged(AVRO), st.sampled_from([None, b"1", b"2", b"3", b"x"]))
def test_damaged_avro_is_an_event_or_a_documented_error(value: bytes, version: bytes | None) -> None:
    """Never anything else, and soon."""
    assert isinstance(read(ORDERS, value, version), Order | DecodingFailed)


@settings(max_examples=200, deadline=2_000)
@given(damaged(PROTOBUF))
def test_damaged_protobuf_is_an_event_or_a_documented_error(value: bytes) -> None:
    """The same, with a framing that says which message it is."""
    assert isinstance(read(FLIGHTS, value, b"1"), Flight | DecodingFailed)


@settings(max_examples=200, deadline=2_000)
@given(damaged([guid_header(GUID), guid_header(GUID, (0,)), id_prefix(1)]), st.binary(max_size=20))
def test_a_damaged_header_is_an_event_or_a_documented_error(header: bytes, value: bytes) -> None:
    """Whatever stands where the name of a schema belongs, and whatever is behind it."""
    for reading in (ORDERS, FLIGHTS):
        assert isinstance(read(reading, value, b"1", header), Order | Flight | DecodingFailed)


# -- asking


@asynccontextmanager
async def kept(contents: InMemory) -> AsyncIterator[SchemaRegistry | None]:
    """A registry in memory."""
    yield LocalRegistry(contents)


def text(answer: Answer) -> str:
    """The text of a schema, or why there is none."""
    return answer.schema.text if isinstance(answer, Written) else str(answer)


async def test_a_schema_is_asked_for_with_all_that_it_refers_to() -> None:
    """Directly and through others, in its own context; a domain event's id belongs to its service's."""
    contents = InMemory(SystemClock())
    registry = LocalRegistry(contents)
    for context in ("", ":.booking:"):
        size = 1 + len(context)
        await registry.register(f"{context}a", Schema(f'{{"type":"fixed","name":"A","size":{size}}}'))
        inner = '{"type":"record","name":"B","fields":[{"name":"a","type":"A"}]}'
        await registry.register(f"{context}b", Schema(inner, references=(Reference("A", "a", 1),)))
        outer = '{"type":"record","name":"C","fields":[{"name":"b","type":"B"}]}'
        found = await registry.register(f"{context}c", Schema(outer, references=(Reference("B", "b", 1),)))
        asking = Asking(lambda: kept(contents))
        assert found.guid is not None
        [answer, missing] = await asking.ask([SchemaName(found.id, None, context), SchemaName(77, None, context)])
        assert isinstance(answer, Written)
        assert sorted(answer.resolved) == ["A", "B"]
        assert answer.resolved["A"].text.endswith(f'"size":{size}}}')
        assert "40403" in text(missing)
    assert "fields" in text((await asking.ask([SchemaName(None, found.guid)]))[0])
    await asking.close()


@pytest.mark.parametrize("where", ["in memory", "over HTTP"])
async def test_what_was_deleted_is_still_read(where: str) -> None:
    """A schema and what it refers to, unless they were deleted for good: what they have written is still there."""
    contents = InMemory(SystemClock())
    api = Api(contents, SystemClock(), Exposure(Address("127.0.0.1", 0)), audit=lambda _deed: None)
    registry = LocalRegistry(contents)
    await registry.register("a", Schema('{"type":"fixed","name":"A","size":1}'))
    outer = Schema('{"type":"array","items":"A"}', references=(Reference("A", "a", 1),))
    found = await registry.register("b", outer)
    for subject in ("b", "a"):
        await contents.write(DeleteSubject(subject))
    assert await registry.version("a", 1) is None
    async with serving([everything(api.answer)], Address("127.0.0.1", 0), None) as address:
        asking = Asking(lambda: kept(contents) if where == "in memory" else remote(address))
        [answer] = await asking.ask([SchemaName(found.id)])
        assert isinstance(answer, Written)
        assert list(answer.resolved) == ["A"]
        await contents.write(DeleteSubject("b", permanent=True))
        await contents.write(DeleteSubject("a", permanent=True))
        assert "not found" in text((await asking.ask([SchemaName(found.id)]))[0])
        await asking.close()


def test_the_context_of_a_domain_event_is_its_services() -> None:
    """An id means another schema in another context."""
    reading = reading_of(declaration_of(Booked), Writers(nothing))
    assert reading.named is not None
    assert reading.named.unknown([id_prefix(1) + b"\x02a"], None) == [SchemaName(1, None, ":.booking:")]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b'{"error_code": 40403, "message": "Schema 7 not found"}', "40403"),
        (404, b'{"error_code": 404, "message": "HTTP 404 Not Found"}', None),
        (404, b"<html>", None),
        (404, b'{"error_code": 0}', None),
        (410, b'{"error_code": 410, "message": "HTTP 410 Gone"}', None),
        (200, b"<html>", None),
        (200, b'{"status": "UP"}', None),
        (200, b'{"schema": ""}', None),
        (302, b"{}", None),
        (302, b'{"schema": "\\"string\\""}', None),
        (401, b'{"error_code": 401, "message": "who?"}', None),
        (429, b"", None),
        (500, b'{"error_code": 50001, "message": "away"}', None),
        (422, b'{"error_code": 42299, "message": "no such number"}', "42299"),
    ],
)
async def test_only_what_is_said_about_the_schema_is_a_verdict(status: int, body: bytes, said: str | None) -> None:
    """A server that is no registry, one that does not know who asks, and one that has failed, say nothing about it."""

    async def answer(_: Request) -> Response:
        return Response(body, status_code=status)

    routes = [Route("/{rest:path}", answer, methods=["GET", "POST"])]
    async with serving(routes, Address("127.0.0.1", 0), None) as address:
        asking = Asking(lambda: remote(address))
        [found] = await asking.ask([SchemaName(7)])
        assert (said in text(found)) if said else isinstance(found, ServerAway)
        await asking.close()


async def test_a_registry_without_guids_has_a_verdict_too() -> None:
    """It answers another question, so that it does not know the path says that it does not know the schema."""

    async def answer(request: Request) -> Response:
        return Response(b"[]") if request.url.path == "/subjects" else Response(b"", status_code=404)

    async with serving([Route("/{rest:path}", answer)], Address("127.0.0.1", 0), None) as address:
        asking = Asking(lambda: remote(address))
        assert "404" in text((await asking.ask([SchemaName(None, GUID)]))[0])
        await asking.close()


@asynccontextmanager
async def remote(address: Address) -> AsyncIterator[SchemaRegistry | None]:
    """The registry behind an address."""
    async with Client([f"http://{address}"]) as client:
        yield RemoteRegistry(client)


async def test_a_registry_is_opened_anew_after_it_was_away() -> None:
    """And looked at again while it has nothing in it; once open it stays so."""
    opened: list[SchemaRegistry | None] = []
    contents = InMemory(SystemClock())
    broken = DefinitionError("the folder does not fit together")
    coming: list[MainstemError | InMemory | None] = [ServerAway("nobody"), broken, None, contents, contents]

    @asynccontextmanager
    async def door() -> AsyncIterator[SchemaRegistry | None]:
        found = coming.pop(0)
        if isinstance(found, MainstemError):
            raise found
        opened.append(None if found is None else LocalRegistry(found))
        yield opened[-1]

    await LocalRegistry(contents).register("order", OLDER)
    asking, names = Asking(door), [SchemaName(1)]
    for _ in range(2):
        assert isinstance((await asking.ask(names))[0], ServerAway)
    assert "nothing has ever been registered there" in text((await asking.ask(names))[0])
    for _ in range(3):
        assert text((await asking.ask(names))[0]) == OLDER.text
    assert len(opened) == 2
    await asking.close()


async def test_a_denial_counts_for_a_while_and_a_schema_for_good() -> None:
    """Somebody may register it meanwhile; a redrive asks at once."""
    now, asked = [0.0], list[SchemaName]()

    async def ask(names: Sequence[SchemaName]) -> Sequence[Answer]:
        asked.extend(names)
        return [Written(OLDER, {}) if each.id == 1 else "no" for each in names]

    writers = Writers(ask, lambda: now[0])
    names = [SchemaName(1), SchemaName(2)]
    await writers.acquire(names)
    await writers.acquire(names)
    assert (asked, writers.unknown(names), writers.find(names[1])) == (names, [], "no")
    assert writers.unknown(names, again=True) == names[1:]
    now[0] = DENIED_SECONDS
    assert writers.unknown(names) == names[1:]
    await writers.acquire(names)
    assert asked == [*names, names[1]]
    await writers.acquire(names, again=True)
    assert asked == [*names, names[1], names[1]]
    assert cast("Written", writers.find(names[0])).schema is OLDER


@simulated
async def test_one_question_answers_all_who_wait_for_it() -> None:
    """Every partition meets a new schema at the same time, and the registry is asked for it once."""
    asked = list[SchemaName]()

    async def ask(names: Sequence[SchemaName]) -> Sequence[Answer]:
        asked.extend(names)
        await asyncio.sleep(1)
        return [Written(OLDER, {}) if each.id == 1 else "no" for each in names]

    writers, names = Writers(ask, asyncio.get_running_loop().time), [SchemaName(1), SchemaName(2)]
    await asyncio.gather(*(writers.acquire(names) for _ in range(8)))
    assert asked == names


async def test_what_is_known_waits_for_nobody() -> None:
    """Also while another question is under way that nobody answers."""
    asked = asyncio.Event()

    async def ask(names: Sequence[SchemaName]) -> Sequence[Answer]:
        asked.set()
        await asyncio.Event().wait()
        return []

    writers = Writers(ask)
    writers.learn(SchemaName(1), Written(OLDER, {}))
    waiting = asyncio.create_task(writers.acquire([SchemaName(2)]))
    await asked.wait()
    await asyncio.wait_for(writers.acquire([SchemaName(1)], again=True), 5)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


@simulated
async def test_no_answer_in_time_is_none() -> None:
    """Whoever waits is told, and may ask again; the one that has taken so long is over."""
    asked = list[SchemaName]()

    async def ask(names: Sequence[SchemaName]) -> Sequence[Answer]:
        asked.extend(names)
        if len(asked) == 1:
            await asyncio.Event().wait()
        return [Written(OLDER, {})] * len(names)

    writers = Writers(ask)
    with pytest.raises(ServerAway, match="within 60 s"):
        await writers.acquire([SchemaName(1)])
    await writers.acquire([SchemaName(1)])
    assert isinstance(writers.find(SchemaName(1)), Written)


@simulated
async def test_any_number_of_unknown_schemas_is_answered_in_the_end() -> None:
    """A batch of garbage with more ids than are answered in time, or than a denial counts: its partition goes on.

    What has been answered is kept, and the first denials still count when the last one has come.
    """
    loop = asyncio.get_running_loop()
    names = [SchemaName(number) for number in range(12_000)]

    async def ask(asked: Sequence[SchemaName]) -> Sequence[Answer]:
        await asyncio.sleep(0.05 * len(asked))
        return ["there is no such schema"] * len(asked)

    writers = Writers(ask, loop.time)
    await writers.acquire(names)
    assert writers.unknown(names) == []
    await asyncio.sleep(DENIED_SECONDS + 1)
    assert len(writers.unknown(names)) == len(names)


@simulated
async def test_batches_of_garbage_do_not_make_one_another_wait() -> None:
    """Many partitions may have some at once: what one has been told is not forgotten because another asks."""
    loop = asyncio.get_running_loop()
    asked: list[SchemaName] = []

    async def ask(names: Sequence[SchemaName]) -> Sequence[Answer]:
        asked.extend(names)
        await asyncio.sleep(0.001 * len(names))
        return ["there is no such schema"] * len(names)

    writers = Writers(ask, loop.time)

    async def partition(number: int) -> None:
        for batch in range(4):
            names = [SchemaName(each, None, f":.{number}-{batch}:") for each in range(500 + 100 * number)]
            while writers.unknown(names):
                await writers.acquire(names)
                # It is read again a while later, in which others begin.
                await asyncio.sleep(5)

    await asyncio.gather(*map(partition, range(8)))
    assert len(asked) == len(set(asked)) == 27_200
    await asyncio.sleep(DENIED_SECONDS + 1)
    await writers.acquire([SchemaName(99_999)])
    assert writers.find(SchemaName(0)) is None
