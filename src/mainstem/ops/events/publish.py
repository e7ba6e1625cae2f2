"""The command ``publish``: events by hand, checked by their type before anything is written."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import click
import msgspec
from msgspec import Struct

from mainstem.broker import Record, TopicPartition
from mainstem.clock import Clock, SystemClock
from mainstem.delivery import Outputs
from mainstem.errors import EventRefused, UnknownTopic
from mainstem.events import Declaration, check_publication
from mainstem.identifiers import Identifiers
from mainstem.ops.arguments import broker_options, json_option, load_services, opened
from mainstem.ops.events.declared import Called, declared
from mainstem.ops.screen import plural, print_json, progress
from mainstem.schemas import DECODER_ERRORS, codec_for, decoding_failure
from mainstem.schemas.registries import LOCK_NAME, LockFile, mark_of
from mainstem.service import Backend, Service, existing_on, outlines_of, topics_of
from mainstem.service.promises import named_registry, stated_by, verdicts
from mainstem.settings import Settings

AT_ONCE: Final = 1_000
_QUOTES: Final = """. In a shell, put the JSON into single quotes: '{"order_id": "o-1"}'"""


class PublishedCount(Struct, frozen=True):
    """What was published, as JSON shows it."""

    type: str
    version: int
    topic: str
    published: int


@click.command
@click.argument("service", metavar="MODULE:SERVICE")
@click.argument("type_name", metavar="TYPE")
@click.argument("payload", metavar="JSON|-")
@click.option("--version", "version", type=click.IntRange(min=1), help="This version, instead of the newest one.")
@broker_options
@json_option
def publish(*, service: str, payload: str, broker: str | None, dev: bool, as_json: bool, **called: object) -> None:
    """Publish an event in the name of a service, or with - one for each line of standard input.

    The service must publish the type or subscribe to it; what it publishes must be registered, as for its start. Of
    several versions it is the newest one, unless --version says which. Lines are published in blocks of 1000, each
    block as a whole.
    """
    [found] = load_services([service])
    declaration = declared(found, wanted := msgspec.convert(called, Called))
    check_publication(declaration, found.name)
    lines: Iterable[bytes] = sys.stdin.buffer if payload == "-" else [payload.encode()]
    if payload != "-":
        # Refused before --dev has made a file or a topic for it.
        list(_events(declaration, enumerate(lines, 1), 0))
    count = asyncio.run(_publish(found, declaration, lines, broker, dev=dev))
    if as_json:
        print_json(PublishedCount(declaration.wire_name, declaration.version, declaration.topic, count))
    else:
        name = declaration.wire_name + f" v{declaration.version}" * (
            declaration.version > 1 or wanted.version is not None
        )
        click.echo(f"published {plural(count, name + ' event')} to {declaration.topic}")


async def _publish(
    service: Service, declaration: Declaration, lines: Iterable[bytes], given: str | None, *, dev: bool
) -> int:
    clock = SystemClock()
    identifiers = Identifiers(clock)
    async with opened(given, dev=dev, create=dev) as broker:
        count = await _partition_count(broker, service, declaration, dev=dev)
        if not dev:
            await _check_registered(broker, service, declaration, clock)
        marks = {} if dev else {declaration: mark_of(declaration, service.name, LockFile.read(Path(LOCK_NAME)))}
        outputs = Outputs([declaration], {declaration.topic: count}, f"/{service.name}", marks=marks)
        numbered = enumerate(lines, 1)
        published = 0
        with progress("publish", None) as heard:
            while some := list(islice(numbered, AT_ONCE)):
                records: dict[TopicPartition, list[Record]] = {}
                for event in _events(declaration, some, published):
                    at, record = outputs.fact(event, identifiers.new(), {}, clock.now_ms())
                    records.setdefault(at, []).append(record)
                transaction = broker.log.transaction()
                for at, found in records.items():
                    transaction.append(at, found)
                await transaction.commit()
                published += sum(map(len, records.values()))
                heard(len(some))
    return published


async def _check_registered(broker: Backend, service: Service, declaration: Declaration, clock: Clock) -> None:
    """Raise what would stop the start of a service that publishes this type. What it only reads is another one's."""
    [outline] = outlines_of([service], await existing_on([service], broker))
    settings = Settings.load()
    registry = named_registry(None, settings, dev=False)
    stated = [each for each in stated_by(service.name, outline.publishes) if each.declaration == declaration]
    if registry is not None:
        for fault in await verdicts(stated, registry, broker, settings, clock, log_unasked=False):
            raise fault


def _events(declaration: Declaration, lines: Iterable[tuple[int, bytes]], published: int) -> Iterator[object]:
    decode = _from_json(declaration)
    for number, line in lines:
        if line.strip():
            try:
                yield decode(line)
            except DECODER_ERRORS as error:
                failure = decoding_failure(error, declaration, line)
                raise EventRefused(
                    failure.what,
                    where=f"line {number}",
                    why="the type says otherwise" if isinstance(error, msgspec.ValidationError) else failure.why,
                    remedy=f"correct it and go on from there; before it {plural(published, 'event')} were published"
                    if published
                    else "correct it; nothing was published"
                    + _QUOTES * (not isinstance(error, msgspec.ValidationError)),
                ) from error


def _from_json(declaration: Declaration) -> Callable[[bytes], object]:
    """What makes an event of a line of JSON, whichever format its topic has."""
    codec = codec_for(declaration)
    return codec.decode if declaration.format == "json" else lambda line: codec.typed(msgspec.json.decode(line))


async def _partition_count(broker: Backend, service: Service, declaration: Declaration, *, dev: bool) -> int:
    topic = declaration.topic
    described = (await broker.admin.topics([topic])).get(topic)
    if described is not None:
        return described.spec.partitions
    if not dev:
        raise UnknownTopic(
            f"topic {topic!r} is not there",
            where=broker.name,
            why="topics are created by themselves only with --dev",
            remedy="mainstem topics apply, with the service; or give --dev",
        )
    existing = await existing_on([service], broker)
    spec = next(spec for spec in topics_of([service], existing) if spec.name == topic)
    await broker.admin.create(spec)
    return spec.partitions
