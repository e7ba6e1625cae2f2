"""Why a schema may not follow earlier ones, in words."""

import json

from mainstem.schemas.compatibility import Difference, Objection, shown, told
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import Linked, compare


def order(**properties: object) -> Linked:
    """An object with these properties, all required."""
    document = {"type": "object", "properties": properties, "required": list(properties)}
    return Linked(Schema(json.dumps(document), "JSON"), {})


def said(new: Linked, *earlier: Linked) -> list[str]:
    """What is told of a schema that follows others."""
    found = compare("FULL_TRANSITIVE", "LENIENT", new, earlier)
    return told((Objection(each.earlier + 1, each.reads, each.difference) for each in found), "FULL_TRANSITIVE")


def test_a_renamed_field_is_named() -> None:
    """Each direction names the field that is missing and who misses it; several versions are told in one line."""
    old, new = order(customer={"type": "string"}), order(customer_id={"type": "string"})
    backward = (
        '/required: the reader asks for a property that need not be there: "customer_id" (required-added); '
        'for example {"customer":""}; level FULL_TRANSITIVE: the new one is to read versions 1, 2'
    )
    forward = (
        '/required: the reader asks for a property that need not be there: "customer" (required-added); '
        'for example {"customer_id":""}; level FULL_TRANSITIVE: versions 1, 2 are to read the new one'
    )
    assert said(new, old, old) == [backward, forward]


def test_every_missing_field_is_named() -> None:
    """Two fields that a reader needs are two reasons."""
    old, new = order(a={"type": "string"}), order(a={"type": "string"}, b={"type": "string"}, c={"type": "string"})
    assert [reason.split(" (")[0].rsplit(" ", 1)[1] for reason in said(new, old)] == ['"b"', '"c"']


def test_values_and_types_are_named() -> None:
    """A member that a reader does not know is told, and both types of a field that has another one."""
    [member] = said(order(a={"enum": ["x"]}), order(a={"enum": ["x", "gone"]}))
    assert ': "gone" (enum-narrowed)' in member
    first, _ = said(order(a={"type": "integer"}), order(a={"type": "string"}))
    assert ': "integer" is read, and "string" is written (type-narrowed)' in first


def test_of_many_versions_some_are_listed() -> None:
    """A line stays one line."""
    difference = Difference("/a", "some-rule", "it differs")
    [line] = told((Objection(version, True, difference) for version in range(9, 0, -1)), "FULL_TRANSITIVE")
    assert line.endswith("the new one is to read versions 1, 2, 3, 4, 5 and 4 more")


def test_a_value_is_told_whatever_it_is() -> None:
    """As JSON where it is some, and otherwise as Python spells it: a number of more than 64 bits too."""
    assert shown({"a": [1, None]}) == '{"a":[1,null]}'
    assert shown(2**70) == str(2**70)
    assert shown(object) == repr(object)
