"""Dead letters in files: a line holds a letter of a sequence, with the failure of the sequence."""

import asyncio
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple

import click
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from mainstem.clock import SystemClock
from mainstem.delivery import Command, Decided, Edit, Entry, Failure, Letter, Order, place_alone, place_of
from mainstem.errors import DefinitionError, NotFound
from mainstem.identifiers import Identifiers
from mainstem.ops.arguments import opened
from mainstem.ops.letters.contents import Reading
from mainstem.ops.letters.options import BulkRequest, bulk, bulk_request, choosing
from mainstem.ops.letters.sequences import groups_of, parked
from mainstem.ops.requests import Request, patience
from mainstem.ops.screen import plural, print_json

RESTORED_BYTES: Final = 300_000
RESTORED_LETTERS: Final = 100
"""A command is a record, and takes so much at once."""


class Line(Struct, frozen=True, omit_defaults=True):
    """A letter in a file. What is no text stands as base64; ``number`` counts the letters of a sequence from 0.

    Of handlers that wait together it names those that have yet to handle it. One that waits ``alone`` holds up nobody.
    ``archive`` is the id of the file that it was written to; older files have none.
    """

    group: str
    handler: str
    task: int
    number: int
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    failure: Failure
    key: str | None = None
    key_base64: bytes | None = None
    value: str | None = None
    value_base64: bytes | None = None
    headers: dict[str, str] = {}
    headers_base64: dict[str, bytes] = {}
    edits: tuple[Edit, ...] = ()
    original_base64: bytes | None = None
    owed: tuple[str, ...] | None = None
    alone: bool = False
    archive: str = ""

    @property
    def letter(self) -> Letter:
        """The letter, in bytes."""
        headers = {name: value.encode() for name, value in self.headers.items()} | self.headers_base64
        return Letter(
            self.topic,
            self.partition,
            self.offset,
            self.timestamp_ms,
            _bytes(self.key, self.key_base64),
            _bytes(self.value, self.value_base64),
            headers,
            self.edits,
            self.original_base64,
            self.owed,
        )

    @property
    def sequence(self) -> tuple[int, str, bytes]:
        """The task, the handler and the place of its sequence."""
        letter = self.letter
        return self.task, self.handler, place_alone(letter) if self.alone else place_of(letter)


class Filed(Struct):
    """What went into a file or came from it, as JSON shows it; ``refused`` says why some did not.

    ``passed_over`` events are not restored, because they came back before, or were never given up.
    """

    file: str
    sequences: int = 0
    events: int = 0
    discarded: int = 0
    restored: int = 0
    passed_over: int = 0
    refused: list[str] = []


@click.command("export")
@choosing
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(*, file: Path, **options: object) -> None:
    """Write dead letters to a file, a line of JSON each, with everything that waits behind them."""
    request = bulk_request({**options, "yes": True})
    filed, _ = asyncio.run(_file(request, file, discards=False))
    _say("export", filed, request)


@click.command("archive")
@bulk
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--reason", required=True, help="Why; it stands in the audit topic.")
def archive(*, file: Path, **options: object) -> None:
    """Write dead letters to a file, and then discard exactly those."""
    request = bulk_request(options)
    filed, matched = asyncio.run(_file(request, file, discards=True))
    if request.yes or request.as_json:
        _say("archive", filed, request)
    else:
        click.echo(f"{plural(matched, 'sequence')}. Nothing was done; --yes does it.")


async def _file(request: BulkRequest, file: Path, *, discards: bool) -> tuple[Filed, int]:
    clock = SystemClock()
    filed = Filed(str(file))
    async with opened(request.broker, dev=request.dev) as broker:
        [group] = await groups_of(broker, request.group)
        now = clock.now_ms()
        entries = [each for each in await parked(broker, group) if request.wanted.holds(each, now)]
        if not request.yes:
            return filed, len(entries)
        questions = Reading(broker, group, clock, request.patience_seconds)
        archive = Identifiers(clock).new()
        written = await _write(questions, entries, archive, filed)
        if discards:
            await _discard(questions, written, (archive, request.decided), filed)
    return filed, len(entries)


async def _write(questions: Reading, entries: list[Entry], archive: str, filed: Filed) -> list[tuple[Entry, str, int]]:
    """Write all letters; the sequences with their first letter's origin and how many were written."""
    written: dict[tuple[int, bytes], tuple[Entry, str, int]] = {}
    with _new(Path(filed.file)) as lines:
        async for entry, number, page in questions.pages(entries):
            for at, letter in enumerate(page.letters, number):
                line = replace(_line(questions.group, entry, at, letter, page.failure), archive=archive)
                lines.write(msgspec.json.encode(line) + b"\n")
            which = entry.task, entry.sequence_key
            origin = written[which][1] if number else page.letters[0].origin
            written[which] = entry, origin, number + len(page.letters)
            filed.events += len(page.letters)
    filed.sequences = len(written)
    return list(written.values())


@contextmanager
def _new(file: Path) -> Iterator[IO[bytes]]:
    """A file that was not there before; on the disk when the block ends, and gone when the block fails."""
    try:
        lines = file.open("xb")
    except OSError as error:
        raise DefinitionError(
            "the file cannot be made", where=str(file), why=str(error), remedy="name another"
        ) from None
    try:
        with lines:
            yield lines
            lines.flush()
            os.fsync(lines.fileno())
    except BaseException:
        file.unlink(missing_ok=True)
        raise


async def _discard(
    questions: Reading, written: Iterable[tuple[Entry, str, int]], why: tuple[str, Decided], filed: Filed
) -> None:
    archive, (reason, by) = why
    identifiers = Identifiers(questions.clock)
    rest = iter(written)
    while some := list(itertools.islice(rest, 500)):
        orders = [
            Order(
                entry.task,
                Command(
                    identifiers.new(),
                    "discard",
                    entry.handler,
                    entry.place,
                    reason,
                    by,
                    number=waiting,
                    origin=origin,
                    archive=archive,
                ),
            )
            for entry, origin, waiting in some
        ]
        for each in (await questions.ask(orders)).values():
            if each.answer.found:
                filed.discarded += 1
            else:
                filed.refused.append(each.answer.text)


@click.command("restore")
@click.argument("group")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--reason", default="", help="Why; it stands in the audit topic.")
@click.option("--yes", is_flag=True, help="Do it. Without it, only what would be done is printed.")
@click.option("--by", default="", help="Who decides it; without it, the user of the operating system.")
@patience
def restore(*, file: Path, yes: bool, **options: object) -> None:
    """Bring letters back from a file, as dead letters of the handler that had them."""
    request = msgspec.convert(options, Request)
    filed = asyncio.run(_restore(request, file, yes=yes))
    if yes or request.as_json:
        _say("restore", filed, request)
    else:
        found = f"{plural(filed.sequences, 'sequence')}, {plural(filed.events, 'event')}"
        click.echo(f"{found}. Nothing was done; --yes does it.")


async def _restore(request: Request, file: Path, *, yes: bool) -> Filed:
    clock = SystemClock()
    filed = Filed(str(file))
    async with opened(request.broker, dev=request.dev) as broker:
        [group] = await groups_of(broker, request.group)
        questions = Reading(broker, group, clock, request.patience_seconds)
        with _opened(file) as lines:
            for _, found in itertools.groupby(_read(lines), lambda read: (read.line.sequence, read.line.archive)):
                pieces = list(_pieces(found))
                filed.sequences += 1
                filed.events += sum(piece.events for piece in pieces)
                if yes:
                    await _restore_sequence(questions, lines, pieces, request.decided, filed)
    return filed


async def _restore_sequence(
    questions: Reading, lines: IO[bytes], pieces: list["Piece"], decided: Decided, filed: Filed
) -> None:
    """Send the last piece first: each goes in front of those before, and later events of the key wait behind all."""
    identifiers, behind_bytes = Identifiers(questions.clock), lines.tell()
    for piece in reversed(pieces):
        lines.seek(piece.start_bytes)
        order = _order(identifiers, list(itertools.islice(_read(lines), piece.events)), pieces[0].archive, decided)
        answer = (await questions.ask([order]))[order.command.id].answer
        if answer.refused:
            filed.refused.append(answer.text)
            break
        filed.restored += answer.found
        filed.passed_over += piece.events - answer.found
    lines.seek(behind_bytes)


class ReadLine(NamedTuple):
    """A line of a file, where it begins, and the id of the archive that begins with it."""

    start_bytes: int
    line: Line
    archive: str


class Piece(NamedTuple):
    """Some letters of a sequence that follow each other in a file, as many and as large as a command takes."""

    start_bytes: int
    events: int
    archive: str


def _order(identifiers: Identifiers, piece: list[ReadLine], archive: str, decided: Decided) -> Order:
    first = piece[0].line
    command = Command(
        identifiers.new(),
        "restore",
        first.handler,
        first.sequence[2],
        *decided,
        number=first.number,
        letters=tuple(read.line.letter for read in piece),
        failure=first.failure,
        archive=archive,
    )
    return Order(first.task, command)


def _pieces(lines: Iterable[ReadLine]) -> Iterator[Piece]:
    """The letters of a sequence, in pieces that begin anew where letters are missing."""
    piece: Piece | None = None
    size_bytes, number = 0, 0
    for read in lines:
        letter = read.line.letter
        more_bytes = len(letter.value or b"") + len(letter.original or b"") + sum(map(len, letter.headers.values()))
        full = piece is not None and (piece.events == RESTORED_LETTERS or size_bytes + more_bytes > RESTORED_BYTES)
        if piece is None or full or read.line.number != number:
            if piece is not None:
                yield piece
            piece, size_bytes = Piece(read.start_bytes, 0, read.archive), 0
        piece = piece._replace(events=piece.events + 1)
        size_bytes += more_bytes
        number = read.line.number + 1
    if piece is not None:
        yield piece


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    if not file.exists():
        raise NotFound("the file is not there", where=str(file), remedy="name one that export or archive has written")
    with file.open("rb") as lines:
        yield lines


def _read(lines: IO[bytes]) -> Iterator[ReadLine]:
    """The lines from here on. A file without ids has for an id what its sequence begins with."""
    decode = msgspec.json.Decoder(Line).decode
    for number in itertools.count(1):
        start_bytes = lines.tell()
        raw = lines.readline()
        if not raw:
            return
        try:
            line = decode(raw)
        except msgspec.DecodeError as error:
            raise DefinitionError(
                "a line is no letter",
                where=f"{lines.name}, line {number}",
                why=str(error),
                remedy="name a file that mainstem dead-letters export or archive has written",
            ) from None
        yield ReadLine(start_bytes, line, line.archive or hashlib.sha256(raw).hexdigest())


def _line(group: str, entry: Entry, number: int, letter: Letter, failure: Failure) -> Line:
    key, key_base64 = _text(letter.key)
    value, value_base64 = _text(letter.value)
    headers = {name: _text(value) for name, value in letter.headers.items()}
    return Line(
        group,
        entry.handler,
        entry.task,
        number,
        letter.topic,
        letter.partition,
        letter.offset,
        letter.timestamp_ms,
        failure,
        key,
        key_base64,
        value,
        value_base64,
        {name: text for name, (text, _) in headers.items() if text is not None},
        {name: raw for name, (_, raw) in headers.items() if raw is not None},
        letter.edits,
        letter.original,
        letter.owed,
        entry.place != place_of(letter),
    )


def _text(value: bytes | None) -> tuple[str | None, bytes | None]:
    """Bytes as text where they are, else as bytes."""
    try:
        return None if value is None else value.decode(), None
    except UnicodeDecodeError:
        return None, value


def _bytes(text: str | None, raw: bytes | None) -> bytes | None:
    return raw if text is None else text.encode()


def _say(action: str, filed: Filed, request: Request) -> None:
    if request.as_json:
        print_json(filed)
    else:
        said = f"{action}: {plural(filed.sequences, 'sequence')}, {plural(filed.events, 'event')}, {filed.file}"
        said += f": {filed.discarded} discarded" if action == "archive" else ""
        click.echo(said + (f": {plural(filed.restored, 'event')} restored" if action == "restore" else ""))
        if filed.passed_over:
            click.echo(
                f"  {plural(filed.passed_over, 'event')} came back before, or never left: nothing is restored twice"
            )
        for each in filed.refused:
            click.echo(f"  {each}")
    if filed.refused:
        raise SystemExit(1)
