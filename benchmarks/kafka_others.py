"""The peers: built and run in places of their own, below ``.kafka``.

Kafka Streams is one process of a small Java program, which serves all runs. Quix Streams and FastStream each have a
virtual environment; each run is a process.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import Measurement
from tools.kafka.jars import FOLDER, Missing

HERE = Path(__file__).parent / "kafka_peers"
PACKAGES = {"quix": "quixstreams==3.28.1", "faststream": "faststream[confluent]==0.7.8"}
PATIENCE_SECONDS = 300


def command(*arguments: str | Path) -> str:
    """Run a program; its standard output. Raises Missing with what it said when it failed."""
    ended = subprocess.run(
        list(map(str, arguments)), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if ended.returncode:
        raise Missing(f"{arguments[0]} has failed:\n{(ended.stdout + ended.stderr)[-2000:]}")
    return ended.stdout


class Streams:
    """Kafka Streams: started once, then a run at a time."""

    def __init__(self, address: str, folder: Path) -> None:
        """Fetch its jars and compile the program where that has not been done yet, then start it."""
        classes, jars = FOLDER / "streams-classes", FOLDER / "streams-jars"
        if not jars.exists():
            command("mvn", "-B", "-q", "-f", HERE / "pom.xml", "dependency:copy-dependencies",
                    "-DincludeScope=runtime", f"-DoutputDirectory={jars}")  # fmt: skip
        with_javac()
        command("javac", "-cp", f"{jars}/*", "-d", classes, HERE / "Peer.java")
        java = ["java", "-Xmx1g", "-cp", f"{classes}:{jars}/*", "Peer", address, str(folder)]
        self._process = subprocess.Popen(
            java, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def run(self, topology: str, output: str, events: int, *, cache_bytes: int = 0) -> Measurement:
        """One run over the orders."""
        guarantee = "at_least_once" if topology == "stateless" else "exactly_once_v2"
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{topology} {guarantee} orders {output} {events} {cache_bytes}\n")
        process.stdin.flush()
        return answer(process.stdout.readline(), events)

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.communicate()


def with_javac() -> None:
    """Install the compiler where it is missing, if this is Debian and we are root."""
    if shutil.which("javac"):
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise Missing("Kafka Streams needs a Java compiler: apt-get install default-jdk-headless")
    command("apt-get", "-qq", "update")
    command("apt-get", "-qq", "install", "--yes", "--no-install-recommends", "default-jdk-headless")


def environment(name: str) -> Path:
    """The Python of a peer's own virtual environment, made where it is missing."""
    folder = FOLDER / f"venv-{name}"
    python = folder / "bin" / "python"
    ready = folder / PACKAGES[name].replace("==", "-")
    if not ready.exists():
        command(sys.executable, "-m", "venv", folder)
        command(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGES[name])
        ready.touch()
    return python


def quix(address: str, topology: str, events: int, folder: Path) -> Measurement:
    """One run of Quix Streams."""
    python = environment("quix")
    return answer(command(python, HERE / "quix_counts.py", address, topology, str(events), folder), events)


def faststream(address: str, events: int) -> Measurement:
    """One run of FastStream."""
    return answer(command(environment("faststream"), HERE / "faststream_orders.py", address, str(events)), events)


def answer(text: str, events: int) -> Measurement:
    """What a peer has printed: seconds, and CPU seconds."""
    try:
        seconds, cpu_seconds = map(float, text.split())
    except ValueError:
        raise Missing(f"a peer has ended with {text!r}") from None
    return Measurement(events, seconds, cpu_seconds)
