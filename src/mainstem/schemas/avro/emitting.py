"""The Avro schema of an event type."""

import json
from functools import lru_cache
from typing import NamedTuple

from mainstem.errors import DefinitionError, SchemaRefused
from mainstem.events import Declaration
from mainstem.schemas.annotations import personal_tags
from mainstem.schemas.avro.language import FULL_NAME, GRAMMAR
from mainstem.schemas.avro.types import Form, Forms, Place
from mainstem.schemas.codec import CODECS_REMEMBERED
from mainstem.schemas.documents import Schema
from mainstem.schemas.models import is_model
from mainstem.schemas.shape import parts_of


class Described(NamedTuple):
    """The form of an event type; ``named``: its codec is to say which record of a union it has read."""

    form: Form
    named: bool


def schema_of(declaration: Declaration) -> Schema:
    """The schema of a declared type; the same text for the same type.

    The record has the wire name, and as aliases the names that it had; types within it are in its namespace, under the
    names of their classes, each written out once. Fields have their names on the wire, their defaults, and as doc the
    description of ``Annotated[..., Meta(description=...)]``; a default that is made anew for each event is left out.

    An optional type is a union with null, and the type of the default comes first. Enums of texts, and ``Literal``, are
    enums, with the declared fallback as default; where the texts cannot be symbols they are strings, and enums of
    numbers are longs, with the ``values`` as a property. A datetime is ``timestamp-micros`` (with ``Meta(tz=False)``
    ``local-timestamp-micros``), a date, time or UUID its logical type. A Decimal is a string; with
    ``Meta(extra={"precision": 18, "scale": 2})``, or pydantic's ``max_digits`` and ``decimal_places``, a decimal. A
    timedelta is a string. Other constraints stay with the decoder, which knows them. What is marked
    ``Personal`` stands in the tags of the metadata, by the path of its field.

    Raises ``DefinitionError`` for a type that has no form in Avro.
    """
    described = described_of(declaration)
    schema = Schema(
        json.dumps(described.form.schema, ensure_ascii=False, separators=(",", ":")),
        "AVRO",
        metadata=personal_tags(declaration.type),
    )
    try:
        GRAMMAR.check(schema, {})
    except SchemaRefused as error:
        raise DefinitionError(
            f"{declaration.wire_name} has no form in Avro: {error.what}",
            where=f"{declaration.label}, {error.where}",
            why=error.why or "two types of Python may be one type in Avro",
            remedy=error.remedy or "change the type there",
        ) from error
    return schema


@lru_cache(maxsize=CODECS_REMEMBERED)
def described_of(declaration: Declaration) -> Described:
    """What a declared type is in Avro. Raises ``DefinitionError``."""
    name = declaration.wire_name
    if not FULL_NAME.fullmatch(name):
        raise DefinitionError(
            f"{name!r} cannot be the name of a record in Avro",
            where=declaration.label,
            why="there it has words of English letters, digits and underscores, with dots between them",
            remedy="give the type such a name on the wire, and the old one in was=; or keep it in JSON",
        )
    if not is_model(declaration.type):
        parts_of(declaration.type, "Avro", declaration.label)
    namespace = name.rpartition(".")[0]
    head: dict[str, object] = {"name": name}
    aliases = [each for each in declaration.was if FULL_NAME.fullmatch(each) and ("." in each or not namespace)]
    if aliases:
        head["aliases"] = aliases
    place = Place(declaration.label)
    forms = Forms(namespace)
    form = forms.record(declaration.type, place, head).form
    if forms.has_choices:
        form = Forms(namespace, named=True).record(declaration.type, place, head).form
    return Described(form, forms.has_choices)
