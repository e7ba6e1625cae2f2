"""What is stated about an event type beside its name and its route."""

import enum
import types
from dataclasses import dataclass

import msgspec
import pytest

from mainstem.errors import DefinitionError
from mainstem.events import IntegrationEvent, Topic, common_headers, declaration_of, fallback_of
from mainstem.schemas import fallback


@fallback("OTHER")
class Channel(enum.StrEnum):
    WEB = "web"
    OTHER = "other"


class Placed(IntegrationEvent, topic="orders", version=3, oldest=2, format="json", schema_id="header"):
    order_id: str
    channel: Channel = Channel.WEB


@dataclass
class Reading:
    celsius: float


def keep(data: dict[str, object]) -> dict[str, object]:
    """A step that changes nothing."""
    return data


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ({"oldest": 3, "version": 2}, "oldest=3"),
        ({"oldest": 0}, "oldest=0"),
        ({"oldest": True}, "oldest=True"),
        ({"format": "xml"}, "format='xml'"),
        ({"schema_id": "value"}, "schema_id='value'"),
    ],
)
def test_what_cannot_be_stated_is_refused_at_once(line: dict[str, object], what: str) -> None:
    """A form or an oldest version that cannot be is refused where the type or the topic is declared."""
    with pytest.raises(DefinitionError, match=what):
        types.new_class("Bad", (IntegrationEvent,), {"topic": "t", **line})
    with pytest.raises(DefinitionError, match=what):
        Topic("t", Reading, **line)  # type: ignore[arg-type]


def test_a_declaration_has_what_is_stated() -> None:
    """Class line and Topic take the same words, with the same meaning; JSON without an id is the default."""
    placed = declaration_of(Placed)
    assert (placed.oldest, placed.format, placed.schema_id) == (2, "json", "header")
    topic = declaration_of(Topic("t", Reading, version=2, oldest=2, format="avro", schema_id="prefix"))
    assert (topic.oldest, topic.format, topic.schema_id) == (2, "avro", "prefix")
    plain = declaration_of(Topic("t", Reading))
    assert (plain.oldest, plain.format, plain.schema_id) == (1, "json", None)


@pytest.mark.parametrize(
    ("form", "content"),
    [("json", b"application/json"), ("avro", b"application/avro"), ("protobuf", b"application/protobuf")],
)
def test_the_content_type_says_the_format(form: str, content: bytes) -> None:
    """Whoever reads the headers knows which format the payload has."""
    declaration = declaration_of(Topic("t", Reading, format=form))  # type: ignore[arg-type]
    assert common_headers(declaration, "/plant")["content-type"] == content


def test_an_unknown_value_is_read_as_the_fallback() -> None:
    """A decoder gives the declared member for a text that the enum does not know, and only for a text."""
    assert msgspec.json.decode(b'["web","telex"]', type=list[Channel]) == [Channel.WEB, Channel.OTHER]
    assert fallback_of(Channel) is Channel.OTHER
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b"7", type=Channel)


def test_a_fallback_is_a_member() -> None:
    """A name that the enum does not have is refused, and so is a second idea of unknown values."""
    with pytest.raises(DefinitionError, match="no member 'TELEX'"):

        @fallback("TELEX")
        class _Lines(enum.StrEnum):
            WEB = "web"

    class Own(enum.StrEnum):
        WEB = "web"

        @classmethod
        def _missing_(cls, _: object) -> "Own":
            return cls.WEB

    with pytest.raises(DefinitionError, match="says itself"):
        fallback("WEB")(Own)
    assert fallback_of(Own) is None
    assert fallback_of(str) is None


def test_steps_begin_at_an_older_version() -> None:
    """A step from the current version, from one that is not read, or from one that has steps already is refused."""

    class Shipped(IntegrationEvent, topic="orders", version=3, oldest=2):
        order_id: str

    for version in (0, 1, 3, 4, True, "2"):
        with pytest.raises(DefinitionError, match="does not start from an older version"):
            Shipped.upcast(version, keep)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="names no step"):
        Shipped.upcast(2, "rename")  # type: ignore[call-overload]
    Shipped.upcast(2, keep)
    with pytest.raises(DefinitionError, match="version 2 has its steps already"):
        Shipped.upcast(2, keep)
    assert declaration_of(Shipped).upcasts.steps == {2: (keep,)}


def test_a_step_can_be_decorated() -> None:
    """Without steps it decorates the function, which stays what it was; a Topic does the same."""
    topic = Topic("t", Reading, version=2)

    @topic.upcast(1)
    def kelvin(data: dict[str, object]) -> dict[str, object]:
        return data

    assert kelvin({}) == {}
    assert topic.declaration.upcasts.steps == {1: (kelvin,)}
    with pytest.raises(DefinitionError, match="has no topic"):
        IntegrationEvent.upcast(1, keep)


def test_versions_that_nobody_can_tell_apart_have_no_steps() -> None:
    """A topic without an envelope does not say which version a record is of."""
    with pytest.raises(DefinitionError, match="tell the versions of Reading apart"):
        Topic("t", Reading, version=2, envelope=None).upcast(1, keep)


def test_two_equal_declarations_are_one() -> None:
    """The steps count, so that whoever remembers something of a declaration does not take it for another."""
    one, other = Topic("t", Reading, version=2), Topic("t", Reading, version=2)
    assert (one.declaration, hash(one.declaration)) == (other.declaration, hash(other.declaration))
    other.upcast(1, keep)
    assert one.declaration != other.declaration
