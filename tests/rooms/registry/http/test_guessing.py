"""Who guesses passwords takes no more than a share, and who has the right one does not wait behind him."""

import asyncio

from mainstem.clock import ManualClock
from mainstem.registry.contents import InMemory
from mainstem.registry.http import Account, Accounts, Api, Exposure, Grant, Password
from mainstem.web import Address
from tests.rooms.registry.http.surface import ask, basic

AT_ONCE = 60


async def statuses(api: Api, password: str) -> list[int]:
    """What is answered to many who come at once."""
    answers = [ask(api, "GET /subjects", headers=basic("ci", password)) for _ in range(AT_ONCE)]
    return [status for status, _ in await asyncio.gather(*answers)]


async def test_only_so_many_passwords_are_looked_at() -> None:
    """Some wait, the others are told to come again; and a password that was right once is known at once."""
    grants = (Grant("", frozenset(("read",))),)
    account = Account("ci", grants, str(Password.hashed("right", b"salt of the account", 12)))
    exposure = Exposure(Address("127.0.0.1", 0), accounts=Accounts((account,)))
    api = Api(InMemory(ManualClock()), ManualClock(), exposure, audit=lambda _deed: None)
    assert set(await statuses(api, "wrong")) == {401, 429}
    assert (await ask(api, "GET /subjects", headers=basic("ci", "right")))[0] == 200
    assert set(await statuses(api, "right")) == {200}
