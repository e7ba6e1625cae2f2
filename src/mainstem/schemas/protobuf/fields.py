"""The fields that the message of a .proto file names, each with its place."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from mainstem.schemas.compatibility import FIELDS_MOST, Fields, inner
from mainstem.schemas.documents import Schema
from mainstem.schemas.protobuf.files import linked
from mainstem.schemas.protobuf.kinds import entry_of, is_map


def fields_of(schema: Schema) -> Fields:
    """The fields of the first message, by message and field, as in ``Order.Line.sku``, without the package.

    Raises :class:`~mainstem.errors.SchemaRefused` for what is no schema.
    """
    file = linked(schema, {}).descriptor
    messages = list(file.message_types_by_name.values())
    found: dict[str, dict[str, None]] = {}
    waiting: list[tuple[Descriptor, str, frozenset[str]]] = [(each, "", frozenset()) for each in messages[:1]]
    count = 0
    while waiting and count < FIELDS_MOST:
        message, field, within = waiting.pop()
        name = str(message.full_name)
        if name in within:
            continue
        for each in message.fields:
            place = f"{name.removeprefix(f'{file.package}.')}.{each.name}"
            named = inner(field, str(each.name))
            found.setdefault(place, {})[named] = None
            count += 1
            held, ending = _held(each)
            if held is not None:
                waiting.append((held, named + ending, within | {name}))
    return {place: tuple(sorted(fields)) for place, fields in found.items()}


def _held(field: FieldDescriptor) -> tuple[Descriptor | None, str]:
    """The message that a field holds, if it does, and what that adds to its name."""
    if is_map(field):
        _, value = entry_of(field)
        return value.message_type, "{}"
    return field.message_type, "[]" if field.is_repeated else ""
