"""The table of endpoints and statuses: each row is a request, and what it is answered."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mainstem.registry.http import Api
from mainstem.registry.http.description import ALWAYS
from mainstem.registry.http.endpoints import ENDPOINTS
from mainstem.registry.http.paths import Path as Parsed
from tests.rooms.registry.http.surface import LIMIT_BYTES, ask, asked, basic, registry

ROWS: list[dict[str, str]] = list(
    csv.DictReader((Path(__file__).parent / "status.csv").read_text(encoding="utf-8").splitlines())
)


def schema(text: object, **more: Any) -> bytes:
    """A body with a JSON Schema."""
    return json.dumps({"schemaType": "JSON", "schema": json.dumps(text), **more}).encode()


STRING = {"type": "string"}
REFERENCE = {"name": "s.json", "subject": "s", "version": 1}
BODIES: dict[str, bytes] = {
    "": b"",
    "none": b" ",
    "empty": b"{}",
    "string": schema(STRING),
    "number": schema({"type": "number"}),
    "avro": b'{"schema": "\\"string\\""}',
    "avrolong": b'{"schema": "\\"long\\""}',
    "owned": schema(STRING, metadata={"properties": {"owner": "us"}}),
    "refers": schema({"$ref": "s.json"}, references=[REFERENCE]),
    "imported": schema(STRING, id=7, version=3),
    "imported8": schema(STRING, id=8, version=1),
    "beyond": schema(STRING, id=7, version=2**31),
    "bad": b'{"schemaType": "JSON", "schema": "{"}',
    "othertype": b'{"schemaType": "XML", "schema": "<a/>"}',
    "badrules": schema(STRING, ruleSet={"domainRules": [{"name": ""}]}),
    "big": schema({"description": "x" * 1_100_000}),
    "huge": b" " * (LIMIT_BYTES + 1),
    "nested": b'{"metadata": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "notjson": b"{",
    "wrongtype": b'{"schema": 5}',
    "notutf8": b'{"schema": "\xff"}',
    "surrogate": b'{"schema": "\\ud800"}',
    "form": b"schema=1",
    "gzip": b"\x1f\x8b",
    "full": b'{"compatibility": "FULL"}',
    "badlevel": b'{"compatibility": "SOME"}',
    "badruleset": b'{"defaultRuleSet": {"domainRules": [{"name": ""}]}}',
    "badmetadata": b'{"defaultMetadata": {"tags": 5}}',
    "bigmetadata": b'{"defaultMetadata": {"properties": {"a": "' + b"x" * 1_100_000 + b'"}}}',
    "readonly": b'{"mode": "READONLY"}',
    "import": b'{"mode": "IMPORT"}',
    "badmode": b'{"mode": "SOME"}',
    "html": b"",
    "reader": b"",
    "wrong": b"",
}
HEADERS: dict[str, Mapping[str, str]] = {
    "none": {"content-type": ""},
    "form": {"content-type": "application/x-www-form-urlencoded"},
    "gzip": {"content-encoding": "gzip"},
    "html": {"accept": "text/html"},
    "reader": basic("reader", "secret"),
    "wrong": basic("reader", "other"),
}


async def prepare(api: Api, steps: str) -> str:
    """Do what a row wants to be there before; returns the GUID of the last schema."""
    guid = ""
    for step in filter(None, map(str.strip, steps.split(";"))):
        method, path, *body = step.split()
        headers = {"confluent-accept-unknown-properties": "true"}
        answer = await api.answer(asked(f"{method} {path}", BODIES["".join(body)], headers))
        assert answer.status < 300, (step, answer.body)
        if b'"guid"' in answer.body:
            guid = str(json.loads(answer.body)["guid"])
    return guid


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['method']} {row['path']} {row['code']} {row['what']}")
async def test_a_row_says_what_is_answered(row: dict[str, str]) -> None:
    """Status and error code are those of the table, and the body has the shape of a failure or is none."""
    api = registry(row["registry"])
    guid = await prepare(api, row["before"])
    line = f"{row['method']} {row['path'].replace('{guid}', guid)}"
    if row["body"] == "none":
        answer = await api.answer(asked(line, b""))
    else:
        answer = await api.answer(asked(line, BODIES[row["body"]], HEADERS.get(row["body"])))
    assert (answer.status, code_of(answer.body) if answer.status >= 400 else "") == (int(row["status"]), row["code"])


def code_of(body: bytes) -> str:
    """The error code of a failure, which says something and nothing else."""
    failure = json.loads(body)
    assert sorted(failure) == ["error_code", "message"]
    assert failure["message"]
    return str(failure["error_code"])


def endpoint_of(row: dict[str, str]) -> str:
    """The endpoint that a row asks."""
    parts = Parsed.read(row["path"].partition("?")[0].replace("%FF", "")).parts
    found = [each for each in ENDPOINTS if each.method == row["method"] and each.template.match(parts) is not None]
    best = max(found, key=lambda each: each.template.fixed, default=None)
    return f"{best.method} {best.template.text}" if best else ""


def test_every_code_has_a_row() -> None:
    """Whatever the description of an endpoint says that it may answer is in the table, and so is tested."""
    told = {(endpoint_of(row), row["code"]) for row in ROWS}
    promised = {
        (f"{each.method} {each.template.text}", str(code) if code else "")
        for each in ENDPOINTS
        for code in (*each.codes, *(() if 40410 in each.codes else (0,)))
    }
    assert sorted(promised - told) == []
    assert {str(code) for code in ALWAYS} - {row["status"] for row in ROWS} == {"429"}


def test_every_code_is_promised() -> None:
    """What the table says of an endpoint stands in its description: a client that reads it knows all there is."""
    promised = {(f"{each.method} {each.template.text}", str(code)) for each in ENDPOINTS for code in each.codes}
    everywhere = {str(code) for code in (*ALWAYS, 50001, 50002, 40901, 404, 405)}
    told = {(endpoint_of(row), row["code"]) for row in ROWS if row["code"] and row["code"] not in everywhere}
    assert sorted(told - promised) == []


async def test_what_is_refused_is_said_in_the_header_too() -> None:
    """405 names the methods that there are, 401 how to say who asks."""
    open_one, guarded = registry("open"), registry("guarded")
    refused = await open_one.answer(asked("PATCH /subjects/s"))
    assert refused.headers["allow"] == "DELETE, POST"
    assert (await guarded.answer(asked("GET /subjects"))).headers["www-authenticate"].startswith("Basic ")


async def test_a_field_that_nobody_knows_says_nothing() -> None:
    """Newer clients send more."""
    body = {"schema": '"string"', "schemaType": "JSON", "schemaTags": [], "new": {"a": 1}}
    body["schema"] = json.dumps(STRING)
    assert await ask(registry("open"), "POST /subjects/s/versions?new=1", body) == (200, {"id": 1})


async def test_the_ids_of_a_guid_are_told_with_their_contexts() -> None:
    """By the names that clients in Java and Go look for."""
    api = registry("open")
    guid = await prepare(api, "POST /subjects/s/versions string; POST /subjects/:.x:s/versions string")
    found = await ask(api, f"GET /schemas/guids/{guid}/ids")
    assert found == (200, [{"context": ".", "id": 1}, {"context": ".x", "id": 1}])
