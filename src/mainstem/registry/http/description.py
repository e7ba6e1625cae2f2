"""The surface as an OpenAPI 3.1 document, made from the table of endpoints: served, and what the tests fuzz it by."""

import re
from typing import Final, TypeAlias

import msgspec

from mainstem.registry.contents import LARGEST_NUMBER
from mainstem.registry.http.endpoints import ENDPOINTS, Endpoint
from mainstem.registry.http.shapes import Failure
from mainstem.schemas.registries import MEDIA_TYPE

Document: TypeAlias = dict[str, object]

ALWAYS: Final = (400, 401, 403, 404, 405, 406, 413, 415, 429, 500)
"""What any endpoint may answer: see the codes in the body."""

_FLAGS: Final = frozenset(
    [
        "deleted",
        "deletedOnly",
        "latestOnly",
        "aliases",
        "fetchMaxId",
        "normalize",
        "permanent",
        "verbose",
        "defaultToGlobal",
        "force",
        "recursive",
    ]
)
_NUMBERS: Final = frozenset(["offset", "limit"])
_REPEATED: Final = frozenset(["key", "value"])


def description(incompatible_code: int) -> Document:
    """The document."""
    shapes = {kind for each in ENDPOINTS for kind in (each.answer, each.request) if kind is not None} | {Failure}
    ordered = sorted(shapes, key=repr)
    schemas, components = msgspec.json.schema_components(
        ordered, schema_hook=_anything, ref_template="#/components/schemas/{name}"
    )
    by_shape: dict[object, object] = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, Document] = {}
    for each in ENDPOINTS:
        paths.setdefault(each.template.text, {})[each.method.lower()] = _operation(each, by_shape, incompatible_code)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Schema registry",
            "version": "1",
            "description": "Any path may stand below /contexts/{context}: its subjects are those of that context.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {str(status): _failure([status], by_shape) for status in ALWAYS},
        },
    }


def _anything(_kind: type) -> Document:
    """What stands in metadata and rules is plain data, and whose it is."""
    return {"description": "any JSON"}


def _operation(endpoint: Endpoint, shapes: dict[object, object], incompatible_code: int) -> Document:
    operation: Document = {
        "summary": endpoint.summary,
        "operationId": endpoint.answering.__name__ + ("_" + "_".join(_names(endpoint)) if _names(endpoint) else ""),
        "parameters": [*map(_in_path, _names(endpoint)), *map(_in_query, endpoint.query)],
        "responses": _responses(endpoint, shapes, incompatible_code),
    }
    if endpoint.request is not None:
        operation["requestBody"] = {"required": True, "content": _content(shapes[endpoint.request])}
    return operation


def _responses(endpoint: Endpoint, shapes: dict[object, object], incompatible_code: int) -> Document:
    answer: Document = {"description": endpoint.summary}
    if endpoint.answer is not None:
        answer["content"] = _content(True if endpoint.answer is str else shapes[endpoint.answer])
    responses: Document = {} if endpoint.codes == (40410,) else {str(endpoint.status): answer}
    codes = [incompatible_code if code == 409 else code for code in endpoint.codes]
    for status in ALWAYS:
        responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    for status in sorted({int(str(code)[:3]) for code in codes}):
        own = sorted(code for code in codes if str(code).startswith(str(status)))
        responses[str(status)] = _failure(own, shapes)
    return responses


def _failure(codes: list[int], shapes: dict[object, object]) -> Document:
    return {"description": f"error_code {', '.join(map(str, codes))}", "content": _content(shapes[Failure])}


def _content(schema: object) -> Document:
    return {kind: {"schema": schema} for kind in (MEDIA_TYPE, "application/json")}


def _names(endpoint: Endpoint) -> list[str]:
    return re.findall(r"{(\w+)}", endpoint.template.text)


def _in_path(name: str) -> Document:
    schema: Document = {"type": "string", "minLength": 1}
    if name == "id":
        schema = {"type": "integer", "minimum": 1, "maximum": LARGEST_NUMBER}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str) -> Document:
    schema: Document = {"type": "string"}
    if name in _FLAGS:
        schema = {"type": "boolean"}
    elif name in _NUMBERS:
        schema = {"type": "integer", "minimum": 0 if name == "offset" else -1, "maximum": 2**29}
    elif name in _REPEATED:
        schema = {"type": "array", "items": {"type": "string"}}
    return {"name": name, "in": "query", "schema": schema}
