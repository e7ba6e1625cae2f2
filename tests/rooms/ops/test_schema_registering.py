"""``mainstem schema register`` and ``give``: what holds for a subject from then on, and whose it is."""

from dataclasses import dataclass

from mainstem import IntegrationEvent, Service, Topic
from tests.rooms.ops.conftest import Shell

HERE = "tests.rooms.ops.test_schema_registering"


@dataclass
class Customer:
    number: str


@dataclass
class CustomerAndMore:
    number: str
    phone: str | None = None


class Paid(IntegrationEvent, topic="payments", namespace="Shop"):
    order: str


def customers(type_: type[object]) -> Topic[object]:
    """The same type on the wire, from another class."""
    return Topic("customers", type_, type_name="Shop.Customer", schema_id="prefix")


crm = Service("crm", publishes=(customers(Customer),))
grown = Service("crm", publishes=(customers(CustomerAndMore),))
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
