"""``mainstem schema register`` and ``give``: what holds for a subject from then on, and whose it is."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mainstem import IntegrationEvent, Service, Topic
from mainstem.web import Address
from mainstem.web.server import Request, Response, Route, serving
from tests.rooms.ops.conftest import Shell

HERE = "tests.rooms.ops.test_schema_registering"


@dataclass
class Customer:
    number: str


@dataclass
class CustomerAndMore:
    number: str
    phone: str | None = None


@dataclass
class CustomerOtherwise:
    name: str
    city: str


class Paid(IntegrationEvent, topic="payments", namespace="Shop"):
    order: str


def customers(type_: type[object]) -> Topic[object]:
    """The same type on the wire, from another class."""
    return Topic("customers", type_, type_name="Shop.Customer", schema_id="prefix")


crm = Service("crm", publishes=(customers(Customer),))
grown = Service("crm", publishes=(customers(CustomerAndMore),))
broken = Service("crm", publishes=(customers(CustomerOtherwise),))
till = Service("till", publishes=(Paid,))
thief = Service("thief", publishes=(Paid,))


def test_a_type_of_a_topic_may_get_a_field(shell: Shell) -> None:
    """As an event may, with a default: it is no class of ours, and a contract all the same."""
    assert shell("schema", "register", f"{HERE}:crm", "--registry", "./schemas").exit_code == 0
    grows = shell("schema", "check", f"{HERE}:grown", "--registry", "./schemas")
    assert "Shop.Customer: may follow, version 1 is registered" in grows.output
    assert shell("schema", "register", f"{HERE}:grown", "--registry", "./schemas").exit_code == 0


def test_what_was_given_can_be_given_back(shell: Shell) -> None:
    """What the registry knows as an older version would leave it with the service that it was given to."""
    assert shell("schema", "register", f"{HERE}:till", "--registry", "./schemas").exit_code == 0
    for number, (service, other) in enumerate((("thief", "till"), ("till", "thief"), ("thief", "till")), start=2):
        said = shell("schema", "give", "Shop.Paid", service, "--registry", "./schemas")
        assert said.output == f"Shop.Paid belongs to {service} from version {number} on\n"
        assert shell("schema", "register", f"{HERE}:{service}", "--registry", "./schemas").exit_code == 0
        assert shell("schema", "register", f"{HERE}:{other}", "--registry", "./schemas").exit_code == 1
    again = shell("schema", "give", "Shop.Paid", "thief", "--registry", "./schemas")
    assert again.output == "Shop.Paid belongs to thief from version 4 on\n"


def test_nothing_is_registered_where_the_lock_file_could_not_be_written(shell: Shell) -> None:
    """Else it would be, and no service could say which ids it got."""
    said = shell("schema", "register", f"{HERE}:till", "--registry", "./schemas", "--lock", "nowhere/schemas.lock")
    assert (said.exit_code, "there is no folder 'nowhere' for it" in said.stderr) == (2, True)
    assert not Path("schemas").exists()


@pytest.mark.parametrize("mistyped", ["htp://localhost:8081", "http//localhost:8081"])
def test_a_mistyped_url_is_no_folder(shell: Shell, mistyped: str) -> None:
    """Registering would make it, and say that all is well."""
    said = shell("schema", "register", f"{HERE}:till", "--registry", mistyped)
    assert (said.exit_code, f"'{mistyped}' names no registry of schemas" in said.stderr) == (1, True)


def test_who_names_neither_registry_nor_broker_is_told_of_both(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry needs no broker, so it is not the broker alone that is missing."""
    monkeypatch.delenv("MAINSTEM_BROKER")
    for command in (("list",), ("register", f"{HERE}:till"), ("check", f"{HERE}:till")):
        said = shell("schema", *command)
        assert said.exit_code == 1
        assert "no registry is named, and no broker that could have one" in said.stderr
        assert "folder:schemas" in said.stderr


def test_each_reason_of_a_refusal_has_a_line(shell: Shell) -> None:
    """They are long, and there may be many."""
    assert shell("schema", "register", f"{HERE}:crm", "--registry", "./schemas").exit_code == 0
    said = shell("schema", "register", f"{HERE}:broken", "--registry", "./schemas").stderr
    reasons = said.partition("why: ")[2].partition("\n  next:")[0].split("\n       ")
    assert len(reasons) > 1
    assert all(each.startswith("/") for each in reasons)


def test_two_subjects_are_told_apart(shell: Shell) -> None:
    """A difference between versions of two subjects names both."""
    for service in ("crm", "till"):
        assert shell("schema", "register", f"{HERE}:{service}", "--registry", "./schemas").exit_code == 0
    said = shell("schema", "diff", "Shop.Customer", "Shop.Paid", "--registry", "./schemas").stdout
    assert said.startswith("Shop.Customer: version 1, Shop.Paid version 1\n")


async def test_who_is_not_known_is_told_once(shell: Shell) -> None:
    """Not for each type: a wrong password is one fault."""
    asked: list[str] = []

    async def unknown(request: Request) -> Response:
        asked.append(request.url.path)
        return Response(b'{"error_code": 40101, "message": "who are you"}', status_code=401)

    async with serving([Route("/{rest:path}", unknown)], Address("127.0.0.1", 0)) as address:
        said = await shell.beside(
            "schema", "register", f"{HERE}:till", f"{HERE}:crm", "--registry", f"http://{address}"
        )
    assert (said.exit_code, said.stderr.count("who are you"), len(set(asked))) == (1, 1, 1)


def test_a_list_of_commands_is_not_cut_off(shell: Shell) -> None:
    """Half a sentence says nothing."""
    said = shell("schema", "--help").output
    assert "..." not in said.partition("Commands:")[2]


@pytest.mark.parametrize(("format_", "library"), [("avro", "fastavro"), ("protobuf", "google")])
def test_a_format_asks_for_its_own_extra(format_: str, library: str) -> None:
    """The one that the documentation names: who runs a service need not install what a registry needs."""
    program = f"""
import sys
sys.modules[{library!r}] = None
from mainstem import IntegrationEvent
from mainstem.errors import DefinitionError
from mainstem.events import declaration_of
from mainstem.schemas import codec_for

class Paid(IntegrationEvent, topic="payments", format={format_!r}):
    order: str

try:
    codec_for(declaration_of(Paid))
except DefinitionError as error:
    print(error.remedy)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout == f"pip install 'mainstem[{format_}]'\n"
