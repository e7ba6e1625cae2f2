"""What takes long is done apart: others are answered meanwhile, and not too many may wait."""

import asyncio
import json
import threading

import pytest

from mainstem.registry.http.apart import AT_A_TIME, WAITING_MOST, Apart
from mainstem.registry.http.refusal import Refused
from tests.rooms.registry.http.surface import ask, registry

FORKS = 150


def forked(type_: str) -> dict[str, str]:
    """A schema of many branches, each of which is to be compared with each."""
    branches = [{"properties": {"kind": {"const": each}, "value": {"type": type_}}} for each in range(FORKS)]
    return {"schemaType": "JSON", "schema": json.dumps({"oneOf": branches})}


@pytest.mark.parametrize(
    "line",
    [
        "POST /compatibility/subjects/s/versions",
        "POST /subjects/s?normalize=true",
        "GET /schemas?format=resolved",
    ],
)
async def test_others_are_answered_while_a_large_schema_is_looked_at(line: str) -> None:
    """Comparing, writing anew and looking for a normal form hold nobody up."""
    api = registry("open")
    avro = json.dumps(
        {"type": "record", "name": "R", "fields": [{"name": f"f{n}", "type": "int"} for n in range(9000)]}
    )
    assert (await ask(api, "POST /subjects/s/versions", forked("string")))[0] == 200
    assert (await ask(api, "POST /subjects/t/versions", {"schema": avro}))[0] == 200
    long = asyncio.ensure_future(ask(api, line, forked("integer") if line.startswith("POST") else None))
    answered = 0
    while not long.done():
        await asyncio.wait([long], timeout=0.001)
        assert (await ask(api, "GET /subjects")) == (200, ["s", "t"])
        answered += 1
    assert answered > 3
    assert (await long)[0] in (200, 404)


async def test_not_too_many_wait() -> None:
    """Who comes when the queue is full is told to come again; when it has emptied there is room."""
    apart, gate = Apart(), threading.Event()
    taken = [asyncio.ensure_future(apart.run(gate.wait)) for _ in range(AT_A_TIME + WAITING_MOST)]
    await asyncio.wait(taken, timeout=0)
    with pytest.raises(Refused, match="too many") as refused:
        await apart.run(gate.wait)
    assert refused.value.status == 429
    left = taken.pop()
    left.cancel()
    gate.set()
    assert await asyncio.gather(*taken) == [True] * len(taken)
    assert await apart.run(gate.is_set)


async def test_what_is_waited_for_no_longer_is_not_begun() -> None:
    """And takes no place in the queue either."""
    apart, gate = Apart(), threading.Event()
    ran: list[str] = []
    busy = [asyncio.ensure_future(apart.run(gate.wait)) for _ in range(AT_A_TIME)]
    gone = asyncio.ensure_future(apart.run(lambda: ran.append("gone")))
    await asyncio.wait([gone], timeout=0.01)
    gone.cancel()
    await asyncio.wait([gone])
    gate.set()
    await asyncio.gather(*busy)
    await apart.run(lambda: ran.append("came"))
    assert ran == ["came"]
