"""From a message to an event: what its fields hold, given to its class."""

import inspect
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import TypeAlias, cast

from google.protobuf.message import Message
from msgspec import UNSET, Struct

from mainstem.schemas.protobuf.types.scalars import (
    Read,
    missing,
    reader_of_choice,
    reader_of_moment,
    reader_of_text,
)
from mainstem.schemas.protobuf.types.shapes import Choice, Held, Member, Moment, Outline, Record, Scalar

ReadMessage: TypeAlias = Callable[[Message], object]
Change: TypeAlias = Callable[[Message, object], object]
"""What makes the value of a field of what the message has there."""
Make: TypeAlias = Callable[[Iterable[object]], object]
"""What makes an object of the values of its fields, in their order."""
Collection: TypeAlias = Callable[[list[object]], object]
"""What makes one value of several items."""


def reader_of(outline: Outline) -> ReadMessage:
    """What makes an event of a message. It raises ``ValidationError`` for what its type does not take."""
    return _Readers(_maker, _refusal, lambda field: field.collection).record(outline.root)


def plain_reader_of(outline: Outline) -> ReadMessage:
    """What makes plain data of a message, by names on the wire; what was not written is left out of it."""
    return _Readers(_plain_maker, _absence, lambda _: list).record(outline.root)


class _Readers:
    """A reader for each record; one that holds itself finds its own.

    ``maker`` gives what makes a value of a record, ``otherwise`` what makes the value of a field that was not written,
    ``collection`` what makes one value of several items.
    """

    def __init__(
        self,
        maker: Callable[[Record], Make],
        otherwise: Callable[[Member, str], Callable[[], object]],
        collection: Callable[[Member], Collection],
    ) -> None:
        self._maker = maker
        self._otherwise = otherwise
        self._collection = collection
        self._made: dict[str, ReadMessage] = {}

    def record(self, record: Record) -> ReadMessage:
        if record.name in self._made:
            return self._made[record.name]
        made: list[ReadMessage] = []

        def later(message: Message) -> object:
            return made[0](message)

        self._made[record.name] = later
        made.append(self._reader(record))
        self._made[record.name] = made[0]
        return made[0]

    def _reader(self, record: Record) -> ReadMessage:
        """One look at all fields in C, and then those that are something else in Python than on the wire."""
        make = self._maker(record)
        get = _values([_attribute(each) for each in record.fields])
        changes = [
            (index, change)
            for index, field in enumerate(record.fields)
            if (change := self._change(field, record.name)) is not None
        ]
        if not changes:
            return lambda message: make(get(message))

        def read_record(message: Message) -> object:
            values = list(get(message))
            for index, change in changes:
                values[index] = change(message, values[index])
            return make(values)

        return read_record

    def _change(self, field: Member, owner: str) -> Change | None:
        if field.label == "oneof":
            return self._oneof(field, owner)
        if _is_plain(field):
            return None
        assert field.held is not None
        place = f"{owner}.{field.name}"
        read = self._held(field.held, place)
        if field.label == "map":
            return _map_change(field, read, place)
        if field.label == "repeated":
            return _list_change(self._collection(field), read)
        default = self._otherwise(field, owner)
        if isinstance(field.held, Scalar | Choice) and field.label == "single":
            return _zero_change(read, default)
        return _presence_change(field.name, read, default)

    def _held(self, held: Held, place: str) -> Read | None:
        match held:
            case Scalar():
                return None if held.form == "plain" else reader_of_text(held.form, place)
            case Moment():
                return reader_of_moment(held, place)
            case Choice():
                return reader_of_choice(held, place)
            case Record():
                return cast("Read", self.record(held))

    def _oneof(self, field: Member, owner: str) -> Change:
        readers = {each.name: self._held(each.held, f"{owner}.{each.name}") for each in field.alternatives}
        default = self._otherwise(field, owner)

        def choose(message: Message, _: object) -> object:
            name = message.WhichOneof(field.name)
            if name is None:
                return default()
            value, read = getattr(message, name), readers[name]
            return value if read is None else read(value)

        return choose


def _attribute(field: Member) -> str:
    """A name that the message has: a oneof has none of its own there."""
    return field.alternatives[0].name if field.label == "oneof" else field.name


def _values(names: list[str]) -> Callable[[Message], Iterable[object]]:
    """Several fields of a message at once, always as a row."""
    if len(names) > 1:
        return cast("Callable[[Message], Iterable[object]]", attrgetter(*names))
    return lambda message: [getattr(message, name) for name in names]


def _is_plain(field: Member) -> bool:
    return field.label == "single" and isinstance(field.held, Scalar) and field.held.form == "plain"


def _absence(field: Member, owner: str) -> Callable[[], object]:  # noqa: ARG001 - it is the same for all
    return lambda: UNSET


def _refusal(field: Member, owner: str) -> Callable[[], object]:
    if field.default is not None:
        return field.default

    def refuse() -> object:
        raise missing(field.name, owner)

    return refuse


def _list_change(collection: Collection, read: Read | None) -> Change:
    if read is None:
        return lambda _, values: collection(list(cast("list[object]", values)))
    return lambda _, values: collection([read(each) for each in cast("list[object]", values)])


def _presence_change(name: str, read: Read | None, default: Callable[[], object]) -> Change:
    def present(message: Message, value: object) -> object:
        if not message.HasField(name):
            return default()
        return value if read is None else read(value)

    return present


def _zero_change(read: Read | None, default: Callable[[], object]) -> Change:
    # 0 and "" are what is there when nothing was written.
    def not_zero(_: Message, value: object) -> object:
        if not value:
            return default()
        return value if read is None else read(value)

    return not_zero


def _map_change(field: Member, read: Read | None, place: str) -> Change:
    key = field.key
    read_key = reader_of_text(key.form, f"{place}{{key}}") if key is not None and key.form != "plain" else None

    def read_map(_: Message, values: object) -> object:
        return {
            each if read_key is None else read_key(each): value if read is None else read(value)
            for each, value in cast("dict[object, object]", values).items()
        }

    return read_map


def _plain_maker(record: Record) -> Make:
    names = [each.name for each in record.fields]
    tag = _tag_of(record.kind)
    return lambda values: tag | {name: value for name, value in zip(names, values, strict=True) if value is not UNSET}


def _tag_of(kind: type[object]) -> dict[str, object]:
    """What tells a struct from the other alternatives of a union, in JSON."""
    config = kind.__struct_config__ if issubclass(kind, Struct) else None
    return {config.tag_field: config.tag} if config is not None and config.tag_field is not None else {}


def _maker(record: Record) -> Make:
    kind = cast("Callable[..., object]", record.kind)
    attributes = tuple(each.attribute for each in record.fields)
    validate = getattr(record.kind, "model_validate", None)
    if callable(validate):
        return lambda values: validate(dict(zip(attributes, values, strict=True)), by_alias=False, by_name=True)
    taken = tuple(inspect.signature(record.kind).parameters.values())
    positional = all(each.kind is each.POSITIONAL_OR_KEYWORD for each in taken)
    if positional and tuple(each.name for each in taken) == attributes:
        return lambda values: kind(*values)
    return lambda values: kind(**dict(zip(attributes, values, strict=True)))
