"""Steps hold for every instance of an older version's schema, not only for those that somebody has thought of."""

import enum
import json

import jsonschema_rs
import msgspec
from hypothesis import given, settings

from mainstem.events import Plain, Topic
from mainstem.schemas import fallback, schema_of
from mainstem.schemas.upcasting import default, drop, map_values, move, reading_of, rename, split, upcasted
from tests.rooms.schemas.instances import instances


class Way(enum.StrEnum):
    WWW = "www"
    TELEX = "telex"


@fallback("OTHER")
class Channel(enum.StrEnum):
    WEB = "web"
    OTHER = "other"


class LineFirst(msgspec.Struct):
    sku: str
    count: int
    price: float | None = None


class First(msgspec.Struct):
    client_id: str
    name: str
    city: str
    lines: list[LineFirst]
    way: Way = Way.WWW
    fax: str | None = None


class Line(msgspec.Struct):
    article: str
    count: int
    price_cents: int
    currency: str


class Address(msgspec.Struct):
    city: str


class Third(msgspec.Struct):
    customer_id: str
    first: str
    last: str
    address: Address
    lines: list[Line]
    channel: Channel


first = Topic("orders", First)
third = Topic("orders", Third, version=3)

third.upcast(
    1,
    rename("client_id", "customer_id"),
    split("name", ("first", "last"), missing=""),
    move("city", "address.city"),
    rename("lines[].sku", "article"),
    drop("fax"),
    rename("way", "channel"),
    map_values("channel", {"www": "web"}),
    default("channel", "web"),
    default("lines[].currency", "EUR"),
)


@third.upcast(2)
def in_cents(data: Plain) -> Plain:
    """A price that nobody knew was none."""
    lines = data["lines"]
    assert isinstance(lines, list)
    for line in lines:
        line["price_cents"] = round((line.pop("price", None) or 0.0) * 100)
    return data


OLD = json.loads(schema_of(first.declaration).text)
NEW = jsonschema_rs.validator_for(json.loads(schema_of(third.declaration).text) | {"additionalProperties": False})


@settings(max_examples=150, deadline=None)
@given(instances(OLD))
def test_every_instance_of_an_older_schema_becomes_one_of_the_newest(old: Plain) -> None:
    """The chain leaves nothing of the old form behind, and its reader takes what it makes.

    Prices are bounded by what an amount is: a number of 300 digits is no amount in cents.
    """
    lines = old["lines"]
    assert isinstance(lines, list)
    for line in lines:
        line["price"] = None if line.get("price") is None else min(max(line["price"], -1e9), 1e9)
    made = upcasted(third.declaration, 1, old)
    for problem in NEW.iter_errors(made):
        # Whoever reads an enum with a fallback takes any text; the schema names those that are known.
        assert list(problem.instance_path) == ["channel"], problem
    event = reading_of(third.declaration).decoder(None)(json.dumps(old).encode())
    assert isinstance(event, Third)
    assert event.channel == (Channel.WEB if old.get("way", "www") == "www" else Channel.OTHER)
    assert [line.article for line in event.lines] == [line["sku"] for line in lines]
