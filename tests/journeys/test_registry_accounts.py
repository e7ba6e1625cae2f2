"""What the page about the registry says of accounts is enough for what it says that they do."""

import re
import tomllib

import msgspec
import pytest

from mainstem import IntegrationEvent
from mainstem.errors import RegistryRefused
from mainstem.events import declaration_of
from mainstem.registry.http import Account, Accounts, Exposure, Password, Token
from mainstem.schemas.registries import RemoteRegistry
from mainstem.service.promises import registered, stated_by
from mainstem.web import Address
from mainstem.web.client import Client, Credentials
from tests.architecture.source import ROOT
from tests.rooms.registry.http.live import listening

PAGE = (ROOT / "docs" / "registry.md").read_text(encoding="utf-8")
HASHES = {"password": str(Password.hashed("geheim", b"salt", 10)), "token": str(Token.hashed("random"))}


class Placed(IntegrationEvent, topic="orders", namespace="Shop"):
    number: str


def accounts() -> Accounts:
    """Those of the page, with hashes where it has dots."""
    [text] = [
        each for each in re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if "[[account]]" in each
    ]
    written = tomllib.loads(text)["account"]
    return Accounts(tuple(msgspec.convert({**each, **_shown(each)}, Account) for each in written))


def _shown(account: dict[str, object]) -> dict[str, str]:
    return {name: made for name, made in HASHES.items() if name in account}


async def test_the_accounts_of_the_page_may_do_what_it_says() -> None:
    """One registers a type, with its level and the name of its topic; the other one looks at it."""
    [stated] = stated_by("shop", [declaration_of(Placed)])
    with listening(Exposure(Address("127.0.0.1", 0), None, accounts())) as address:
        async with Client([f"http://shop-ci:geheim@{address}"], Credentials()) as client:
            assert (await registered(stated, RemoteRegistry(client))).version == 1
        async with Client([f"http://{address}"], Credentials(token="random")) as client:
            registry = RemoteRegistry(client)
            assert await registry.level("Shop.Placed") == "FULL_TRANSITIVE"
            found = await registry.version("orders-value", "latest")
            assert found is not None
            assert found.subject == "Shop.Placed"
            with pytest.raises(RegistryRefused, match="shop may not register"):
                await registry.register("Shop.Placed", stated.schema)
