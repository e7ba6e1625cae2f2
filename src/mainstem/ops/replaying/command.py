"""The command ``replay``: what handlers would make of recorded events, beside what they made of them."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec

from mainstem.broker import TopicPartition
from mainstem.clock import SystemClock
from mainstem.errors import DefinitionError, UnknownTopic
from mainstem.identifiers import Identifiers
from mainstem.ops.arguments import broker_options, json_option, load_services, opened
from mainstem.ops.events import LogPoint, event_lines, point_of, resolve
from mainstem.ops.replaying.telling import KEPT, Request, print_replay
from mainstem.ops.screen import print_json
from mainstem.service import Backend, Service, connected
from mainstem.service.replay import Replayed, Span, Wanted, replayed_topics, written
from mainstem.service.replay import replay as replay_events


@click.command
@click.argument("service", metavar="MODULE:SERVICE")
@click.option("--since", required=True, metavar="POINT", help="earliest, an offset, a time, or 2h ago as 2h.")
@click.option("--until", metavar="POINT", help="The same; without it, up to now.")
@click.option("--only", multiple=True, metavar="HANDLER", help="This handler alone. May be given several times.")
@click.option("--outside", is_flag=True, help="Use what reaches outside, instead of what stands in for it.")
@click.option("--publish", is_flag=True, help="In the end publish what was never published.")
@click.option("--yes", is_flag=True, help="Really publish, and really use the outside.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep stores and output in this folder.")
@click.option("--write", type=click.Path(path_type=Path, dir_okay=False), help="Write what it publishes, a line each.")
@broker_options
@json_option
def replay(service: str, **options: object) -> None:
    """Hand recorded events to handlers again, beside the live group; publish nothing.

    What they publish is compared with what they have published.
    The live group, its stores and all topics stay as they are. Handlers begin with empty stores.
    """
    request = msgspec.convert(options, Request)
    request.check()
    [found] = load_services([service])
    told = asyncio.run(_replay(found, request))
    if request.as_json:
        print_json(told)
    else:
        print_replay(told, request)


async def _replay(service: Service, request: Request) -> Replayed:
    now = SystemClock().now_ms()
    since = point_of(request.since, now)
    until = LogPoint("latest") if request.until is None else point_of(request.until, now)
    end_ms = until.value if until.kind == "timestamp" else now
    wanted = Wanted(only=request.only, outside=request.outside, publish=request.publish and request.yes, end_ms=end_ms)
    async with opened(request.broker, dev=request.dev) as live, _scratch(request.keep) as scratch:
        spans = await _spans(live, replayed_topics(service, request.only), since, until)
        told = await replay_events(service, live, scratch, spans, wanted)
        if request.write is not None:
            await _write(request.write, scratch, [each.topic for each in told.topics])
    return told


async def _spans(live: Backend, topics: Iterable[str], since: LogPoint, until: LogPoint) -> dict[TopicPartition, Span]:
    described = await live.admin.topics(topics)
    for topic in topics:
        if topic not in described:
            raise UnknownTopic(
                f"topic {topic!r} is not there",
                where=live.name,
                why="handlers that are to be replayed take events of it, and nobody has published any",
                remedy="name other handlers with --only; mainstem topics list shows the topics",
            )
    found: dict[TopicPartition, Span] = {}
    for each in described.values():
        for at in each.bounds:
            found[at] = Span(await resolve(live.log, at, since), await resolve(live.log, at, until))
    return found


@asynccontextmanager
async def _scratch(keep: Path | None) -> AsyncIterator[Backend]:
    """A broker of the replay's own: in a folder that is kept, or in one that is removed."""
    clock = SystemClock()
    with TemporaryDirectory(prefix="mainstem-replay-") as temporary:
        folder = Path(temporary) if keep is None else keep
        path = folder.absolute() / KEPT
        if path.exists():
            raise DefinitionError(
                f"{path} is there already",
                why="a replay begins with empty stores, and an earlier one has left some there",
                remedy="name another folder, or remove the file",
            )
        folder.mkdir(parents=True, exist_ok=True)
        async with connected(f"sqlite:///{path}", clock, Identifiers(clock)) as scratch:
            yield scratch


async def _write(path: Path, scratch: Backend, topics: Iterable[str]) -> None:
    with path.open("wb") as lines:
        for topic in topics:
            async for batch in written(scratch, topic):
                lines.writelines(msgspec.json.encode(each) + b"\n" for each in event_lines(batch))
