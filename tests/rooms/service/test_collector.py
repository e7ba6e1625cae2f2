"""A process that serves does not walk through what it has loaded again and again."""

import asyncio
import gc
import os
import signal

from mainstem.service import serve
from mainstem.settings import Settings
from tests.journeys.conditions import Collected, until
from tests.rooms.service.events import OrderPaid, embedded


async def test_what_is_loaded_is_not_collected_while_serving() -> None:
    """A walk through all modules stops a process for tens of milliseconds; afterwards all is as it was before."""
    gc.unfreeze()  # the tests before this one have left something
    shop = Collected("shop", OrderPaid)
    async with embedded() as broker:
        serving = asyncio.create_task(serve(shop.service, broker=broker, dev=True, settings=Settings()))
        await until(lambda: gc.get_freeze_count() > 10_000)
        os.kill(os.getpid(), signal.SIGTERM)
        await serving
    assert gc.get_freeze_count() == 0
