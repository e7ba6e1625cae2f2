"""The schema registry on a real Kafka: several instances, a restart that has lost its disk, and rows of many sizes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from mainstem import running
from mainstem.registry.contents import Config, DeleteSubject, Register, SetConfig
from mainstem.registry.ledger import Ledger
from mainstem.schemas.documents import Schema
from mainstem.service.registry import registry_access, schema_registry
from tests.kafka.waiter import SETTINGS

CONTENTS = 10


def titled(title: object, size: int = 0) -> Schema:
    """A schema of its own, at least so long."""
    return Schema(f'{{"description":"{"x" * size}","title":"{title}","type":"object"}}', "JSON")


@asynccontextmanager
async def instance(url: str) -> AsyncIterator[Ledger]:
    """An instance of the registry."""
    service = schema_registry()
    async with running(service, broker=url, dev=True, settings=SETTINGS), registry_access(service) as access:
        yield access


async def test_instances_agree_and_the_next_one_goes_on(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    """Either instance writes and knows what the other has written; one without its disk has the same ids to give."""
    context = f":.{unique('ctx')}:"
    urls = [f"kafka://{kafka}?state_folder={tmp_path}/{number}" for number in range(3)]
    async with instance(urls[0]) as one, instance(urls[1]) as two:
        await two.write(SetConfig(Config(compatibility_level="NONE"), context))
        asked = [
            access.write(Register(f"{context}s{number % 3}", titled(number % CONTENTS)))
            for number in range(2 * CONTENTS)
            for access in (one, two)
        ]
        answers = await asyncio.gather(*asked)
        ids = {each.schema.text: each.id for each in answers}
        assert sorted(ids.values()) == list(range(1, CONTENTS + 1))
        assert len({(each.subject, each.version) for each in answers}) == len(
            {(each.subject, each.id) for each in answers}
        )
        large = await one.write(Register(f"{context}large", titled("large", 900_000)))
        assert (await two.caught_up()).schema(large.id, context).schema == titled("large", 900_000)
        await two.write(DeleteSubject(f"{context}s0"))
    async with instance(urls[2]) as three:
        contents = await three.view()
        assert list(contents.subjects(context)) == [f"{context}large", f"{context}s1", f"{context}s2"]
        assert {contents.schema(number, context).schema.text for number in ids.values()} == set(ids)
        assert (await three.write(Register(f"{context}more", titled(0)))).id == ids[titled(0).text]
        assert (await three.write(Register(f"{context}more", titled("new")))).id == CONTENTS + 2
