"""Numbers that were taken out of use: whoever has one for the same name means another thing by now."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto

_BEYOND: Final = 1 << 32


class Ranges:
    """Ranges of numbers, each with the first that lies in it and the first that does not any more."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self._ranges = sorted(ranges)

    def __contains__(self, number: int) -> bool:
        index = bisect_right(self._ranges, (number, _BEYOND)) - 1
        return index >= 0 and number < self._ranges[index][1]


def reserved_numbers(message: Descriptor) -> Ranges:
    """The reserved numbers of a message."""
    plain = DescriptorProto()
    message.CopyToProto(plain)
    return Ranges((each.start, each.end) for each in plain.reserved_range)


def reserved_values(enum: EnumDescriptor) -> Ranges:
    """The reserved numbers of an enum."""
    plain = EnumDescriptorProto()
    enum.CopyToProto(plain)
    return Ranges((each.start, each.end + 1) for each in plain.reserved_range)
