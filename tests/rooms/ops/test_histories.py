"""What a service has recorded for itself, read after its class has changed or gone."""

import asyncio
import io
import json
from typing import Annotated, Any

import pytest
from fastavro import schemaless_reader

from mainstem import Consumer, DomainEvent, Service
from mainstem.events import EventFormat
from mainstem.ops.schema.opening import read_registry
from mainstem.schemas import FieldNumber
from mainstem.schemas.framing import unframed
from mainstem.schemas.upcasting import rename
from tests.journeys.conditions import until
from tests.rooms.ops.conftest import Shell

HERE = "tests.rooms.ops.test_histories"
FORMS: tuple[EventFormat, ...] = ("json", "avro", "protobuf")


def recorded(form: EventFormat) -> tuple[Service, type[Any]]:
    """The service as it was."""

    class Taken(DomainEvent, topic=f"seats.{form}", key="seat", service="booking", format=form, schema_id="prefix"):
        seat: Annotated[str, FieldNumber(1)]
        passenger: Annotated[str, FieldNumber(2)]

    service = Service("booking", publishes=(Taken,))
    service.topic(f"seats.{form}", partitions=1)
    return service, Taken


def renamed(form: EventFormat) -> tuple[Service, list[Any]]:
    """The service as it is now: a field has another name, and one is new."""

    class Taken(
        DomainEvent, topic=f"seats.{form}", key="seat", service="booking", format=form, schema_id="prefix", version=2
    ):
        seat: Annotated[str, FieldNumber(1)]
        guest: Annotated[str, FieldNumber(2)]
        fare_cents: Annotated[int, FieldNumber(3)] = 0

    Taken.upcast(1, rename("passenger", "guest"))
    service, seen = Service("booking"), list[Any]()

    @service.on(Taken)
    async def read(event: Taken) -> None:
        seen.append((event.seat, event.guest, event.fare_cents))

    return service, seen


BEFORE = {form: recorded(form) for form in FORMS}
AFTER = {form: renamed(form) for form in FORMS}
json_before, avro_before, protobuf_before = (BEFORE[form][0] for form in FORMS)
json_after, avro_after, protobuf_after = (AFTER[form][0] for form in FORMS)


async def history(shell: Shell, form: EventFormat) -> None:
    """Two seats are taken, in production, by a service whose schema is registered."""
    service, taken = BEFORE[form]
    async with shell.running(service):
        """The topics are made."""
    said = await shell.beside("schema", "register", f"{HERE}:{form}_before")
    assert said.exit_code == 0, said.output
    async with service.running(broker=shell.broker, consume=False):
        await service.publish(taken("1A", "Ann"), taken("1B", "Bob"))


@pytest.mark.parametrize("form", FORMS)
async def test_a_history_is_read_after_a_field_was_renamed(shell: Shell, form: EventFormat) -> None:
    """Each form has a subject, in the context of the service alone; events of both are given as the new one."""
    await history(shell, form)
    assert (await shell.beside("schema", "register", f"{HERE}:{form}_after")).exit_code == 0
    async with read_registry(None, shell.broker, dev=False) as registry:
        assert await registry.subjects() == []
        assert await registry.subjects(":.booking:") == [":.booking:Taken", ":.booking:Taken.v2"]
        assert await registry.level(":.booking:Taken") == "BACKWARD_TRANSITIVE"
    assert (await shell.beside("topics", "apply", f"{HERE}:{form}_after")).exit_code == 0
    service, seen = AFTER[form]
    async with service.running(broker=shell.broker):
        await until(lambda: len(seen) == 2)
    assert seen == [("1A", "Ann", 0), ("1B", "Bob", 0)]


@pytest.mark.parametrize("form", FORMS)
async def test_a_history_is_read_after_its_class_has_gone(shell: Shell, form: EventFormat) -> None:
    """The id before a payload finds the schema, in the context of its service, and that says everything."""
    await history(shell, form)
    payloads: list[bytes] = []
    async with Consumer(f"seats.{form}", group="archive", broker=shell.broker) as consumer:
        async for message in consumer:
            assert message.value is not None
            payloads.append(message.value)
            if len(payloads) == 2:
                break
    framed = [unframed(each, {}, indexed=form == "protobuf") for each in payloads]
    async with read_registry(None, shell.broker, dev=False) as registry:
        schema = await registry.by_id(framed[0].id or 0, ":.booking:")
    [shown] = await asyncio.to_thread(shell.json, "schema", "show", ":.booking:Taken")
    assert shown["schema"] == schema.text
    if form == "json":
        assert json.loads(schema.text)["required"] == ["seat", "passenger"]
        assert json.loads(framed[0].payload) == {"seat": "1A", "passenger": "Ann"}
    elif form == "avro":
        assert schemaless_reader(io.BytesIO(framed[1].payload), json.loads(schema.text), None) == {
            "seat": "1B",
            "passenger": "Bob",
        }
    else:
        assert "string passenger = 2;" in schema.text
        assert framed[0].payload == b"\x0a\x021A\x12\x03Ann"
