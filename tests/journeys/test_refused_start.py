"""A start that is refused leaves nothing behind."""

from pathlib import Path

import pytest

from mainstem import IntegrationEvent, Service, running
from mainstem.errors import StartRefused
from mainstem.settings import Settings


class OrderPaid(IntegrationEvent, topic="orders", key="customer_id"):
    customer_id: str


class Bank:
    """Nobody provides one."""


def shop() -> Service:
    """A service that is sound."""
    service = Service("shop")

    @service.on(OrderPaid)
    async def tally(order: OrderPaid) -> None: ...

    return service


def bankrupt() -> Service:
    """A service that wants what nobody provides."""
    service = Service("bankrupt")

    @service.on(OrderPaid)
    async def charge(order: OrderPaid, bank: Bank) -> None: ...

    return service


async def refused(service: Service, path: Path, *, dev: bool) -> str:
    """What is said about a start on this file."""
    with pytest.raises(StartRefused) as error:
        async with running(service, broker=f"sqlite:///{path}", dev=dev, settings=Settings()):
            pass
    return str(error.value)


def left(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(each.name for each in folder.iterdir())


async def test_faults_are_told_before_a_file_is_made(tmp_path: Path) -> None:
    """Without --dev the missing topics are told, with it the faults of the service; the folder stays empty."""
    path = tmp_path / "shop.db"
    assert "topics 'orders'" in await refused(shop(), path, dev=False)
    assert "wants a Bank" in await refused(bankrupt(), path, dev=True)
    assert left(tmp_path) == []


@pytest.mark.parametrize("content", [b"a letter to a friend", b"SQLite format 3\0" + bytes(84)])
async def test_nothing_is_left_beside_a_file_that_is_not_ours(content: bytes, tmp_path: Path) -> None:
    """Somebody else's file is refused as it is, without a lock file; and no topic is said to be missing in it."""
    path = tmp_path / "letter.txt"
    path.write_bytes(content)
    said = await refused(shop(), path, dev=False)
    assert "The file is not a database of Mainstem" in said
    assert "topic" not in said
    assert left(tmp_path) == ["letter.txt"]
    assert path.read_bytes() == content


async def test_a_sound_start_makes_the_file(tmp_path: Path) -> None:
    """What was refused and has been mended starts."""
    path = tmp_path / "shop.db"
    await refused(bankrupt(), path, dev=True)
    async with running(shop(), broker=f"sqlite:///{path}", dev=True, settings=Settings()):
        assert path.exists()
