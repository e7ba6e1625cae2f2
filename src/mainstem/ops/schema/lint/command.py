"""The command ``lint``."""

from collections.abc import Iterable, Iterator, Sequence

import click
from msgspec import Struct

from mainstem.ops.arguments import json_option, load_services
from mainstem.ops.schema.lint.document import Type
from mainstem.ops.schema.lint.rules import RULES
from mainstem.ops.schema.opening import stated_of
from mainstem.ops.screen import plural, print_json
from mainstem.service.promises import Stated

FOUND = 3
"""The code that says: somebody should look at something."""


class Complaint(Struct, frozen=True):
    """What a rule has found: in a type, at a field, or with an empty path in the type as a whole."""

    subject: str
    rule: str
    path: str
    message: str


@click.command
@click.argument("services", nargs=-1, required=True, metavar="MODULE:SERVICE...")
@click.option("--only", multiple=True, type=click.Choice(tuple(RULES)), help="Look at this rule; several may be named.")
@click.option("--without", multiple=True, type=click.Choice(tuple(RULES)), help="Leave this rule out.")
@json_option
def lint(*, services: tuple[str, ...], only: tuple[str, ...], without: tuple[str, ...], as_json: bool) -> None:
    """Say what in the schemas of services will be regretted when they have to change; the code is 3 then.

    Nothing is asked but the classes: no registry, no broker.
    """
    stated = stated_of(load_services(services))
    rules = [name for name in only or _usual() if name not in without]
    found = list(complaints(stated, rules))
    if as_json:
        print_json(found)
    else:
        _tell(found)
        click.echo(f"{plural(len(stated), 'type')}, {plural(len(found), 'complaint')}", err=True)
    if found:
        raise SystemExit(FOUND)


def complaints(stated: Iterable[Stated], rules: Sequence[str]) -> Iterator[Complaint]:
    """What the rules of these names find, type by type."""
    for each in stated:
        kind = Type.of(each.declaration)
        for name in rules:
            for path, message in RULES[name].look(kind):
                yield Complaint(each.subject, name, path, message)


def _usual() -> Iterator[str]:
    return (name for name, rule in RULES.items() if rule.usual)


def _tell(found: Sequence[Complaint]) -> None:
    subject = ""
    for each in found:
        if each.subject != subject:
            click.secho(each.subject, bold=True)
            subject = each.subject
        click.echo(f"  {each.path or '-'}: {each.message} ({each.rule})")
