"""A cluster that knows its users: what it refuses is told at once, with what it was about and what to do."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from mainstem import Context, IntegrationEvent, Service
from mainstem.clock import SystemClock
from mainstem.errors import BrokerAway, MainstemError, NotAllowed, StartRefused
from mainstem.identifiers import Identifiers
from mainstem.ops.schema.contracts import KnowsForeignGroups
from mainstem.service import Existing, connected, groups_of, running, topics_of
from mainstem.settings import Settings
from tests.journeys.conditions import until
from tests.kafka.failures.test_errors import Make, require
from tests.kafka.test_foreign_groups import commit
from tools.kafka import Cluster

QUICK = Settings(session_timeout_seconds=3, grace_seconds=2, commit_interval_ms=5)
SETTINGS = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    # Who comes through the listener without any security: the brokers themselves, and a test that arranges things.
    "super.users": "User:ANONYMOUS",
    "sasl.enabled.mechanisms": "PLAIN",
    "listener.name.sasl_plaintext.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule "
    'required user_shop="secret" user_modest="secret";',
    "ssl.keystore.type": "PKCS12",
    "ssl.keystore.password": "password",
}


class Guarded:
    """The cluster, and who may do what."""

    def __init__(self, cluster: Cluster) -> None:
        self.plain = cluster.address
        self.sasl = cluster.address_of("SASL_PLAINTEXT")
        self.ssl = cluster.address_of("SSL")
        self._admin = AdminClient({"bootstrap.servers": cluster.address})

    def rule(
        self,
        kind: ResourceType,
        name: str,
        *operations: AclOperation,
        user: str = "shop",
        pattern: ResourcePatternType = ResourcePatternType.LITERAL,
        allowed: bool = True,
    ) -> None:
        """Let a user do something, or not."""
        permission = AclPermissionType.ALLOW if allowed else AclPermissionType.DENY
        rules = [
            AclBinding(kind, name, pattern, f"User:{user}", "*", operation, permission) for operation in operations
        ]
        for future in self._admin.create_acls(rules).values():
            future.result()

    def deny(self, kind: ResourceType, name: str, operation: AclOperation) -> None:
        """Take one right from the user who has all others."""
        self.rule(kind, name, operation, allowed=False)

    def url(self, name: str, *, user: str = "shop", password: str = "secret", more: str = "") -> str:
        """The broker's URL for a user."""
        return (
            f"kafka://{self.sasl}?state_folder=/tmp/mainstem-test-copies/{name}&answer_seconds=8"
            "&security.protocol=SASL_PLAINTEXT&sasl.mechanism=PLAIN"
            f"&sasl.username={user}&sasl.password={password}{more}"
        )


@pytest.fixture(scope="module")
def guarded(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One node with users, and with a certificate that nobody has signed."""
    folder = tmp_path_factory.mktemp("guarded")
    store = folder / "keys.p12"
    command = "keytool -genkeypair -keyalg RSA -alias broker -storetype PKCS12 -storepass password -dname CN=localhost"
    subprocess.run([*command.split(), "-keystore", str(store)], check=True, capture_output=True)
    settings = {**SETTINGS, "ssl.keystore.location": str(store)}
    cluster = Cluster(folder, kafka_jars, settings=settings, ends_with_us=True)
    try:
        cluster.start(further=("SASL_PLAINTEXT", "SSL"))
        guarded = Guarded(cluster)
        for kind in (ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID):
            guarded.rule(kind, "*", AclOperation.ALL)
        guarded.rule(ResourceType.BROKER, "kafka-cluster", AclOperation.ALL)
        yield guarded
    finally:
        for node in cluster.nodes:
            node.kill()


def echo(name: str, told: list[str]) -> tuple[Service, Make]:
    """A service that reads one topic, remembers, and writes another."""

    class Sent(IntegrationEvent, topic=f"{name}-sent", key="key", name="Sent"):
        key: str

    class Echoed(IntegrationEvent, topic=f"{name}-echoed", key="key", name="Echoed"):
        key: str

    service = Service(name, publishes=(Sent,))
    service.topic(f"{name}-sent", partitions=1)
    service.topic(f"{name}-echoed", partitions=1)
    seen = service.store("seen", int)

    @service.on(Sent)
    def hear(sent: Sent, context: Context) -> Echoed:
        context.put(seen, context.get(seen, 0) + 1)
        told.append(sent.key)
        return Echoed(sent.key)

    return service, Sent


async def apply(guarded: Guarded, service: Service, options: str = "") -> None:
    """Create what a service needs, as a user who may."""
    clock = SystemClock()
    async with connected(f"kafka://{guarded.plain}{options}", clock, Identifiers(clock)) as broker:
        await broker.admin.prepare(topics_of([service]), groups_of([service], Existing(), QUICK))


async def ended(guarded: Guarded, name: str) -> MainstemError:
    """Run a service that has an event to handle, and return what it ends with."""
    service, sent = echo(name, [])
    try:
        async with asyncio.timeout(40), running(service, broker=guarded.url(name), settings=QUICK):
            await service.publish(sent("a"))
            await asyncio.Event().wait()
    except NotAllowed as error:
        return error
    except StartRefused as refused:
        [fault] = refused.faults
        assert isinstance(fault, NotAllowed)
        return fault
    raise AssertionError("it has not ended")


@pytest.mark.parametrize(
    ("kind", "name", "operation", "words"),
    [
        (ResourceType.TOPIC, "{}-sent", AclOperation.READ, ("{}-sent", "read")),
        (ResourceType.TOPIC, "{}-sent", AclOperation.DESCRIBE, ("{}-sent",)),
        (ResourceType.TOPIC, "{}-sent", AclOperation.WRITE, ("{}-sent", "write")),
        (ResourceType.TOPIC, "{}-echoed", AclOperation.WRITE, ("{}-echoed", "write")),
        (ResourceType.TOPIC, "{}.changelog", AclOperation.WRITE, ("{}.changelog", "write")),
        (ResourceType.TOPIC, "{}.inbox", AclOperation.READ, ("{}.inbox", "read")),
        (ResourceType.GROUP, "{}", AclOperation.READ, ("{}", "a group")),
        (ResourceType.TRANSACTIONAL_ID, "{}.0", AclOperation.WRITE, ("{}.0", "transactional ids")),
        (ResourceType.TRANSACTIONAL_ID, "mainstem.groups.{}", AclOperation.WRITE, ("mainstem.groups.{}",)),
    ],
)
async def test_a_right_is_missing(
    guarded: Guarded,
    unique: Callable[[str], str],
    kind: ResourceType,
    name: str,
    operation: AclOperation,
    words: tuple[str, ...],
) -> None:
    """The process ends, and says which topic, group or transactional id it was, and what to do."""
    own = unique("denied")
    await apply(guarded, echo(own, [])[0])
    guarded.deny(kind, name.format(own), operation)
    began = time.monotonic()
    error = await ended(guarded, own)
    assert time.monotonic() - began < 20
    require(error, "refuses", "docs/kafka.md", *(word.format(own) for word in words))


async def rights_of_a_service(guarded: Guarded, name: str) -> None:
    """What docs/kafka.md lists, for the user ``modest``, and no more."""
    topics = {
        f"{name}-sent": (AclOperation.READ, AclOperation.WRITE),
        f"{name}-echoed": (AclOperation.WRITE,),
        "mainstem.catalogue": (AclOperation.READ, AclOperation.WRITE),
        "mainstem.groups": (AclOperation.READ, AclOperation.WRITE),
    }
    configs = AclOperation.DESCRIBE_CONFIGS
    for topic, operations in topics.items():
        guarded.rule(ResourceType.TOPIC, topic, *operations, configs, user="modest")
    for kind, beginning, operations in (
        (ResourceType.TOPIC, f"{name}.", (AclOperation.READ, AclOperation.WRITE, configs)),
        (ResourceType.TRANSACTIONAL_ID, f"{name}.", (AclOperation.WRITE,)),
        (ResourceType.TRANSACTIONAL_ID, "mainstem.", (AclOperation.WRITE,)),
    ):
        guarded.rule(kind, beginning, *operations, user="modest", pattern=ResourcePatternType.PREFIXED)
    guarded.rule(ResourceType.GROUP, name, AclOperation.READ, configs, user="modest")


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
async def test_what_is_applied_runs_without_the_right_to_create(
    guarded: Guarded, unique: Callable[[str], str], protocol: str
) -> None:
    """A service that nobody has ever run starts, remembers, publishes and starts again, with the rights of the page."""
    name, told = unique("modest"), list[str]()
    service, sent = echo(name, told)
    await rights_of_a_service(guarded, name)
    url = guarded.url(name, user="modest", more=f"&group_protocol={protocol}")
    with pytest.raises(MainstemError) as refused:
        async with asyncio.timeout(40), running(service, broker=url, dev=True, settings=QUICK):
            pass
    require(refused.value, "not-allowed", f"{name}-", "mainstem topics apply")
    await apply(guarded, service, f"?group_protocol={protocol}")
    for key in ("a", "b"):
        async with asyncio.timeout(40), running(service, broker=url, settings=QUICK):
            await service.publish(sent(key))
            async with service.transaction() as transaction:
                transaction.publish(sent(f"{key}2"))
            await until(lambda key=key: {key, f"{key}2"} <= set(told))
    assert sorted(told) == ["a", "a2", "b", "b2"]


async def test_foreign_groups_that_may_not_be_looked_at_are_not_taken_for_none(
    guarded: Guarded, unique: Callable[[str], str]
) -> None:
    """Some are refused, and of some the cluster does not even tell: both is said, and what is found is found."""
    topic, open_one, hidden = f"{unique('foreign')}-sent", unique("open"), unique("hidden")
    apart, clock = echo(topic.removesuffix("-sent"), [])[0], SystemClock()
    await apply(guarded, apart)
    for group in (open_one, hidden):
        await asyncio.to_thread(commit, guarded.plain, group, topic, 0)
    guarded.deny(ResourceType.GROUP, hidden, AclOperation.DESCRIBE)
    async with connected(guarded.url(topic), clock, Identifiers(clock)) as broker:
        assert isinstance(broker, KnowsForeignGroups)
        [refused] = (before := await broker.foreign_groups([topic])).unasked
        guarded.deny(ResourceType.BROKER, "kafka-cluster", AclOperation.DESCRIBE)
        [unlisted] = (after := await broker.foreign_groups([topic])).unasked
    assert [each.name for each in (*before.groups, *after.groups)] == [open_one, open_one]
    assert "only consumer groups that this user may describe can be seen" in unlisted
    assert "1 consumer group could not be asked: The cluster refuses a group" in refused


async def refused_at_the_door(url: str) -> tuple[MainstemError, float]:
    """What a client is told, and after how many seconds."""
    clock, began = SystemClock(), time.monotonic()
    with pytest.raises(MainstemError) as refused:
        async with connected(url, clock, Identifiers(clock)):
            pass
    return refused.value, time.monotonic() - began


async def test_a_password_is_wrong(guarded: Guarded) -> None:
    """It is told at once, and nothing is tried again: the broker answers nobody whom it does not know."""
    error, seconds = await refused_at_the_door(guarded.url("stranger", password="wrong"))
    assert seconds < 5
    assert isinstance(error, NotAllowed)
    require(error, "does not know who this is", guarded.sasl, "Invalid username or password", "sasl.password=")
    assert "wrong" not in str(error)


async def test_a_mechanism_is_not_spoken(guarded: Guarded) -> None:
    """The mechanisms that the broker does speak are told."""
    url = guarded.url("stranger").replace("=PLAIN&", "=SCRAM-SHA-512&")
    error, seconds = await refused_at_the_door(url)
    assert (seconds < 5, type(error)) == (True, NotAllowed)
    require(error, "supported mechanisms: PLAIN", "sasl.mechanism=")


async def test_a_certificate_is_not_believed(guarded: Guarded) -> None:
    """Nobody has signed it: what was looked for is told, and which setting names who may sign."""
    error, seconds = await refused_at_the_door(f"kafka://{guarded.ssl}?security.protocol=SSL&answer_seconds=8")
    assert (seconds < 5, type(error)) == (True, NotAllowed)
    require(error, guarded.ssl, "certificate verify failed", "ssl.ca.location")


async def test_a_listener_speaks_no_tls(guarded: Guarded) -> None:
    """It may be the wrong listener. The client says so only if it reads the answer before it sees the hanging up."""
    error, seconds = await refused_at_the_door(f"kafka://{guarded.plain}?security.protocol=SSL&answer_seconds=8")
    assert (seconds < 5, type(error)) == (True, NotAllowed)
    require(error, guarded.plain, "SSL", "security.protocol=")


@pytest.mark.parametrize("listener", ["sasl", "ssl"])
async def test_a_listener_wants_another_protocol(guarded: Guarded, listener: str) -> None:
    """It hangs up without a word; so nobody can know, and what to look at is said."""
    error, _ = await refused_at_the_door(f"kafka://{getattr(guarded, listener)}?answer_seconds=2")
    assert isinstance(error, BrokerAway)
    require(error, "does not answer", "security.protocol=")
