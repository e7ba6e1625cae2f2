"""Who may ask what, from where, and what is written down."""

import json
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from mainstem.clock import ManualClock
from mainstem.errors import DefinitionError, StartRefused
from mainstem.registry.contents import InMemory
from mainstem.registry.http import Account, Accounts, AccountsFile, Api, Deed, Exposure, Grant, Password, Right, Token
from mainstem.web import Address, Tls
from tests.rooms.registry.http.surface import ask, asked, basic, registry

HOME = Address("127.0.0.1", 0)
EVERYWHERE = Address("", 0)
STRING = {"schema": '"string"'}


def grant(subjects: str, *operations: Right) -> Grant:
    """A grant."""
    return Grant(subjects, frozenset(operations))


def account(name: str, *grants: Grant, **shown: str) -> Account:
    """An account, which has a token unless it has something else."""
    return Account(name, grants, **(shown or {"token": str(Token.hashed(f"{name}'s"))}))


def guarded(*accounts: Account, audit: list[Deed] | None = None, **exposure: Any) -> Api:
    """A registry that knows these accounts."""
    how = Exposure(HOME, accounts=Accounts(accounts), **exposure)
    return Api(InMemory(ManualClock()), ManualClock(), how, audit=([] if audit is None else audit).append)


def bearer(name: str) -> dict[str, str]:
    """The token of an account."""
    return {"authorization": f"Bearer {name}'s"}


async def code(api: Api, line: str, name: str, body: object = None) -> int:
    """The status of what one asks."""
    return (await ask(api, line, body, bearer(name)))[0]


# -- passwords and tokens


def test_a_password_is_kept_as_a_slow_hash() -> None:
    """It fits itself and no other, is written with its costs, and two of one text differ by their salts."""
    first, second = (Password.hashed("secret", salt) for salt in (b"one", b"two"))
    assert (Password.parse(str(first)) == first, first.fits("secret"), first.fits("Secret")) == (True, True, False)
    assert first.digest != second.digest
    assert (2**first.cost * first.block * first.lanes, str(first).partition("$")[0]) == (786_432, "scrypt")


@pytest.mark.parametrize(
    "text", ["", "secret", "scrypt$40$8$1$AA==$AA==", "scrypt$15$8$1$!$AA==", "sha256$AA", "scrypt$15$99$1$AA==$AA=="]
)
def test_what_is_no_hash_is_refused(text: str) -> None:
    """A password in clear text stops the start, and so do costs that would."""
    with pytest.raises(StartRefused, match="no hash"):
        Accounts((Account("a", password=text),))


@pytest.mark.parametrize(
    ("accounts", "fault"),
    [
        ((Account("a"),), "neither password"),
        ((account("a"), account("a")), "more than once"),
        ((account("anonymous"),), "nothing to show"),
    ],
)
def test_accounts_that_cannot_be_are_refused(accounts: tuple[Account, ...], fault: str) -> None:
    """When they are read, and each by its name."""
    with pytest.raises(StartRefused, match=fault):
        Accounts(accounts)


FILE = """
[[account]]
name = "ci"
token = "{}"
allow = [{{ subjects = "orders.", operations = ["read", "register"] }}]
"""


def test_a_file_of_accounts_is_read(tmp_path: Path) -> None:
    """With everything in it."""
    (tmp_path / "accounts.toml").write_text(FILE.format(Token.hashed("t")))
    (found,) = Accounts.load(tmp_path / "accounts.toml").tokens.values()
    assert (found.name, found.may("register", "orders.placed"), found.may("register", "billing")) == ("ci", True, False)


@pytest.mark.parametrize("text", ["[", FILE.format("t").replace("allow", "alow"), FILE.replace('"read"', '"reed"')])
def test_a_file_that_means_nothing_is_refused(tmp_path: Path, text: str) -> None:
    """A word that nobody knows could be a right that somebody counts on."""
    (tmp_path / "accounts.toml").write_text(text)
    with pytest.raises(DefinitionError, match="accounts cannot be read") as refused:
        Accounts.load(tmp_path / "accounts.toml")
    assert refused.value.remedy.endswith("operations are read, register, configure, delete")


async def test_a_file_of_accounts_that_changes_is_read_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who is taken out is not let in again, also by a password that was right before; a broken file changes nothing."""
    path, other = tmp_path / "accounts.toml", tmp_path / "other.toml"
    text = '[[account]]\nname = "{}"\n{} = "{}"\nallow = [{{ subjects = "", operations = ["read"] }}]\n'
    path.write_text(text.format("ann", "password", Password.hashed("secret", b"salt", 10)))
    api = Api(InMemory(ManualClock()), ManualClock(), Exposure(HOME, accounts=AccountsFile(path)), audit=lambda _: None)

    async def statuses() -> list[int]:
        ann, _ = await ask(api, "GET /subjects", None, basic("ann", "secret"))
        return [ann, await code(api, "GET /subjects", "bob")]

    assert await statuses() == [200, 401]
    path.write_text("[[account")
    assert await statuses() == [200, 401]
    assert await statuses() == [200, 401]
    assert [each.levelname for each in caplog.records].count("ERROR") == 1
    other.write_text(text.format("bob", "token", Token.hashed("bob's")))
    other.replace(path)
    assert await statuses() == [401, 200]
    path.unlink()
    assert await statuses() == [401, 200]


# -- where it listens


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_at_home_nothing_is_needed(host: str) -> None:
    """Who is on the machine is at home."""
    Exposure(Address(host, 8081)).check()


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "registry.example", "::ffff:10.0.0.1"])
def test_elsewhere_all_is_needed_at_once(host: str) -> None:
    """Without accounts and TLS it does not start, and says both."""
    with pytest.raises(StartRefused) as refused:
        Api(InMemory(ManualClock()), ManualClock(), Exposure(Address(host, 8081)))
    assert [("accounts" in fault.what, "TLS" in fault.what) for fault in refused.value.faults] == [
        (True, False),
        (False, True),
    ]


def test_elsewhere_accounts_and_tls_or_a_proxy_do() -> None:
    """Either way passwords are not sent in clear text."""
    accounts = Accounts((account("a"),))
    Exposure(EVERYWHERE, Tls(Path("a"), Path("b")), accounts).check()
    Exposure(EVERYWHERE, None, accounts, (ip_network("10.0.0.0/8"),)).check()


async def test_a_proxy_is_not_passed_by() -> None:
    """Who comes without TLS, and not from the proxy, is refused before a password is looked at."""
    api = guarded(account("a", grant("", "read")), proxies=(ip_network("10.0.0.0/8"),))
    ways = [("10.0.0.1", False), ("::ffff:10.0.0.1", False), ("192.0.2.1", True), ("127.0.0.1", False)]
    for client, encrypted in ways:
        request = asked("GET /subjects", headers=bearer("a"), client=client, encrypted=encrypted)
        assert (await api.answer(request)).status == 200
    assert (await api.answer(asked("GET /subjects", headers=bearer("a"), client="192.0.2.1"))).status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:8081"}, 200),
        ({"host": "[::1]:8081"}, 200),
        ({"host": ""}, 200),
        ({"host": "evil.example:8081"}, 403),
        ({"host": "localhost:8081", "origin": "http://localhost:8081"}, 200),
        ({"host": "localhost:8081", "origin": "http://evil.example"}, 403),
        ({"host": "evil.example:8081", "origin": "http://evil.example:8081"}, 403),
        ({"host": "localhost:8081", "origin": "null"}, 403),
    ],
)
async def test_a_page_of_another_site_gets_nothing(headers: Mapping[str, str], status: int) -> None:
    """A browser on this machine is no door, whatever name its page has pointed here."""
    assert (await ask(Api(InMemory(ManualClock()), ManualClock()), "GET /subjects", headers=headers))[0] == status


# -- who asks


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (basic("p", "secret"), 200),
        (basic("p", "other"), 401),
        (basic("q", "secret"), 401),
        ({"authorization": "Basic !"}, 401),
        ({"authorization": "Basic " + "cA=="}, 401),
        ({"authorization": "Basic /////w=="}, 401),
        (bearer("t"), 200),
        (bearer("p"), 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": "Digest x"}, 401),
        ({}, 401),
    ],
)
async def test_who_asks_is_known_or_not(headers: Mapping[str, str], status: int) -> None:
    """By password or token; twice, for the second time a password is known by its fast hash."""
    all_of_it = grant("", "read")
    stored = str(Password.hashed("secret", b"salt", 10))
    api = guarded(account("p", all_of_it, password=stored), account("t", all_of_it))
    assert [(await ask(api, "GET /subjects", headers=headers))[0] for _ in range(2)] == [status, status]


async def test_a_certificate_says_who_asks() -> None:
    """By the common name that its authority has signed."""
    api = guarded(account("b", grant("", "read"), certificate="billing"))
    found = [await api.answer(asked("GET /subjects", common_name=name)) for name in ("billing", "other", None)]
    assert [each.status for each in found] == [200, 401, 401]


async def test_who_shows_nothing_may_have_an_account() -> None:
    """A registry that everybody may read, and a wrong password is still wrong."""
    api = guarded(Account("anonymous", (grant("", "read"),)))
    assert (await ask(api, "GET /subjects"))[0] == 200
    assert (await ask(api, "GET /subjects", headers=basic("a", "b")))[0] == 401
    assert (await ask(api, "GET /subjects", headers={"authorization": "Digest a"}))[0] == 401
    assert (await ask(api, "PUT /config", {"compatibility": "NONE"}))[0] == 403


# -- what one may


RIGHTS: list[tuple[str, str, object]] = [
    ("read", "GET /subjects/{}/versions", None),
    ("read", "GET /subjects/{}/versions/1", None),
    ("read", "GET /subjects/{}/versions/1/schema", None),
    ("read", "GET /subjects/{}/versions/1/referencedby", None),
    ("read", "GET /subjects/{}/metadata", None),
    ("read", "POST /subjects/{}", STRING),
    ("read", "POST /compatibility/subjects/{}/versions", STRING),
    ("read", "POST /compatibility/subjects/{}/versions/1", STRING),
    ("read", "GET /config/{}?defaultToGlobal=true", None),
    ("read", "GET /mode/{}?defaultToGlobal=true", None),
    ("register", "POST /subjects/{}/versions", STRING),
    ("configure", "PUT /config/{}", {"compatibility": "NONE"}),
    ("configure", "DELETE /config/{}", None),
    ("configure", "PUT /mode/{}", {"mode": "READWRITE"}),
    ("configure", "DELETE /mode/{}", None),
    ("delete", "DELETE /subjects/{}/versions/1", None),
    ("delete", "DELETE /subjects/{}?permanent=true", None),
]


@pytest.mark.parametrize("subject", ["mine.s", ":.:mine.s", ":.team:s"])
async def test_a_right_is_for_subjects_that_begin_so(subject: str) -> None:
    """Who has one right has this one, below this prefix; however a subject and its context are spelt."""
    for operation in ("read", "register", "configure", "delete"):
        right: Right = operation
        api = guarded(
            account("root", grant("", "read", "register", "configure", "delete")),
            account("one", grant("mine.", right), grant(":.team:", right)),
        )
        for name in (subject, "other"):
            assert await code(api, f"POST /subjects/{name}/versions", "root", STRING) == 200
        for needed, line, body in RIGHTS:
            status = await code(api, line.format(subject), "one", body)
            assert (status != 403) is (needed == right), (line, status)
            assert await code(api, line.format("other"), "one", body) == 403, line


@pytest.mark.parametrize(
    ("line", "body", "status"),
    [
        ("PUT /config", {"compatibility": "NONE"}, 403),
        ("DELETE /config", None, 403),
        ("PUT /mode", {"mode": "READONLY"}, 403),
        ("DELETE /mode", None, 403),
        ("PUT /config/:.:", {"compatibility": "NONE"}, 403),
        ("PUT /contexts/.team/config", {"compatibility": "NONE"}, 403),
        ("DELETE /contexts/.team", None, 403),
        ("GET /config", None, 200),
        ("GET /mode", None, 200),
        ("GET /schemas/types", None, 200),
    ],
)
async def test_the_whole_is_more_than_its_parts(line: str, body: object, status: int) -> None:
    """What counts for all may be read by who reads anything, and changed by who may change everything."""
    api = guarded(account("one", grant("mine.", "read", "register", "configure", "delete")))
    assert await code(api, line, "one", body) == status


async def test_a_listing_shows_what_one_may_read() -> None:
    """Names, schemas, contexts, ids: what one may not read is not there."""
    api = guarded(
        account("root", grant("", "read", "register")), account("one", grant("mine.", "read")), account("none")
    )
    for subject, kind in (("mine.s", "string"), ("other", "number"), (":.team:s", "number"), ("theirs", "string")):
        body = {"schemaType": "JSON", "schema": json.dumps({"type": kind})}
        assert await code(api, f"POST /subjects/{subject}/versions", "root", body) == 200

    async def seen(name: str, line: str) -> Any:
        return (await ask(api, line, headers=bearer(name)))[1]

    assert [await seen(name, "GET /subjects") for name in ("one", "none")] == [["mine.s"], []]
    assert [each["subject"] for each in await seen("one", "GET /schemas")] == ["mine.s"]
    assert [await seen(name, "GET /contexts") for name in ("root", "one", "none")] == [[".", ".team"], ["."], []]
    assert await seen("one", "GET /schemas/ids/1/subjects") == ["mine.s"]
    assert await seen("one", "GET /schemas/ids/1/versions") == [{"subject": "mine.s", "version": 1}]
    guid = (await seen("root", "GET /schemas/ids/2"))["guid"]
    hidden = ["ids/2", "ids/2/schema", "ids/2/subjects", "ids/2/versions", f"guids/{guid}", f"guids/{guid}/ids"]
    for path in hidden:
        assert (await seen("one", f"GET /schemas/{path}"))["error_code"] == 40403, path
        assert "error_code" not in await seen("root", f"GET /schemas/{path}"), path
    assert await code(api, "GET /config", "none") == 403


async def test_a_reference_is_read() -> None:
    """Who may not read a subject learns nothing of it by referring to it."""
    api = guarded(account("root", grant("", "read", "register")), account("one", grant("mine.", "read", "register")))
    assert await code(api, "POST /subjects/other/versions", "root", STRING) == 200
    body = {
        "schemaType": "JSON",
        "schema": '{"$ref": "o.json"}',
        "references": [{"name": "o.json", "subject": "other", "version": 1}],
    }
    for line in ("/subjects/mine.s/versions", "/subjects/mine.s", "/compatibility/subjects/mine.s/versions"):
        assert await code(api, f"POST {line}", "one", body) == 403


def avro(name: str, kind: str, *references: str) -> dict[str, object]:
    """A body with a record that holds one field, and refers to the subjects of the types that it names."""
    fields = [{"name": "of", "type": kind}]
    schema = {"type": "record", "name": name, "fields": fields}
    refers = [{"name": kind, "subject": each, "version": 1} for each in references]
    return {"schema": json.dumps(schema), "references": refers}


async def test_what_stands_behind_a_reference_is_read_by_who_may_read_it() -> None:
    """Neither in a text that has everything in it, nor by a reference to a reference, nor as who refers to what."""
    api = guarded(account("root", grant("", "read", "register")), account("one", grant("mine.", "read", "register")))
    assert await code(api, "POST /subjects/other/versions", "root", avro("Other", "string")) == 200
    assert await code(api, "POST /subjects/mine.s/versions", "root", avro("Mine", "Other", "other")) == 200
    assert await code(api, "POST /subjects/other.t/versions", "root", avro("Top", "Mine", "mine.s")) == 200
    guid = (await ask(api, "GET /schemas/ids/2", headers=bearer("root")))[1]["guid"]
    for line in ("/schemas/ids/2", f"/schemas/guids/{guid}", "/subjects/mine.s/versions/1", "/schemas/ids/2/schema"):
        assert await code(api, f"GET {line}", "one") == 200
        assert await code(api, f"GET {line}?format=resolved", "one") == 403
        assert await code(api, f"GET {line}?format=resolved", "root") == 200
    listed = await ask(api, "GET /schemas?format=resolved", headers=bearer("one"))
    assert [json.loads(each["schema"])["fields"][0]["type"] for each in listed[1]] == ["Other"]
    assert await ask(api, "GET /subjects/mine.s/versions/1/referencedby", headers=bearer("one")) == (200, [])
    assert await ask(api, "GET /subjects/mine.s/versions/1/referencedby", headers=bearer("root")) == (200, [3])
    assert await code(api, "POST /subjects/mine.t/versions", "one", avro("Top", "Mine", "mine.s")) == 403


async def test_a_reference_of_an_alias_is_that_of_what_it_stands_for() -> None:
    """A name without a context means the context of the subject, and not that of its alias."""
    api = guarded(
        account("root", grant("", "read", "register", "configure")),
        account("one", grant("mine.", "read", "register"), grant("open", "read"), grant(":.west:mine.", "register")),
    )
    for line in ("/subjects/open/versions", "/contexts/.west/subjects/open/versions"):
        assert await code(api, f"POST {line}", "root", avro("Open", "string")) == 200
    assert await code(api, "PUT /config/mine.s", "root", {"alias": ":.west:mine.s"}) == 200
    assert await code(api, "POST /subjects/mine.s/versions", "one", avro("Mine", "Open", "open")) == 403
    assert await code(api, "POST /subjects/mine.t/versions", "one", avro("Mine", "Open", "open")) == 200


async def test_an_alias_opens_no_door() -> None:
    """Another name for a subject is given by who may configure it, and used by who may use it."""
    api = guarded(
        account("root", grant("", "read", "register", "configure")),
        account("one", grant("mine.", "read", "register", "configure", "delete")),
    )
    assert await code(api, "POST /subjects/other/versions", "root", STRING) == 200
    assert await code(api, "PUT /config/mine.s", "one", {"alias": "other"}) == 403
    assert await code(api, "PUT /config/mine.s", "root", {"alias": "other"}) == 200
    assert await code(api, "GET /subjects/mine.s/versions", "root") == 200
    assert await code(api, "GET /subjects/mine.s/versions", "one") == 403
    assert await code(api, "POST /subjects/mine.s/versions", "one", STRING) == 403
    assert await code(api, "DELETE /subjects/mine.s", "one") == 403


# -- what is written down


async def test_what_changes_something_is_written_down() -> None:
    """Who, from where, what and with what outcome; what was refused too, and what only reads not."""
    deeds: list[Deed] = []
    api = guarded(account("one", grant("mine.", "read", "register")), audit=deeds, proxies=(ip_network("10.0.0.1"),))
    body = json.dumps(STRING).encode()
    came = {**bearer("one"), "x-forwarded-for": "198.51.100.7, 192.0.2.9"}
    for line in ("POST /subjects/mine.s/versions", "POST /subjects/other/versions", "POST /subjects/mine.s"):
        await api.answer(asked(line, body, came, client="10.0.0.1"))
    await api.answer(asked("GET /subjects", headers={"x-forwarded-for": "192.0.2.9"}, client="127.0.0.1"))
    assert [(each.who, each.client, each.method, each.subject, each.status, each.code) for each in deeds] == [
        ("one", "192.0.2.9", "POST", "mine.s", 200, 0),
        ("one", "192.0.2.9", "POST", "other", 403, 403),
        ("", "127.0.0.1", "GET", "", 401, 401),
    ]
    assert all(each.at_ms == ManualClock().now_ms() for each in deeds)


async def test_what_a_bug_has_stopped_is_written_down_too() -> None:
    """Who asked for it is told as little as anybody, and the trail has it."""
    deeds: list[Deed] = []
    answer = await registry("broken", deeds).answer(asked("DELETE /subjects/s"))
    assert (answer.status, b"a bug" in answer.body) == (500, False)
    assert [(each.method, each.subject, each.status, each.code) for each in deeds] == [("DELETE", "s", 500, 50001)]


async def test_a_deed_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """A name with a line break in it forges no line of its own."""
    with caplog.at_level("INFO", "mainstem.registry.audit"):
        await ask(Api(InMemory(ManualClock()), ManualClock()), "DELETE /subjects/a%0Ab")
    (line,) = [record.getMessage() for record in caplog.records]
    assert ("\n" in line, json.loads(line)["subject"]) == (False, "a\nb")
