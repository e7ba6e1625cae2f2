"""The command ``migrate``: move everything from the embedded broker's file to another broker, and prove it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import click
import msgspec
from msgspec import Struct

from mainstem.clock import SystemClock
from mainstem.errors import BrokerError, DefinitionError
from mainstem.identifiers import Identifiers
from mainstem.migration import Journey, Move, Source
from mainstem.ops.arguments import json_option, opened
from mainstem.ops.screen import print_json, print_table, progress
from mainstem.service import CATALOGUE, in_full

HEADINGS = ("", "name", "shares", "count", "count there", "digest", "digest there", "positions", "")
DIGITS = 12


class MigrateRequest(Struct, frozen=True):
    """From where to where, and whether back."""

    source: str
    target: str
    undo_cutover: bool
    target_is_lost: bool
    as_json: bool


@click.command
@click.option("--from", "source", required=True, metavar="URL", help="The file that is moved: sqlite:///shop.db")
@click.option("--to", "target", required=True, metavar="URL", help="Where to: kafka://broker-1:9092")
@click.option("--undo-cutover", is_flag=True, help="Come back, as long as nothing has been written on the target.")
@click.option("--target-is-lost", is_flag=True, help="With --undo-cutover: do not ask the target, it is gone.")
@json_option
def migrate(**options: object) -> None:
    """Move everything from the embedded broker's file to another broker, and prove it.

    That is topics, groups, positions, and everything that groups remember. The file takes no commit from the beginning
    on, and says where its data is. A move that was interrupted is carried on by the same command. In the end both
    sides are compared, and the comparison is printed; the code is 1 when they differ.
    """
    request = msgspec.convert(options, MigrateRequest)
    if request.undo_cutover:
        undone = asyncio.run(_undo(request))
        if request.as_json:
            print_json({"undone": undone})
        else:
            click.echo(f"{request.source} takes commits again." if undone else f"{request.source} was never moved.")
        return
    if request.target_is_lost:
        raise click.UsageError("--target-is-lost says something about --undo-cutover only")
    move = asyncio.run(_go(request))
    if request.as_json:
        print_json(move)
    else:
        _print(move, request)
    if not move.finished:
        raise BrokerError(
            "The two sides differ",
            where=", ".join(each.name for each in move.likenesses if not each.equal),
            why="somebody else has written on the target, or taken something away there",
            remedy="nothing is lost: the file has everything, and stays closed; --undo-cutover opens it again",
        )


def _print(move: Move, request: MigrateRequest) -> None:
    if move.likenesses:
        print_table(
            HEADINGS,
            [
                (
                    each.kind,
                    each.name,
                    each.shares,
                    each.count,
                    each.count_there,
                    each.digest[:DIGITS],
                    each.digest_there[:DIGITS],
                    "agree" if each.positions_agree else "DIFFER",
                    "same" if each.equal else "DIFFERENT",
                )
                for each in move.likenesses
            ],
        )
    if move.finished:
        name = _plain(request.target)
        click.echo(f"{request.source} is closed. Start the services with MAINSTEM_BROKER={name}")


async def _go(request: MigrateRequest) -> Move:
    with progress("records copied and compared", None, shown=not request.as_json) as heard:
        async with _journey(request, heard) as journey:
            return await journey.go()


async def _undo(request: MigrateRequest) -> bool:
    if request.target_is_lost:
        async with opened(request.source, dev=False) as source:
            closed = _movable(source)
            was = closed.moved() is not None
            await closed.stamp(None)
            return was
    async with _journey(request, _nobody) as journey:
        return await journey.undo()


@asynccontextmanager
async def _journey(request: MigrateRequest, heard: Callable[[int], None]) -> AsyncIterator[Journey]:
    clock = SystemClock()
    if _plain(request.source) == _plain(request.target):
        raise DefinitionError("a broker is not moved to itself", where=request.target, remedy="name another target")
    async with (
        opened(request.source, dev=False) as source,
        opened(request.target, dev=False, create=True) as target,
    ):
        to = _plain(in_full(request.target))
        # Each service has its own entries there.
        shared = frozenset({CATALOGUE})
        yield Journey(_movable(source), target, to, clock, Identifiers(clock), heard, shared)


def _movable(source: object) -> Source:
    if isinstance(source, Source):
        return source
    raise DefinitionError(
        "only the embedded broker's file is moved from",
        why="a cluster cannot be closed for all who write to it",
        remedy="name one: --from sqlite:///shop.db",
    )


def _plain(url: str) -> str:
    """Without options: they may hold a password."""
    return url.partition("?")[0]


def _nobody(_count: int) -> None:
    """Coming back takes no time."""
