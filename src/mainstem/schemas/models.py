"""Pydantic models as events. Pydantic is loaded when a model is declared, and its author has loaded it then."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from mainstem.errors import DefinitionError

_MALFORMED = ("json_invalid", "json_type")


class ModelFault(NamedTuple):
    """What a model says against a payload: the first fault, where it is, and how many there are."""

    path: str
    text: str
    faults: int
    malformed: bool


def is_model(kind: object) -> bool:
    """Whether a type is pydantic's to read and write: a model, or a dataclass of its own."""
    return isinstance(kind, type) and hasattr(kind, "__pydantic_validator__")


def model_functions(kind: type[object], where: str) -> tuple[Callable[[object], bytes], Callable[[bytes], object]]:
    """What encodes a model, by its aliases, and what decodes it, as its own configuration says.

    Raises ``DefinitionError`` where pydantic cannot make one.
    """
    from pydantic import TypeAdapter  # noqa: PLC0415 - an extra
    from pydantic.errors import PydanticUserError  # noqa: PLC0415 - an extra

    try:
        adapter = TypeAdapter(kind)
        if not adapter.pydantic_complete:
            adapter.rebuild(raise_errors=True)
    except (PydanticUserError, NameError, TypeError) as error:
        raise DefinitionError(
            f"{kind.__name__} has no form in JSON: {str(error).splitlines()[0]}",
            where=where,
            why="pydantic cannot make a validator of it",
            remedy="use types that pydantic knows, at module level",
        ) from error
    # What is not what its annotation says is found by whoever reads it, as with all other events.
    return partial(adapter.dump_json, by_alias=True, warnings=False), adapter.validate_json


def fault_of(error: Exception) -> ModelFault | None:
    """What a model's validation error says; None for any other error. Values are not quoted: they may be private."""
    if type(error).__name__ != "ValidationError" or not type(error).__module__.startswith("pydantic"):
        return None
    from pydantic_core import ValidationError  # noqa: PLC0415 - an extra, loaded by whoever has raised it

    if not isinstance(error, ValidationError):
        return None
    first = error.errors(include_url=False, include_context=False)[0]
    path = "$" + "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in first["loc"])
    malformed = first["type"] in _MALFORMED
    text = first["msg"]
    if first["type"] == "missing":
        field = first["loc"][-1]
        path, text = path.removesuffix(f".{field}"), f"the required field {field} is missing"
    elif not malformed:
        text = f"{text[:1].lower()}{text[1:]}, found {type(first['input']).__name__}"
    return ModelFault("" if malformed else path, text, error.error_count(), malformed)
