"""What enums add: names stand for numbers, and a closed one knows no others."""

from collections.abc import Iterator

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import EnumDescriptorProto

from mainstem.schemas.compatibility import Difference
from mainstem.schemas.protobuf.kinds import changed, enum_of


def enum_differences(
    writer: FieldDescriptor, reader: FieldDescriptor, path: str, *, same_name: bool
) -> Iterator[Difference]:
    """Why a field that is an enum for both cannot be read. Another enum may have the same names and numbers."""
    one, other = enum_of(writer), enum_of(reader)
    names = {each.name: each.number for each in other.values}
    if not same_name and any(names.get(each.name) != each.number for each in one.values):
        yield changed("FIELD_NAMED_TYPE_CHANGED", path, writer, reader)
        return
    for value in one.values:
        if names.get(value.name, value.number) != value.number and not _retired(one, other, value.name):
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


def _retired(writer: EnumDescriptor, reader: EnumDescriptor, name: str) -> bool:
    """Whether one of two enums has taken the other's number of a value out of use."""
    plain, other = EnumDescriptorProto(), EnumDescriptorProto()
    writer.CopyToProto(plain)
    reader.CopyToProto(other)
    was, now = writer.values_by_name[name].number, reader.values_by_name[name].number
    return any(each.start <= was <= each.end for each in other.reserved_range) or any(
        each.start <= now <= each.end for each in plain.reserved_range
    )
