"""From the plain data of an older version to that of the current one, step by step."""

import copy

from mainstem.errors import DecodingFailed, DefinitionError
from mainstem.events import Declaration, Plain, Step
from mainstem.schemas.upcasting.places import StepFailed, is_plain


def check_chain(declaration: Declaration) -> None:
    """Raise ``DefinitionError`` unless there is a way from every older version that is read to the current one.

    A step leads to the next version, and begins at an older one, so a way can neither turn back nor go beyond. What was
    written with another schema of Avro cannot be read at all without that schema, which an id has to name.
    """
    if declaration.envelope is None:
        return
    known = declaration.upcasts.steps
    if known and declaration.format == "avro" and declaration.schema_id is None:
        raise DefinitionError(
            f"{declaration.wire_name} is Avro without the id of its schema, and has steps from older versions",
            where=declaration.label,
            why="Avro is read with the schema that it was written with, and a record must say which that is",
            remedy=f'write schema_id="prefix"; or say oldest={declaration.version}, and read older versions as a type '
            "of their own",
        )
    missing = [str(each) for each in range(declaration.oldest, declaration.version) if each not in known]
    if missing:
        it = declaration
        raise DefinitionError(
            f"nobody says how {it.wire_name} v{', v'.join(missing)} becomes the next version",
            where=it.label,
            why=f"a subscription means all versions that are read, and those are {it.oldest} to {it.version}",
            remedy=f"write {it.type.__name__}.upcast({missing[0]}, ...); or declare it with oldest={it.version}, if no "
            "older one is to be read any more",
        )


def climbed(declaration: Declaration, version: int, data: object) -> Plain:
    """The data of ``version`` as the current version has it. It is changed on the way.

    Raises :class:`DecodingFailed` with the step that failed.
    """
    if not is_plain(data):
        raise _failed(declaration, version, "the payload is no object", "a step works on the fields of an object")
    for number in range(version, declaration.version):
        for step in declaration.upcasts.steps[number]:
            data = _stepped(declaration, number, step, data)
    return data


def _stepped(declaration: Declaration, number: int, step: Step, data: Plain) -> Plain:
    try:
        made: object = step(data)
    except StepFailed as error:
        raise _failed(
            declaration, number, f"{named(step)}: {error}", "the event is not what its version promises"
        ) from error
    except Exception as error:
        what = f"{named(step)}: {type(error).__name__}: {error}"
        raise _failed(declaration, number, what, "the function does not expect such data") from error
    if not is_plain(made):
        what = f"{named(step)} returned a {type(made).__name__}"
        raise _failed(declaration, number, what, "a step returns the data of the next version, as a dict")
    return made


def named(step: Step) -> str:
    """How a step is called in errors and listings: its words, or the name of its function."""
    name = getattr(step, "__qualname__", None)
    return str(step) if name is None else f"{name}()"


def upcasted(declaration: Declaration, version: int, data: Plain) -> Plain:
    """The same for data that stays as it is: what a test asks of a chain. Raises as :func:`climbed`."""
    return climbed(declaration, version, copy.deepcopy(data))


def _failed(declaration: Declaration, number: int, what: str, why: str) -> DecodingFailed:
    return DecodingFailed(
        f"{declaration.wire_name} v{number} did not become v{number + 1}: {what}",
        where=declaration.label,
        why=why,
        remedy="correct the step, deploy it, then redrive the record; its bytes are kept",
    )
