"""Records that say which schema their payload has: before it, or in a header."""

import json

import msgspec
import pytest

from mainstem.delivery import Outputs
from mainstem.errors import DecodingFailed, DefinitionError
from mainstem.events import Declaration, IntegrationEvent, Topic, declaration_of
from mainstem.schemas import SchemaMark, mark_in_play, owned_schema, subject_of
from mainstem.schemas.registries import LockFile, Registered, mark_of
from mainstem.schemas.upcasting import check_chain, reading_of, rename

GUID = "89791762-2336-4186-9674-299b90a802e2"


class Paid(IntegrationEvent, topic="orders", schema_id="prefix", version=2):
    order: str


class Sent(IntegrationEvent, topic="orders", schema_id="header"):
    order: str


class Row(msgspec.Struct):
    order: str


Paid.upcast(1, rename("id", "order"))
PAID, SENT = declaration_of(Paid), declaration_of(Sent)


def locked(declaration: Declaration, guid: str | None = GUID) -> LockFile:
    """A lock file that knows the schema of a type, as number 258."""
    return LockFile().with_registered(
        [Registered(subject_of(declaration), 1, 258, owned_schema(declaration, "shop"), guid)]
    )


def written(declaration: Declaration, event: object, mark: SchemaMark) -> tuple[bytes, dict[str, bytes]]:
    """Value and headers of a record."""
    outputs = Outputs([declaration], {"orders": 1}, "/shop", marks={declaration: mark}, read_back=True)
    _, record = outputs.fact(event, "0" * 12, {}, 1)
    assert record.value is not None
    return record.value, {**record.common, **record.own}


def test_a_prefix_stands_before_the_payload() -> None:
    """A nought, and the id in four bytes; who declares it reads what is behind it."""
    value, headers = written(PAID, Paid("o-1"), mark_of(PAID, "shop", locked(PAID)))
    assert value == b'\x00\x00\x00\x01\x02{"order":"o-1"}'
    assert "__value_schema_id" not in headers
    assert reading_of(PAID).decoder(b"2")(value) == Paid("o-1")


def test_a_header_leaves_the_payload_alone() -> None:
    """It has the GUID, and whoever looks at the value alone reads JSON."""
    value, headers = written(SENT, Sent("o-1"), mark_of(SENT, "shop", locked(SENT)))
    assert json.loads(value) == {"order": "o-1"}
    assert headers["__value_schema_id"] == b"\x01" + bytes.fromhex(GUID.replace("-", ""))
    assert headers["ce_type"] == b"Sent"


@pytest.mark.parametrize(
    ("version", "payload"),
    [
        (b"2", b'{"order":"o-1"}'),
        (b"2", b'\x00\x00\x00\x00\x07{"order":"o-1"}'),
        (b"2", b"\x01" + bytes(16) + b'{"order":"o-1"}'),
        (b"1", b'\x00\x00\x00\x00\x07{"id":"o-1"}'),
        (None, b'{"id":"o-1"}'),
    ],
)
def test_json_is_read_with_and_without_an_id(version: bytes | None, payload: bytes) -> None:
    """No JSON begins like a prefix, so both are read, of every version, whichever way is declared."""
    assert reading_of(PAID).decoder(version)(payload) == Paid("o-1")


def test_a_prefix_that_ends_too_early_is_told() -> None:
    """A record that was cut off is a dead letter as any other."""
    with pytest.raises(DecodingFailed, match="framing ends after 3 bytes"):
        reading_of(PAID).decoder(b"2")(b"\x00\x00\x01")


def test_a_topic_without_an_envelope_carries_the_id_alone() -> None:
    """Its records get no attributes of ours with it."""
    topic = declaration_of(Topic("orders", Row, envelope=None, schema_id="header"))
    _, headers = written(topic, Row("o-1"), mark_in_play(topic))
    assert list(headers) == ["__value_schema_id"]


@pytest.mark.parametrize(("declaration", "guid"), [(PAID, GUID), (SENT, None)])
def test_an_id_that_nobody_knows_stops_the_start(declaration: Declaration, guid: str | None) -> None:
    """The lock file has to have the schema as it is now, and a GUID where the header carries one."""
    with pytest.raises(DefinitionError, match="nobody knows that"):
        mark_of(declaration, "shop", LockFile())
    if guid is None:
        with pytest.raises(DefinitionError, match="has no GUID"):
            mark_of(declaration, "shop", locked(declaration, None))


def test_a_schema_that_has_changed_since_is_another() -> None:
    """An id is that of a text: after a change it has to be registered again."""
    grown = msgspec.defstruct("Sent", [("order", str), ("note", str, "")])
    other = declaration_of(Topic("orders", grown, schema_id="prefix"))
    with pytest.raises(DefinitionError, match="with the schema as it is now"):
        mark_of(other, "shop", locked(SENT))


def test_what_wants_no_id_has_no_mark() -> None:
    """Nothing is looked up for it."""
    plain = declaration_of(Topic("orders", Row))
    assert mark_of(plain, "shop", LockFile()) == mark_in_play(plain) == SchemaMark()


def test_steps_from_older_avro_need_an_id() -> None:
    """Without its writer's schema it would be read as something else, and the id names that."""
    named = Topic("orders", Row, format="avro", schema_id="prefix", version=2)
    named.upcast(1, rename("id", "order"))
    check_chain(named.declaration)
    stepped = Topic("orders", Row, format="avro", version=2)
    stepped.upcast(1, rename("id", "order"))
    with pytest.raises(DefinitionError, match="is Avro without the id of its schema, and has steps"):
        check_chain(stepped.declaration)
