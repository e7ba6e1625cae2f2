"""The command line on a real file, in this process; and services that run while commands are given."""

import asyncio
import faulthandler
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from mainstem.ops.program import mainstem
from mainstem.service import Running, Service, running
from tests.journeys.conditions import until
from tests.rooms.ops.shop import OrderPaid, loyalty

SHOP = "tests.rooms.ops.shop"


@dataclass
class Shell:
    """A folder with a broker's file in it, and the command line."""

    folder: Path
    broker: str

    def __call__(self, *arguments: str, typed: str | None = None) -> Result:
        """Give a command; what goes wrong unexpectedly is raised."""
        try:
            return CliRunner().invoke(mainstem, arguments, input=typed, catch_exceptions=False)
        finally:
            # Here the process goes on.
            faulthandler.cancel_dump_traceback_later()

    def json(self, *arguments: str, typed: str | None = None) -> list[dict[str, Any]]:
        """Give a command with ``--json``; a single object comes as a list of one."""
        result = self(*arguments, "--json", typed=typed)
        assert result.exit_code == 0, result.stderr
        found = msgspec.json.decode(result.stdout)
        return found if isinstance(found, list) else [found]

    async def beside(self, *arguments: str) -> Result:
        """Give a command while services run in this event loop."""
        return await asyncio.to_thread(self, *arguments)

    @asynccontextmanager
    async def running(self, *services: Service) -> AsyncIterator[Running]:
        """Services on the same file."""
        async with running(*services, broker=self.broker, dev=True) as process:
            yield process

    async def fail(self, *customers: str, later: int = 0) -> None:
        """Let an order of each customer become a dead letter, with so many orders waiting behind it."""
        async with self.running(loyalty) as process:
            await loyalty.publish(*(OrderPaid(each, -5) for each in customers))
            await loyalty.publish(*(OrderPaid(each, 1) for each in customers for _ in range(later)))

            async def all_done() -> bool:
                tasks = await process.statistics()
                done = sum(each.counters.handled for each in tasks)
                return done == len(customers) * (1 + later) and not sum(each.lag for each in tasks)

            await until(all_done)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A command line in an empty folder; the environment names the broker."""
    monkeypatch.chdir(tmp_path)
    broker = f"sqlite:///{tmp_path}/shop.db"
    monkeypatch.setenv("MAINSTEM_BROKER", broker)
    return Shell(tmp_path, broker)
