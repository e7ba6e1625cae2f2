"""The table of statuses, asked of another registry: where it answers otherwise is written down."""

import csv
import json
import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.rooms.registry.http.test_status import BODIES, HEADERS, ROWS

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
RECORDED = Path(__file__).parent / "apicurio.csv"
FOUND = Path(__file__).parents[2] / "build" / "apicurio.csv"
COLUMNS = ("method", "path", "before", "body", "ours", "theirs")


def recognisable(body: bytes) -> bytes:
    """The same, with a draft in it: Apicurio takes no text for JSON Schema that does not say so."""
    try:
        sent = json.loads(body)
        schema = json.loads(sent["schema"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return body
    if sent.get("schemaType") != "JSON" or not isinstance(schema, dict):
        return body
    sent["schema"] = json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", **schema})
    return json.dumps(sent).encode()


SENT = {name: recognisable(body) for name, body in BODIES.items()}


def ask(url: str, line: str, body: bytes = b"", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """The status and the body of an answer."""
    method, _, path = line.partition(" ")
    kinds = {"content-type": MEDIA_TYPE} if body else {}
    asked = Request(url + path, body or None, {**kinds, **(headers or {})}, method=method)
    try:
        with urlopen(asked, timeout=20) as answer:
            return answer.status, answer.read()
    except HTTPError as failure:
        return failure.code, failure.read()


class Apart:
    """A row with subjects of its own, as nothing that a row has left can be taken away for good."""

    def __init__(self, url: str, number: int) -> None:
        self._url = url
        self._number = number
        self._given = 0

    def ask(self, line: str, body: str) -> tuple[int, bytes]:
        """Ask as the row says, but for the names of its subjects and the first id."""
        line = re.sub(r"/(subjects|config|mode)/([st])(?=[/?]|$)", rf"/\1/\g<2>-{self._number}", line)
        line = re.sub(r"/ids/([12])\b", lambda found: f"/ids/{self._given if found[1] == '1' else 987_654}", line)
        sent = SENT[body].replace(b'"subject": "s"', f'"subject": "s-{self._number}"'.encode())
        status, said = ask(self._url, line, sent, dict(HEADERS.get(body, {})))
        if line.startswith("POST") and said.startswith(b'{"id":'):
            self._given = json.loads(said)["id"]
        return status, said


def answered(url: str, row: dict[str, str], number: int) -> str:
    """Status and error code, as ``404 40401``."""
    ask(url, "PUT /mode?force=true", b'{"mode": "READWRITE"}')
    ask(url, "PUT /config", b'{"compatibility": "BACKWARD"}')
    apart = Apart(url, number)
    for step in filter(None, map(str.strip, row["before"].split(";"))):
        method, path, *body = step.split()
        apart.ask(f"{method} {path}", "".join(body))
    status, answer = apart.ask(f"{row['method']} {row['path']}", row["body"])
    try:
        said = json.loads(answer) if status >= 400 else {}
    except ValueError:
        return f"{status} no JSON"
    return f"{status} {said.get('error_code', '')}".strip()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_where_apicurio_answers_otherwise(apicurio: str) -> None:
    """Exactly the rows that are recorded; whoever changes one of ours sees here whether others do it so."""
    asked = [row for row in ROWS if row["registry"] == "open" and "{guid}" not in row["path"]]
    found = []
    for number, row in enumerate(asked):
        ours, theirs = f"{row['status']} {row['code']}".strip(), answered(apicurio, row, number)
        if ours != theirs:
            found.append({**{each: row[each] for each in COLUMNS[:4]}, "ours": ours, "theirs": theirs})
    recorded = list(csv.DictReader(RECORDED.read_text(encoding="utf-8").splitlines()))
    if found != recorded:
        FOUND.parent.mkdir(exist_ok=True)
        with FOUND.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(found)
    assert found == recorded, f"what was found is in {FOUND}"
