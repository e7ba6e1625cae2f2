"""The rules, by their names: what each looks for, and why."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

from msgspec.structs import replace

from mainstem.errors import SchemaRefused
from mainstem.ops.schema.lint.document import Field, Type
from mainstem.schemas.formats import Linked, compare

Complaint: TypeAlias = tuple[str, str]
"""Where, and what."""

_SNAKE: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_CAMEL: Final = re.compile(r"[a-z][a-zA-Z0-9]*")
_PERSONAL: Final = frozenset(
    [
        "email",
        "mail",
        "phone",
        "mobile",
        "fax",
        "iban",
        "bic",
        "ssn",
        "passport",
        "birthday",
        "birthdate",
        "birth",
        "surname",
        "firstname",
        "lastname",
        "fullname",
        "address",
        "street",
        "postcode",
        "zipcode",
        "gender",
        "nationality",
        "religion",
        "salary",
    ]
)
_PERSONAL_PAIRS: Final = frozenset(
    {("first", "name"), ("last", "name"), ("full", "name"), ("family", "name"), ("given", "name"), ("ip", "address")}
)
_MONEY: Final = frozenset(
    ["amount", "price", "total", "cost", "fee", "fees", "balance", "salary", "tax", "vat", "discount"]
)
_PROBE: Final = "a_field_that_comes_later"


class Rule(NamedTuple):
    """A rule. ``usual`` ones are looked at unless somebody says which."""

    says: str
    look: Callable[[Type], Iterator[Complaint]]
    usual: bool = True


def _namespace(kind: Type) -> Iterator[Complaint]:
    name = kind.declaration.wire_name
    if kind.declaration.kind == "integration" and "." not in name:
        yield "", f"{name} has no namespace: a type of another team may be called so too, and a subject has one owner"


def _field_names(kind: Type) -> Iterator[Complaint]:
    """One spelling for all fields of a type, that every language can write."""
    snake = [each for each in kind.fields if "_" in each.name]
    camel = [each for each in kind.fields if each.name != each.name.lower()]
    odd = [each for each in kind.fields if not _SNAKE.fullmatch(each.name) and not _CAMEL.fullmatch(each.name)]
    for each in odd:
        yield each.path, f"{each.name!r} is neither written_like_this nor writtenLikeThis"
    if not odd and snake and camel:
        yield camel[0].path, f"{camel[0].name!r} and {snake[0].name!r} are spelt in two ways"


def _documented(kind: Type) -> Iterator[Complaint]:
    said = str(kind.document.get("description") or "")
    # A dataclass without a docstring is given one that repeats its fields.
    if not said or said.startswith(f"{kind.declaration.type.__name__}("):
        yield "", "nothing says when it is published, and what it means: write a docstring"


def _optional_defaults(kind: Type) -> Iterator[Complaint]:
    for each in kind.fields:
        if each.nullable and each.required:
            yield each.path, "it may be null, and must be there all the same: give it the default None"


def _required(kind: Type) -> Iterator[Complaint]:
    for each in kind.fields:
        if each.required and each.name not in kind.declaration.key:
            yield each.path, "it has no default, so that it can never be left out again"


def _growing_enums(kind: Type) -> Iterator[Complaint]:
    for each in kind.fields:
        if any("enum" in kinds and "x-mainstem-fallback" not in kinds for kinds in _held(each)):
            yield each.path, "its enum can never have another member: declare one to fall back to, @fallback(...)"


def _personal(kind: Type) -> Iterator[Complaint]:
    for each in kind.fields:
        marked = any(
            each.path == way or each.path.startswith((f"{way}.", f"{way}[", f"{way}{{")) for way in kind.personal
        )
        words = _words(each.name)
        if not marked and (_PERSONAL.intersection(words) or _PERSONAL_PAIRS.intersection(pairwise(words))):
            yield each.path, "it looks as if it were about a person: mark it, Annotated[..., Personal]"


def _money(kind: Type) -> Iterator[Complaint]:
    for each in kind.fields:
        if _MONEY.intersection(_words(each.name)) and any(kinds.get("type") == "number" for kinds in _held(each)):
            yield each.path, "money as a float loses cents: count the smallest unit in an int, or take Decimal"


def _provable(kind: Type) -> Iterator[Complaint]:
    """Whether the differ understands enough of the schema to let a harmless change pass."""
    grown = dict(kind.document)
    properties = grown.get("properties")
    grown["properties"] = {
        **(properties if isinstance(properties, dict) else {}),
        _PROBE: {"type": "string", "default": ""},
    }
    new = Linked(replace(kind.schema, text=json.dumps(grown)), {})
    try:
        differences = compare("FULL", "LENIENT", new, [Linked(kind.schema, {})])
    except SchemaRefused as refused:
        yield refused.where, f"no registry would take it: {refused.what}"
        return
    for found in differences:
        if found.difference.outcome == "not provable":
            said = f"a new field with a default could not be shown to break nobody: {found.difference.message}"
            yield found.difference.path, said
            return


def _held(field: Field) -> Iterator[Mapping[str, object]]:
    """What a field may hold, also in a list."""
    for each in field.kinds:
        yield each
        inner = each.get("items")
        if isinstance(inner, dict):
            yield inner


def _words(name: str) -> list[str]:
    return [each.lower() for each in re.findall(r"[A-Za-z][a-z]*|[0-9]+", name)]


RULES: Final[Mapping[str, Rule]] = {
    "namespace": Rule("an integration event has a namespace", _namespace),
    "field-name": Rule("fields are spelt in one way that every language can write", _field_names),
    "docstring": Rule("a type says what it means", _documented),
    "optional-default": Rule("a field that may be null has a default", _optional_defaults),
    "enum-fallback": Rule("an enum has a member to fall back to", _growing_enums),
    "personal": Rule("a field that is named as if it were about a person is marked", _personal),
    "money": Rule("money is no float", _money),
    "provable": Rule("a harmless change of the schema can be shown to be one", _provable),
    "required": Rule("every field but the key has a default; looked at when it is asked for", _required, usual=False),
}
