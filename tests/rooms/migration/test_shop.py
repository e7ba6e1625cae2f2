"""A shop in a file is moved by the command, and goes on where it was."""

import asyncio
from pathlib import Path

import pytest

from mainstem.errors import DatabaseMoved
from tests.rooms.migration.journey import Shop, command, memory
from tests.rooms.ops.shop import OrderPaid


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def test_a_shop_goes_on_where_it_was() -> None:
    """Orders that wait, dead letters, memory and timers are all there after the move, each once."""
    here, there = "sqlite:///here.db", "sqlite:///there.db"
    shop = Shop()
    await shop.open(here, 300)
    before = await memory(here)
    moved = await asyncio.to_thread(command, "migrate", "--from", here, "--to", there)
    assert moved.exit_code == 0, moved.output
    print(moved.output)
    after = await memory(there)
    assert after == before
    with pytest.raises(DatabaseMoved, match=r"there\.db"):
        await shop.trade(here, OrderPaid("customer-1", 1))
    await shop.close(there, 100)
