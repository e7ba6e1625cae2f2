"""What oneofs add: at most one of their fields is there, and a reader asks which."""

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from mainstem.schemas.compatibility import Difference
from mainstem.schemas.protobuf.kinds import sample


def oneof_differences(writer: Descriptor, reader: Descriptor, path: str) -> Iterator[Difference]:
    """What a reader's oneofs lose of what a writer writes."""
    known = {each.number: each for each in reader.fields}
    for oneof in writer.oneofs:
        kept = [known[each.number] for each in oneof.fields if each.number in known]
        if not any(each.containing_oneof is not None for each in kept):
            continue  # taken away as a whole, or made plain fields
        for field in oneof.fields:
            if field.number not in known:
                yield Difference(
                    f"{path}.{oneof.name}.{field.name}",
                    "ONEOF_FIELD_REMOVED",
                    f"where {field.name} is written, the reader finds nothing in its oneof",
                    writer=field.number,
                    counterexample=sample(field),
                )
    written = {each.number: each for each in writer.fields}
    for oneof in reader.oneofs:
        yield from _lost(
            path, str(oneof.name), [written[each.number] for each in oneof.fields if each.number in written]
        )


def _lost(path: str, name: str, fields: list[FieldDescriptor]) -> Iterator[Difference]:
    """The first two fields that a writer can write both, and that lie in one oneof for the reader."""
    for other in fields[1:]:
        one = fields[0]  # of any two that can both be written, one can be with the first
        oneof, another = one.containing_oneof, other.containing_oneof
        if oneof is None or another is None or oneof.name != another.name:
            both_plain = oneof is None and another is None
            yield Difference(
                f"{path}.{name}",
                "MULTIPLE_FIELDS_MOVED_TO_ONEOF" if both_plain else "FIELD_MOVED_TO_EXISTING_ONEOF",
                f"{one.name} and {other.name} can both be written, and the reader keeps one of them",
                writer=[one.name, other.name],
                reader=name,
                counterexample=f"{sample(one)} {sample(other)}",
            )
            return
