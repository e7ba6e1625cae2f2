"""From an event to a message: what its class takes, made field by field."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from operator import attrgetter
from typing import TypeAlias, cast

from mainstem.schemas.protobuf.types.scalars import Write, write_text, writer_of_choice, writer_of_moment
from mainstem.schemas.protobuf.types.shapes import Choice, Held, Member, Moment, Outline, Record, Scalar

Content: TypeAlias = dict[str, object]
"""What the class of a message takes; ``None`` stands for what is not written."""

WriteRecord: TypeAlias = Callable[[object], Content]


def writer_of(outline: Outline) -> WriteRecord:
    """What makes the content of a message of an event. It raises as the codec of JSON does, and for a wrong type."""
    return _Writers().record(outline.root)


class _Writers:
    """A writer for each record; one that holds itself finds its own."""

    def __init__(self) -> None:
        self._made: dict[str, WriteRecord] = {}

    def record(self, record: Record) -> WriteRecord:
        if record.name in self._made:
            return self._made[record.name]
        made: list[WriteRecord] = []

        def later(value: object) -> Content:
            return made[0](value)

        self._made[record.name] = later
        names = tuple(field.name for field in record.fields)
        get = _values(tuple(field.attribute for field in record.fields))
        changed = [(field.name, write) for field in record.fields if (write := self._field(field)) is not None]
        oneofs = [(field.name, self._oneof(field)) for field in record.fields if field.label == "oneof"]

        def write_record(value: object) -> Content:
            content = dict(zip(names, get(value), strict=True))
            for name, write in changed:
                content[name] = write(content[name])
            for name, choose in oneofs:
                content |= choose(content.pop(name))
            return content

        made.append(write_record)
        self._made[record.name] = write_record
        return write_record

    def _field(self, field: Member) -> Write | None:
        """What changes the value of a field; none where it is written as it is, also by the items of a list."""
        write = self._held(field.held) if field.held is not None else None
        if field.label == "map":
            return _map_writer(write, field.key is not None and field.key.form != "plain")
        if field.label == "repeated":
            return _as_list if write is None else _list_writer(write)
        return write

    def _held(self, held: Held) -> Write | None:
        match held:
            case Scalar():
                return None if held.form == "plain" else write_text
            case Moment():
                return writer_of_moment(held)
            case Choice():
                return writer_of_choice(held)
            case Record():
                write = self.record(held)
                return lambda value: None if value is None else _of_kind(held, value, write)

    def _oneof(self, field: Member) -> WriteRecord:
        writers = {each.kind: (each.name, self._held(each.held)) for each in field.alternatives}

        def choose(value: object) -> Content:
            if value is None:
                return {}
            found = writers.get(type(value)) or _nearest(writers, value)
            if found is None:
                message = f"{field.name} holds a {type(value).__name__}, which is none of its alternatives"
                raise TypeError(message)
            name, write = found
            return {name: value if write is None else write(value)}

        return choose


def _nearest(writers: Mapping[type, tuple[str, Write | None]], value: object) -> tuple[str, Write | None] | None:
    return next((found for kind, found in writers.items() if isinstance(value, kind)), None)


def _of_kind(held: Record, value: object, write: WriteRecord) -> Content:
    if not isinstance(value, held.kind):
        message = f"a {held.kind.__name__} is expected, and a {type(value).__name__} found"
        raise TypeError(message)
    return write(value)


def _values(attributes: tuple[str, ...]) -> Callable[[object], Iterable[object]]:
    """Several attributes of a value at once, always as a row."""
    if len(attributes) > 1:
        return attrgetter(*attributes)
    return lambda value: [getattr(value, name) for name in attributes]


def _as_list(value: object) -> object:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        message = f"several items are expected, and a {type(value).__name__} found"
        raise TypeError(message)
    if isinstance(value, AbstractSet):
        with suppress(TypeError):  # as members of an enum, which have no order
            return sorted(value)
    return list(value)


def _list_writer(write: Write) -> Write:
    return lambda value: [write(each) for each in cast("list[object]", _as_list(value))]


def _map_writer(write: Write | None, text_keys: bool) -> Write:  # noqa: FBT001 - a fact about the keys
    def write_map(value: object) -> object:
        if not isinstance(value, Mapping):
            message = f"a dict is expected, and a {type(value).__name__} found"
            raise TypeError(message)
        return {str(key) if text_keys else key: each if write is None else write(each) for key, each in value.items()}

    return write_map
