"""The fields that an Avro schema names, each with its place."""

from mainstem.schemas.avro.language import Array, Map, Record, Type, Union, parsed
from mainstem.schemas.compatibility import FIELDS_MOST, Fields, inner
from mainstem.schemas.documents import Schema


def fields_of(schema: Schema) -> Fields:
    """The fields by JSON pointer, where a named type counts as written out.

    Raises :class:`~mainstem.errors.SchemaRefused` for what is no schema.
    """
    found: dict[str, tuple[str, ...]] = {}
    waiting: list[tuple[str, Type, str, frozenset[int]]] = [("", parsed(schema, {}).root, "", frozenset())]
    while waiting and len(found) < FIELDS_MOST:
        path, node, field, within = waiting.pop()
        if isinstance(node, Record) and id(node) not in within:
            inside = within | {id(node)}
            for index, each in enumerate(node.fields):
                at, named = f"{path}/fields/{index}", inner(field, each.name)
                found[at] = (named,)
                waiting.append((f"{at}/type", each.type, named, inside))
        elif isinstance(node, Array):
            waiting.append((f"{path}/items", node.items, f"{field}[]", within))
        elif isinstance(node, Map):
            waiting.append((f"{path}/values", node.values, f"{field}{{}}", within))
        elif isinstance(node, Union):
            waiting += [(f"{path}/{index}", each, field, within) for index, each in enumerate(node.branches)]
    return found
