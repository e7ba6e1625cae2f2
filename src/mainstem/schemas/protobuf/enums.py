"""What enums add: names stand for numbers, and a closed one knows no others."""

from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor

from mainstem.schemas.compatibility import Difference
from mainstem.schemas.protobuf.kinds import changed, enum_of
from mainstem.schemas.protobuf.ranges import Ranges, reserved_values


def enum_differences(
    writer: FieldDescriptor, reader: FieldDescriptor, path: str, *, same_name: bool
) -> Iterator[Difference]:
    """Why a field that is an enum for both cannot be read. Another enum may have the same names and numbers."""
    one, other = enum_of(writer), enum_of(reader)
    names = {each.name: each.number for each in other.values}
    if not same_name and any(names.get(each.name) != each.number for each in one.values):
        yield changed("FIELD_NAMED_TYPE_CHANGED", path, writer, reader)
        return
    moved = [each for each in one.values if names.get(each.name, each.number) != each.number]
    kept, was_kept = (reserved_values(other), reserved_values(one)) if moved else (Ranges(()), Ranges(()))
    for value in moved:
        if value.number in kept or names[value.name] in was_kept:
            continue
        yield Difference(
            f"{path}.{value.name}",
            "ENUM_VALUE_NUMBER_CHANGED",
            f"{value.name} is written as {value.number}, which means something else to the reader",
            writer=value.number,
            reader=names[value.name],
            counterexample=f"{writer.name}: {value.name}",
        )
    unknown = [each for each in one.values if each.number not in other.values_by_number]
    if unknown and other.is_closed:
        yield Difference(
            path,
            "ENUM_VALUE_REMOVED",
            f"{unknown[0].name} gets lost: the reader's {other.name} is closed, and has no such number",
            writer=[each.name for each in one.values],
            reader=[each.name for each in other.values],
            counterexample=f"{writer.name}: {unknown[0].name}",
        )
