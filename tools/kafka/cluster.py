"""Nodes of one cluster: format, start, wait until they answer, end."""

import json
import shutil
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tools.kafka.node import Node
from tools.kafka.properties import SMALL_AND_QUICK, replicated, written

JAVA_OPTIONS = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
CLUSTER_ID = "bWFpbnN0ZW0gdGVzdHMgIQ"
HOST = "127.0.0.1"


class NotStarted(Exception):
    """A node has ended, or does not answer in time; the message has the end of its log."""


class Cluster:
    """One node or several in KRaft mode, each broker and controller, on free ports of the loopback.

    What they hold is kept in ``folder``; a cluster that ended in whatever way goes on from there at the next start, at
    the same address as long as its ports are free.
    """

    def __init__(
        self,
        folder: Path,
        jars: Path,
        *,
        nodes: int = 1,
        settings: Mapping[str, str] | None = None,
        java_options: Sequence[str] = JAVA_OPTIONS,
        ends_with_us: bool = False,
    ) -> None:
        """``settings`` go over those of ``tools.kafka.properties``, and over where nodes are to be found.

        With ``ends_with_us`` (Linux) no node outlives the thread that started it, however that ends; so start it in
        the main thread.
        """
        java = ["java", *java_options, "-cp", f"{jars}/*"]
        if ends_with_us:
            java = ["setpriv", "--pdeathsig", "KILL", *java] if shutil.which("setpriv") else java
        self._folder = folder.absolute()
        self._settings = {**SMALL_AND_QUICK, **replicated(nodes), **(settings or {})}
        self.nodes = [Node(self._folder / f"node-{number}", number, java) for number in range(1, nodes + 1)]

    @property
    def address(self) -> str:
        """``host:port`` of every node, as of the last start."""
        return str(json.loads((self._folder / "cluster.json").read_text())["address"])

    def address_of(self, protocol: str) -> str:
        """The same of a further listener, as of the last start."""
        return str(json.loads((self._folder / "cluster.json").read_text())["further"][protocol])

    @property
    def running(self) -> int:
        """How many nodes run in this folder, whoever started them and however many there should be."""
        folders = sorted(self._folder.glob("node-*"))
        return sum(Node(each, 0, []).running for each in folders)

    def start(self, *, patience_seconds: float = 60.0, further: Sequence[str] = ()) -> None:
        """Start all nodes, and return when they answer; only for a cluster of which no node runs.

        ``further`` are security protocols, each of which gets a listener of its own beside that without any.
        """
        with ExitStack() as held:
            controllers = [_free_port(held) for _ in self.nodes]
            brokers = {
                name: [_free_port(held, port) for port in self._ports_before(name)] for name in ("PLAINTEXT", *further)
            }
        voters = ",".join(f"{node.number}@{HOST}:{port}" for node, port in zip(self.nodes, controllers, strict=True))
        for i, node in enumerate(self.nodes):
            places = _places(node, voters, {name: ports[i] for name, ports in brokers.items()}, controllers[i])
            node.folder.mkdir(parents=True, exist_ok=True)
            node.properties.write_text(written({**places, **self._settings}))
        addresses = {name: ",".join(f"{HOST}:{port}" for port in ports) for name, ports in brokers.items()}
        told = {"address": addresses.pop("PLAINTEXT"), "nodes": len(self.nodes), "further": addresses}
        (self._folder / "cluster.json").write_text(json.dumps(told))
        formatting = [node.format(CLUSTER_ID) for node in self.nodes if not node.formatted]
        for each in formatting:
            output, _ = each.communicate()
            if each.returncode:
                raise NotStarted(f"a data folder was not formatted:\n{output[-2000:]}")
        for node in self.nodes:
            node.start()
        self.wait(patience_seconds=patience_seconds)

    def _ports_before(self, protocol: str) -> list[int]:
        """Where the nodes listened at the last start; 0 for one that has not been started."""
        try:
            told = json.loads((self._folder / "cluster.json").read_text())
        except FileNotFoundError:
            return [0] * len(self.nodes)
        addresses = {"PLAINTEXT": told["address"], **told["further"]}.get(protocol, "")
        ports = [int(each.rpartition(":")[2]) for each in addresses.split(",") if each]
        return ports if len(ports) == len(self.nodes) else [0] * len(self.nodes)

    def wait(self, *, patience_seconds: float = 60.0) -> None:
        """Return when every node of the cluster answers."""
        limit = time.monotonic() + patience_seconds
        while not self._answers():
            ended = [node for node in self.nodes if not node.running]
            if ended or time.monotonic() > limit:
                node = ended[0] if ended else self.nodes[0]
                raise NotStarted(
                    f"node {node.number} {'has ended' if ended else 'does not answer'}:\n{node.last_words()}"
                )
            time.sleep(0.05)

    def _answers(self) -> bool:
        for address in self.address.split(","):
            host, port = address.split(":")
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                return False
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        try:
            return len(client.list_topics(timeout=1).brokers) == len(self.nodes)
        except KafkaException:
            return False

    def stop(self) -> None:
        """End every node that runs in this folder, by its process id, and return when they have ended."""
        nodes = [Node(each, 0, []) for each in sorted(self._folder.glob("node-*"))]
        for node in nodes:
            node.send(signal.SIGTERM)
        for node in [*nodes, *self.nodes]:
            node.gone()


def _places(node: Node, voters: str, brokers: Mapping[str, int], controller: int) -> dict[str, str]:
    """What differs between nodes and between starts."""
    listeners = ",".join(f"{name}://{HOST}:{port}" for name, port in brokers.items())
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "controller.quorum.voters": voters,
        "listeners": f"{listeners},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": listeners,
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": ",".join(["CONTROLLER:PLAINTEXT", *(f"{each}:{each}" for each in brokers)]),
        "log.dirs": str(node.data),
    }


def _free_port(held: ExitStack, wanted: int = 0) -> int:
    """A port that nobody listens on, ``wanted`` if it is free; it stays taken until ``held`` is left, so all differ."""
    for port in (wanted, 0):
        listener = held.enter_context(socket.socket())
        # Connections of before that are just ending do not keep the same port from being listened on again.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(port == wanted != 0))
        try:
            listener.bind((HOST, port))
        except OSError:
            continue
        return int(listener.getsockname()[1])
    raise NotStarted("there is no free port")
