"""``mainstem schema diff``: what differs between schemas, and who could read whom."""

import asyncio
from collections.abc import Iterator
from difflib import unified_diff
from typing import Final

import click
import msgspec
from msgspec import UNSET, Struct, UnsetType

from mainstem.errors import NotFound
from mainstem.ops.arguments import UNLIKE, broker_options, json_option
from mainstem.ops.schema.opening import registry_option
from mainstem.ops.schema.sides import Shown, Side, Source, side
from mainstem.ops.screen import print_json
from mainstem.registry.folder import set_out
from mainstem.schemas.compatibility import Difference, Level, Outcome, Policy, Verdict, shown
from mainstem.schemas.formats import compare

_DIRECTIONS: Final[tuple[Level, Level]] = ("BACKWARD", "FORWARD")


class Direction(Struct, frozen=True):
    """Whether one reads what the other writes, and every reason why not."""

    outcome: Outcome
    differences: tuple[Difference, ...]


class Compared(Struct, frozen=True):
    """Two schemas. ``backward``: the second reads what the first writes; ``forward``: the first what the second does.

    ``changes`` are the lines that differ. What stands on one side only has no directions, and no label on the other.
    """

    subject: str
    first: str | None
    second: str | None
    changes: tuple[str, ...] = ()
    backward: Direction | UnsetType = UNSET
    forward: Direction | UnsetType = UNSET

    @property
    def readable(self) -> bool:
        """Whether each reads the other, as far as there are two."""
        return all(not isinstance(each, Direction) or not each.differences for each in (self.backward, self.forward))


@click.command
@click.argument("first", metavar="FIRST")
@click.argument("second", metavar="SECOND")
@click.option(
    "--policy",
    type=click.Choice(("LENIENT", "STRICT")),
    default="LENIENT",
    show_default=True,
    help="STRICT takes a JSON Schema's open or closed content at its word; LENIENT is how events are compared.",
)
@registry_option
@broker_options
@json_option
def diff(*, first: str, second: str, policy: Policy, as_json: bool, **options: object) -> None:
    """Say what differs between schemas, and whether each reads what the other writes.

    FIRST and SECOND are each a version in the registry (Shop.Paid, Shop.Paid@2), all that a service states
    (MODULE:SERVICE), all that the registry has (registry), or a folder of schemas, now or at a revision
    (folder:schemas, git:main:schemas). The code is 3 where one does not read the other.
    """
    found = asyncio.run(_diff(first, second, policy, msgspec.convert(options, Source)))
    if as_json:
        print_json(found)
    else:
        for each in found:
            _tell(each)
    if not all(each.readable for each in found):
        raise SystemExit(UNLIKE)


async def _diff(first: str, second: str, policy: Policy, source: Source) -> list[Compared]:
    sides = await side(first, source), await side(second, source)
    return list(compared(sides, policy, (first, second)))


def compared(sides: tuple[Side, Side], policy: Policy, names: tuple[str, str]) -> Iterator[Compared]:
    """Every subject of both sides; where one side is a single schema, that one alone.

    Raises ``NotFound`` for a single schema that the other side does not have.
    """
    first, second = sides
    if first.single and second.single:
        [(subject, left)], [(other_subject, right)] = first.schemas.items(), second.schemas.items()
        if subject != other_subject:
            right = right._replace(label=f"{other_subject} {right.label}")
        yield _compared(subject, left, right, policy)
        return
    single = first.schemas if first.single else second.schemas if second.single else None
    for subject in sorted({*first.schemas, *second.schemas} if single is None else single):
        one, other = first.schemas.get(subject), second.schemas.get(subject)
        if one is not None and other is not None:
            yield _compared(subject, one, other, policy)
        elif single is not None:
            raise NotFound(
                f"there is no subject {subject!r}",
                where=names[0] if one is None else names[1],
                remedy="mainstem schema list, or mainstem schema show MODULE:SERVICE, says what there is",
            )
        else:
            yield Compared(subject, one and one.label, other and other.label)


def _compared(subject: str, first: Shown, second: Shown, policy: Policy) -> Compared:
    backward, forward = (_direction(level, policy, first, second) for level in _DIRECTIONS)
    return Compared(subject, first.label, second.label, tuple(_changes(first, second)), backward, forward)


def _direction(level: Level, policy: Policy, first: Shown, second: Shown) -> Direction:
    found = compare(level, policy, second.linked, [first.linked])
    verdict = Verdict(tuple(each.difference for each in found))
    return Direction(verdict.outcome, verdict.differences)


def _changes(first: Shown, second: Shown) -> Iterator[str]:
    lines = [set_out(each.linked.schema).decode(errors="replace").splitlines() for each in (first, second)]
    return unified_diff(lines[0], lines[1], first.label, second.label, lineterm="", n=2)


def _tell(found: Compared) -> None:
    click.secho(f"{found.subject}: ", bold=True, nl=False)
    if found.first is None or found.second is None:
        click.echo(f"only in {found.first or found.second}")
        return
    click.echo(f"{found.first}, {found.second}" if found.changes else "the same")
    for line in found.changes:
        click.secho(f"  {line}", fg={"+": "green", "-": "red"}.get(line[:1]))
    for name, meant, direction in (
        ("backward", "the second reads what the first writes", found.backward),
        ("forward", "the first reads what the second writes", found.forward),
    ):
        if isinstance(direction, Direction):
            click.echo(f"  {name}, {meant}: ", nl=False)
            click.secho(direction.outcome, fg="red" if direction.differences else "green")
            for each in direction.differences:
                _tell_difference(each)


def _tell_difference(difference: Difference) -> None:
    click.echo(f"    {difference.path or '/'}: {difference.message} ({difference.rule})")
    for who, value in (
        ("writer", difference.writer),
        ("reader", difference.reader),
        ("for example", difference.counterexample),
    ):
        if value is not None and value is not UNSET:
            click.echo(f"      {who} {shown(value)}")
