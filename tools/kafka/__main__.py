"""``python -m tools.kafka start [--nodes N]``, ``stop``, ``fetch``, ``lend COMMAND``."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.kafka.cluster import Cluster, NotStarted
from tools.kafka.jars import FOLDER, Missing, fetched, install


def start(nodes: int) -> None:
    """Start the cluster of this checkout, unless it runs, and say where."""
    install()
    cluster = Cluster(FOLDER / f"cluster-{nodes}", fetched(), nodes=nodes)
    others = [each for each in FOLDER.glob("cluster-*") if each != FOLDER / f"cluster-{nodes}"]
    if any(Cluster(each, FOLDER).running for each in others):
        raise NotStarted("a cluster of another size runs; end it with `make kafka-stop`")
    if cluster.running == nodes:
        cluster.wait()
    else:
        cluster.stop()  # what is left of one that lost a node
        cluster.start()
    (FOLDER / "address").write_text(cluster.address + "\n")
    print(cluster.address)


def stop() -> None:
    """End what :func:`start` has started."""
    for folder in FOLDER.glob("cluster-*"):
        Cluster(folder, FOLDER).stop()
    (FOLDER / "address").unlink(missing_ok=True)


def lend(command: list[str]) -> int:
    """Run a command with a new broker of its own, whose address it finds in MAINSTEM_TEST_KAFKA; returns its code."""
    install()
    with tempfile.TemporaryDirectory(prefix="mainstem-kafka-") as folder:
        cluster = Cluster(Path(folder), fetched(), ends_with_us=True)
        cluster.start()
        try:
            return subprocess.run(
                command, env={**os.environ, "MAINSTEM_TEST_KAFKA": cluster.address}, check=False
            ).returncode
        finally:
            cluster.stop()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.kafka", description="Apache Kafka on this machine")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="install Java and Maven where that is possible, and fetch the broker")
    commands.add_parser("start", help="start it, and print its address").add_argument("--nodes", type=int, default=1)
    commands.add_parser("stop", help="end it; what it holds is kept")
    commands.add_parser("lend", help="run a command with a broker of its own").add_argument("argv", nargs="+")
    arguments = parser.parse_args()
    try:
        if arguments.command == "fetch":
            install()
            fetched()
        elif arguments.command == "start":
            start(arguments.nodes)
        elif arguments.command == "lend":
            sys.exit(lend(arguments.argv))
        else:
            stop()
    except (Missing, NotStarted) as error:
        sys.exit(str(error))


main()
