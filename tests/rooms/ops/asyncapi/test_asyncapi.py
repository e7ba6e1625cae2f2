"""What services are described as, and the page that shows it."""

import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from click.testing import CliRunner
from msgspec import Struct

from examples.flights.delays import delays
from examples.flights.flights import flights
from examples.flights.hotels import hotels
from examples.flights.notices import notices
from mainstem import Context, DomainEvent, IntegrationEvent, Service, Topic
from mainstem.ops.asyncapi import document_of, page_of
from mainstem.ops.program import mainstem
from mainstem.service import outlines_of

OFFICIAL = json.loads(Path(__file__).with_name("asyncapi-3.1.0.json").read_text())


class Line(Struct):
    """What is bought."""

    sku: str
    count: int = 1


class Placed(IntegrationEvent, topic="orders", key=("shop", "number"), namespace="Shop", version=2):
    """An order has come in. <b>Not</b> paid yet.

    It may still be cancelled.
    """

    shop: str
    number: int
    lines: list[Line]
    place: tuple[float, float] | None = None


class Noted(DomainEvent, topic="notes", service="shop"):
    text: str


@dataclass
class Parcel:
    code: str


class Weighed(IntegrationEvent, topic="weights", format="avro", schema_id="prefix", subject="topic"):
    grams: int


class Sorted(IntegrationEvent, topic="sorted", schema_id="header", envelope="structured"):
    code: str


parcels = Topic("their.parcels", Parcel, key="code", envelope=None)
shop = Service("shop")
desk = shop.group("desk")
post = Service("post", publishes=(parcels,))
scales = Service("scales", publishes=(Weighed, Sorted))
shop.topic("orders", partitions=3, retention="7d", retention_bytes=10_000_000)
shop.topic("notes", partitions=1, compact=True)


@shop.on(Placed)
async def note(order: Placed, context: Context) -> Noted:
    """Remember that somebody has ordered."""
    return Noted(str(order.number))


@desk.on(Noted)
async def show(noted: Noted, context: Context) -> None:
    """Show it."""


@post.on(Placed)
async def pack(order: Placed, context: Context) -> None:
    """Pack it."""


def described(*services: Service) -> dict[str, object]:
    """Their document."""
    return document_of(outlines_of(services), "a system", "1.0")


@pytest.mark.parametrize("services", [(shop,), (post,), (scales,), (shop, post), (flights, delays, hotels, notices)])
def test_it_is_a_document_of_asyncapi(services: tuple[Service, ...]) -> None:
    """By the official schema; and what it refers to is there."""
    document = described(*services)
    jsonschema_rs.validate(OFFICIAL, document)
    for reference in re.findall(r'"\$ref": "(#[^"]+)"', json.dumps(document)):
        found: object = document
        for step in reference.removeprefix("#/").split("/"):
            assert isinstance(found, dict), reference
            found = found[step]


def test_bytes_and_subjects_are_said() -> None:
    """In which format a payload is, where the id of its schema stands, and how its subject is named."""
    messages = json.loads(json.dumps(described(scales)))["components"]["messages"]
    weighed, sorted_out = messages["Weighed"], messages["Sorted"]
    assert (weighed["contentType"], weighed["bindings"]["kafka"]) == (
        "application/avro",
        {"schemaLookupStrategy": "TopicNameStrategy", "schemaIdLocation": "payload", "schemaIdPayloadEncoding": "4"},
    )
    assert (sorted_out["contentType"], sorted_out["bindings"]["kafka"]) == (
        "application/cloudevents+json; charset=UTF-8",
        {"schemaLookupStrategy": "RecordNameStrategy", "schemaIdLocation": "header"},
    )


def test_what_is_declared_is_said() -> None:
    """Topics, keys, kinds, versions, owners and words; what several services use is said once."""
    document = json.loads(json.dumps(described(shop, post)))
    orders = document["channels"]["orders"]
    assert orders["bindings"]["kafka"] == {
        "topic": "orders",
        "partitions": 3,
        "topicConfiguration": {
            "cleanup.policy": ["delete"],
            "retention.ms": 604_800_000,
            "retention.bytes": 10_000_000,
        },
    }
    placed = document["components"]["messages"]["Shop.Placed.v2"]
    assert (placed["x-mainstem-kind"], placed["x-mainstem-version"]) == ("integration", 2)
    assert placed["summary"] == "An order has come in. <b>Not</b> paid yet."
    assert placed["bindings"]["kafka"]["key"]["contentMediaType"] == "application/json"
    assert document["components"]["messages"]["Noted"]["x-mainstem-owner"] == "shop"
    assert "headers" not in document["components"]["messages"]["Parcel"]
    assert set(document["operations"]) == {
        "shop.note.receive.orders",
        "shop.note.send.notes",
        "shop.show.receive.notes",
        "post.pack.receive.orders",
        "post.send.their.parcels",
    }
    assert document["operations"]["shop.show.receive.notes"]["tags"] == [{"name": "shop"}, {"name": "shop.desk"}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "avro"}, "application/avro"),
        ({"format": "avro", "envelope": None}, "application/avro"),
        ({"format": "json"}, "application/json"),
        ({"envelope": "structured"}, "application/cloudevents+json; charset=UTF-8"),
    ],
)
def test_a_message_says_what_is_on_the_wire(options: dict[str, Any], said: str) -> None:
    """Its content type is the one that its records have."""
    sender = Service("sender", publishes=(Topic("parcels", Parcel, **options),))
    document = json.loads(json.dumps(described(sender)))
    assert document["components"]["messages"]["Parcel"]["contentType"] == said


def test_a_payload_is_in_the_words_of_draft_07() -> None:
    """Which are those of AsyncAPI: a tuple is ``items``, and definitions stand with all others."""
    schemas = json.loads(json.dumps(described(shop)))["components"]["schemas"]
    fields = schemas["Shop.Placed.v2"]["properties"]
    assert fields["lines"]["items"] == {"$ref": "#/components/schemas/Shop.Placed.v2.Line"}
    (pair,) = [each for each in fields["place"]["anyOf"] if each.get("type") == "array"]
    assert [each["type"] for each in pair["items"]] == ["number", "number"]
    assert "$defs" not in json.dumps(schemas)


class Page(HTMLParser):
    """What of a page counts: what it loads, where its links lead, and its places."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.bold: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.loads += [given[name] for name in ("src", "srcset") if name in given] + [tag] * (tag in ("link", "iframe"))
        self.links |= {given["href"]} if "href" in given else set()
        self.places |= {given["id"]} if "id" in given else set()
        self.bold += [tag] if tag == "b" else []


def test_a_page_needs_nothing_else() -> None:
    """It loads nothing, its links lead to places in it, and what is described cannot become a part of the page."""
    text = page_of(described(shop, post))
    page = Page(text)
    assert page.loads == []
    assert page.links
    assert {link.removeprefix("#") for link in page.links} <= page.places
    assert len(page.bold) == 3, "one for each topic, and none of the words of a type"
    assert "url(" not in text
    assert "http" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_a_page_shows_fields() -> None:
    """With what is in them, what is required, and what stands for what is left out."""
    text = page_of(described(shop))
    rows = re.findall(r"<tr><td><code>(.*?)</code></td><td>(.*?)</td><td>(.*?)</td>", text)
    assert ("lines[].sku", "string", "required") in rows
    assert ("lines[].count", "integer", "default: 1") in rows
    assert ("place", "[number, number] or null", "default: null") in rows


def test_a_document_ends_no_element() -> None:
    """Whatever stands in it: it is embedded, for whoever saves the page."""
    document = described(shop)
    document["x-said"] = "</script><script>alert(1)</script>"
    assert page_of(document).count("</script>") == 2


def test_the_command_writes_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON to standard output, or a page to a file."""
    (tmp_path / "till.py").write_text("from mainstem import Service\ntill = Service('till')\n")
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(mainstem, ["asyncapi", "till:till", "--release", "2.1"])
    assert json.loads(said.stdout)["info"] == {"title": "till", "version": "2.1", "tags": [{"name": "till"}]}
    lost = CliRunner().invoke(mainstem, ["asyncapi", "till:till", "--html", "nowhere/page.html"])
    assert (lost.exit_code, "there is no folder 'nowhere' for it" in lost.stderr) == (2, True)
    written = CliRunner().invoke(mainstem, ["asyncapi", "till:till", "--html", "page.html"])
    assert written.exit_code == 0, written.output
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
