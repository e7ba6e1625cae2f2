"""Requests that nobody would think of: none of them is answered with a failure of the server."""

import asyncio
import json
import re
from typing import Any
from urllib.parse import quote, quote_from_bytes

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mainstem.clock import ManualClock
from mainstem.registry.contents import InMemory, Register
from mainstem.registry.http import Api, description
from mainstem.registry.http.endpoints import ENDPOINTS, Endpoint
from mainstem.registry.http.paths import Path
from mainstem.schemas.documents import Schema
from mainstem.web import Address
from tests.rooms.registry.http.live import listening
from tests.rooms.registry.http.surface import ask, asked, registry

FORMATS = {
    "AVRO": '{"type":"record","name":"A","fields":[]}',
    "JSON": '{"type":"object"}',
    "PROTOBUF": 'syntax = "proto3"; message A { string a = 1; }',
}
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
DESCRIBED = schemathesis.openapi.from_dict(description(409))


def fuzz(endpoint: Endpoint, address: Address, examples: int) -> None:
    """Requests as the description has them, and requests as it forbids them."""
    operation = DESCRIBED[endpoint.template.text][endpoint.method]
    forbids_something = endpoint.query or endpoint.request or "{id}" in endpoint.template.text
    for mode in GenerationMode if forbids_something else [GenerationMode.POSITIVE]:

        @given(operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        )
        def one(case: Any) -> None:
            case.call_and_validate(base_url=f"http://{address}", checks=CHECKS, timeout=20)

        one()


@pytest.fixture(scope="module")
def address() -> Any:
    """A registry behind a socket."""
    with listening() as taken:
        yield taken


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.template.text}")
def test_every_endpoint_answers_as_described(endpoint: Endpoint, address: Address) -> None:
    """Whatever is sent, the status, the media type and the shape of the answer are in the description."""
    fuzz(endpoint, address, 5)


@pytest.mark.long
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.template.text}")
def test_every_endpoint_answers_as_described_at_length(endpoint: Endpoint, address: Address) -> None:
    """The same with many more."""
    fuzz(endpoint, address, 200)


PIECES = st.one_of(
    st.sampled_from(["s", "t", "latest", "-1", "1", ".", "..", ":.x:s", ":*:", "%00", "%FF", "%2F", "%25", "__GLOBAL"]),
    st.text(max_size=8).map(lambda text: quote(text, safe="", errors="surrogatepass")),
    st.binary(max_size=8).map(quote_from_bytes),
)
TEMPLATES = [f"{prefix}{each.template.text}" for each in ENDPOINTS for prefix in ("", "/contexts/{context}")]
PATHS = st.tuples(st.sampled_from(TEMPLATES), st.lists(PIECES, min_size=4, max_size=4)).map(
    lambda drawn: re.sub(r"{\w+}", lambda _name: drawn[1].pop(), drawn[0])
)
NAMES = "offset limit deleted deletedOnly subjectPrefix format permanent normalize key value force ruleType subject"
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TEXTS = st.sampled_from([*FORMATS.values(), '"string"', "{", "", "[]", "null"]) | PLAIN.map(json.dumps) | st.text()
REFERENCES = st.fixed_dictionaries(
    {"name": st.text(max_size=4), "subject": st.text(max_size=4), "version": st.integers()}
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "schema": TEXTS | PLAIN,
        "schemaType": st.sampled_from([*FORMATS, "XML"]) | PLAIN,
        "references": st.lists(REFERENCES, max_size=2) | PLAIN,
        "metadata": PLAIN,
        "ruleSet": PLAIN | st.fixed_dictionaries({"domainRules": PLAIN}),
        "id": st.integers() | PLAIN,
        "version": st.integers() | PLAIN,
        "compatibility": st.sampled_from(["FULL", "none"]) | PLAIN,
        "alias": PLAIN,
        "defaultMetadata": PLAIN,
        "overrideRuleSet": PLAIN,
        "mode": st.sampled_from(["IMPORT", "readonly"]) | PLAIN,
    },
)
REQUESTS = st.tuples(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]),
    PATHS | st.lists(PIECES, max_size=6).map(lambda pieces: "/" + "/".join(pieces)),
    st.lists(st.tuples(st.sampled_from(NAMES.split()), PIECES), max_size=3),
    DOCUMENTS.map(lambda document: json.dumps(document).encode()) | st.binary(max_size=20),
)


@given(st.lists(REQUESTS, min_size=1, max_size=6))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_sequence_of_requests_breaks_it(requests: list[tuple[str, str, list[tuple[str, str]], bytes]]) -> None:
    """Any bytes in any order: an answer that is JSON or a text, and never a failure of the server."""
    asyncio.run(answered(requests))


async def answered(requests: list[tuple[str, str, list[tuple[str, str]], bytes]]) -> None:
    """Ask all of it."""
    api = registry("open")
    for method, path, query, body in requests:
        text = "&".join(f"{name}={value}" for name, value in query)
        answer = await api.answer(asked(f"{method} {path}?{text}", body))
        assert answer.status < 500, (method, path, text, body, answer.body)
        if answer.status >= 400:
            failure = json.loads(answer.body)
            assert str(failure["error_code"]).startswith(str(answer.status))


DEEP = {
    "AVRO": '{"type":"array","items":' * 100_000 + '"int"' + "}" * 100_000,
    "JSON": '{"not":' * 100_000 + "{}" + "}" * 100_000,
    "PROTOBUF": "message A {" * 5_000 + "}" * 5_000,
}


@pytest.mark.parametrize(("kind", "text"), DEEP.items(), ids=DEEP)
async def test_a_schema_as_deep_as_a_well_is_no_schema(kind: str, text: str) -> None:
    """It is refused, by a code of its own, wherever a schema may stand."""
    for line in ("POST /subjects/s/versions", "POST /compatibility/subjects/s/versions"):
        status, failure = await ask(registry("open"), line, {"schemaType": kind, "schema": text})
        assert (status, failure["error_code"]) in {(422, 42201), (422, 42209)}


@pytest.mark.parametrize("kind", FORMATS)
async def test_a_circle_of_references_is_no_schema(kind: str) -> None:
    """A schema cannot refer to itself, nor to one that refers to it: what it refers to must be there before."""
    api = registry("open")
    body = {"schemaType": kind, "schema": FORMATS[kind], "references": [{"name": "r", "subject": "s", "version": 1}]}
    status, failure = await ask(api, "POST /subjects/s/versions", body)
    assert (status, failure["error_code"]) == (422, 42201)


async def test_ten_thousand_subjects() -> None:
    """They are listed, paged and found, and one more is registered, as with ten."""
    access = InMemory(ManualClock())
    for number in range(10_000):
        schema = Schema(json.dumps({"type": "fixed", "name": f"F{number % 50}", "size": 4}))
        await access.write(Register(f"subject-{number:05}", schema))
    api = Api(access, ManualClock())
    assert len((await ask(api, "GET /subjects"))[1]) == 10_000
    assert (await ask(api, "GET /subjects?offset=9999&limit=5"))[1] == ["subject-09999"]
    assert len((await ask(api, "GET /subjects?subjectPrefix=subject-00"))[1]) == 1000
    assert len((await ask(api, "GET /schemas"))[1]) == 1000
    assert len((await ask(api, "GET /schemas/ids/50/subjects"))[1]) == 200
    assert (await ask(api, "GET /subjects/subject-05000/versions"))[1] == [1]
    assert await ask(api, "POST /subjects/one-more/versions", {"schema": '"int"'}) == (200, {"id": 51})


def test_a_path_is_split_as_far_as_one_of_ours_is_long() -> None:
    """Each of ours is read within a context, with a slash at its end; of a longer one nothing is decoded."""
    longest = max(each.template.length for each in ENDPOINTS)
    assert Path.read("/contexts/.west" + "/%61" * longest + "/") == (("a",) * longest, ".west")
    assert Path.read("/%61" * 100) == (("",), None)
    assert Path.read("/%ff" * 20_000) == (("",), None)
