"""What is said about a pair of schemas."""

from typing import Literal, Protocol, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from mainstem.schemas.documents import Resolved, Schema

Outcome: TypeAlias = Literal["compatible", "incompatible", "not provable"]
"""``not provable`` is refused like ``incompatible``: a verdict is sound, and need not be complete."""

Policy: TypeAlias = Literal["STRICT", "LENIENT"]
"""STRICT takes a JSON Schema's open or closed content model at its word. LENIENT asks whether every instance that the
writer writes (its schema closed) is accepted by the reader (its schema opened). Other formats know no difference."""


class Difference(Struct, frozen=True):
    """One reason why a reader cannot read what a writer writes, or why that cannot be shown.

    ``path`` is the place in the schema, as a JSON pointer (Avro, JSON Schema) or a dotted name (Protobuf). ``rule`` is
    stable and documented. ``writer`` and ``reader`` are the two values that differ there, as plain data.
    ``counterexample`` is an instance that the writer may write and the reader refuses, where one could be made.
    """

    path: str
    rule: str
    message: str
    writer: object = None
    reader: object = None
    outcome: Outcome = "incompatible"
    counterexample: object | UnsetType = UNSET


class Verdict(Struct, frozen=True):
    """Whether every instance of the writer's schema can be read with the reader's; with all reasons why not."""

    differences: tuple[Difference, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst of all."""
        said = {each.outcome for each in self.differences}
        return "incompatible" if "incompatible" in said else "not provable" if said else "compatible"

    @property
    def compatible(self) -> bool:
        """Whether it has been shown."""
        return not self.differences


class Differ(Protocol):
    """Compares two schemas of one format."""

    def __call__(self, writer: Schema, reader: Schema, resolved: tuple[Resolved, Resolved], policy: Policy) -> Verdict:
        """Whether ``reader`` reads what ``writer`` writes. ``resolved`` has the references of each.

        Raises :class:`~mainstem.errors.SchemaRefused` where one of them is no schema.
        """
        ...
