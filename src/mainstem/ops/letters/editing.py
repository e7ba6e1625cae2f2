"""Editing a letter: a new value, or a patch of the one it has; the task that has it keeps the original."""

import asyncio
import difflib
from typing import Final

import click
import msgspec
from msgspec import Struct

from mainstem.clock import SystemClock
from mainstem.delivery import Command, Entry, Letter, Order
from mainstem.errors import DefinitionError, EventRefused, NotFound
from mainstem.identifiers import Identifiers
from mainstem.ops.arguments import opened
from mainstem.ops.letters.contents import Reading
from mainstem.ops.letters.options import BulkRequest, bulk, bulk_request
from mainstem.ops.letters.sequences import groups_of, name_of, parked, payload_of
from mainstem.ops.screen import print_json

OPERATIONS: Final = ("add", "replace", "remove", "test")


class Edited(Struct, frozen=True):
    """An edit, as JSON shows it; payloads that are no JSON are bytes. Without ``done`` nothing has changed."""

    group: str
    handler: str
    key: str
    origin: str
    before: object
    after: object
    done: bool


@click.command("edit")
@bulk
@click.option("--letter", "number", type=click.IntRange(min=0), default=0, help="The one behind so many others.")
@click.option("--value", help="The new payload, whole.")
@click.option(
    "--patch", help="A JSON merge patch (an object), or a JSON patch (a list) with add, replace, remove, test."
)
@click.option("--reason", required=True, help="Why; it stands in the audit topic.")
def edit(*, number: int, value: str | None, patch: str | None, **options: object) -> None:
    """Change the payload of one letter; the original is kept beside it."""
    if (value is None) == (patch is None):
        raise click.UsageError("Say --value or --patch.")
    request = bulk_request(options)
    edited = asyncio.run(_edit(request, number, value, patch))
    if request.as_json:
        print_json(edited)
        return
    before, after = (_lines(each) for each in (edited.before, edited.after))
    click.echo("\n".join(difflib.unified_diff(before, after, "before", "after", lineterm="")))
    where = f"{edited.origin} of {edited.key}, for {edited.handler}"
    click.echo(f"edit: {where}: done" if edited.done else f"{where}. Nothing was done; --yes does it.")


async def _edit(request: BulkRequest, number: int, value: str | None, patch: str | None) -> Edited:
    clock = SystemClock()
    async with opened(request.broker, dev=request.dev) as broker:
        [group] = await groups_of(broker, request.group)
        now = clock.now_ms()
        entry = _only([each for each in await parked(broker, group) if request.wanted.holds(each, now)], group)
        questions = Reading(broker, group, clock, request.patience_seconds)
        letter = await _letter(questions, entry, number)
        new = value.encode() if value is not None else patched(letter.value, patch or "")
        if request.yes:
            reason, by = request.decided
            command = Command(
                Identifiers(clock).new(),
                "edit",
                entry.handler,
                entry.place,
                reason,
                by,
                number=number,
                origin=letter.origin,
                edits=len(letter.edits),
                value=new,
            )
            answer = (await questions.ask([Order(entry.task, command)]))[command.id].answer
            if not answer.found:
                raise EventRefused(
                    answer.text.removeprefix("edit: refused: "),
                    where=f"{letter.origin}, for {entry.handler}",
                    remedy="look at it again: mainstem dead-letters show",
                )
        before, after = payload_of(letter.value), payload_of(new)
        return Edited(group, entry.handler, name_of(entry), letter.origin, before, after, request.yes)


def _only(entries: list[Entry], group: str) -> Entry:
    if len(entries) == 1:
        return entries[0]
    raise NotFound(
        f"{len(entries)} sequences are meant, and an edit is about one",
        where=group,
        remedy="name it with --key and --handler; mainstem dead-letters list shows them",
    )


async def _letter(questions: Reading, entry: Entry, number: int) -> Letter:
    page = await questions.page(entry, number)
    if page is not None and page.letters:
        return page.letters[0]
    raise NotFound(
        f"there is no letter {number} in the sequence", where=name_of(entry), remedy="they are counted from 0"
    )


def _lines(payload: object) -> list[str]:
    return msgspec.json.format(msgspec.json.encode(payload), indent=2).decode().splitlines()


def patched(value: bytes | None, patch: str) -> bytes:
    """A payload after a JSON merge patch (RFC 7396) or a JSON patch (RFC 6902) without ``move`` and ``copy``.

    Raises :class:`~mainstem.errors.DefinitionError` for a patch that cannot be applied.
    """
    try:
        payload: object = msgspec.json.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DefinitionError(
            "the payload is no JSON, and cannot be patched", remedy="give it whole: --value"
        ) from None
    try:
        change = msgspec.json.decode(patch)
    except msgspec.DecodeError as error:
        raise DefinitionError("the patch is no JSON", why=str(error)) from None
    if not isinstance(change, list):
        return msgspec.json.encode(_merged(payload, change))
    for step in change:
        try:
            payload = _stepped(payload, step)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise DefinitionError(
                "a step of the patch cannot be done",
                where=msgspec.json.encode(step).decode(),
                why=f"{type(error).__name__}: {error}",
                remedy='a step is {"op": "replace", "path": "/amount_cents", "value": 5}, or add, remove, test',
            ) from None
    return msgspec.json.encode(payload)


def _merged(payload: object, change: object) -> object:
    if not isinstance(change, dict):
        return change
    merged = dict(payload) if isinstance(payload, dict) else {}
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged


def _stepped(payload: object, step: dict[str, object]) -> object:
    operation, path = step["op"], str(step["path"])
    if operation not in OPERATIONS:
        raise ValueError(f"{operation!r} is none of {', '.join(OPERATIONS)}")
    if path and not path.startswith("/"):
        raise ValueError(f"{path!r} does not begin with /")
    names = [name.replace("~1", "/").replace("~0", "~") for name in path.split("/")[1:]]
    return _changed(payload, names, str(operation), step.get("value"))


def _changed(at: object, names: list[str], operation: str, value: object) -> object:
    """What stands here after the step, whose place lies so many names below."""
    if not names:
        if operation == "test" and at != value:
            raise ValueError(f"it is {at!r}")
        return at if operation == "test" else value
    name, rest = names[0], names[1:]
    if isinstance(at, list):
        return _in_list(at, name, rest, (operation, value))
    if not isinstance(at, dict):
        raise TypeError(f"there is nothing below {at!r}")
    if rest or operation in ("test", "replace"):
        return {**at, name: _changed(at[name], rest, operation, value)}
    if operation == "add":
        return {**at, name: value}
    left = dict(at)
    del left[name]
    return left


def _in_list(at: list[object], name: str, rest: list[str], step: tuple[str, object]) -> object:
    operation, value = step
    number = len(at) if name == "-" else int(name)
    if not 0 <= number <= len(at) - (rest != [] or operation != "add"):
        raise IndexError(name)
    if rest or operation in ("test", "replace"):
        return [*at[:number], _changed(at[number], rest, operation, value), *at[number + 1 :]]
    return [*at[:number], value, *at[number:]] if operation == "add" else [*at[:number], *at[number + 1 :]]
