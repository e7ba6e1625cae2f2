"""On a real Kafka: a subject has one service, and a second one that publishes the type does not start."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mainstem import IntegrationEvent, Service, running
from mainstem.errors import RegistryRefused, StartRefused
from mainstem.registry import LocalRegistry
from mainstem.service.promises import registered, stated_by
from mainstem.service.registry import registry_access, schema_registry
from tests.kafka.waiter import SETTINGS


async def test_a_second_service_is_told_whose_a_type_is(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    """Where it registers the schema, and at its start; by the registry that is kept on the broker itself."""
    broker = f"kafka://{kafka}?state_folder={tmp_path}"

    class Paid(IntegrationEvent, topic=unique("payments"), name=unique("Paid")):
        order: str

    till, bank = Service(unique("till"), publishes=(Paid,)), Service(unique("bank"), publishes=(Paid,))
    async with running(till, bank, broker=broker, dev=True, settings=SETTINGS):
        """The topics are made, and in play nobody asks."""
    service = schema_registry()
    async with running(service, broker=broker, dev=True, settings=SETTINGS), registry_access(service) as access:
        registry = LocalRegistry(access)
        for each in stated_by(till.name, till.published):
            await registered(each, registry)
        for each in stated_by(bank.name, bank.published):
            with pytest.raises(RegistryRefused, match=f"belongs to the service '{till.name}'"):
                await registered(each, registry)
    async with running(till, broker=broker, settings=SETTINGS, consume=False):
        """Its own schema is registered."""
    with pytest.raises(StartRefused, match=f"belongs to the service '{till.name}'"):
        async with running(bank, broker=broker, settings=SETTINGS, consume=False):
            raise AssertionError("it has started")
