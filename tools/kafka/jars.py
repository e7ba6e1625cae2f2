"""Java, and the jars of the broker."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".kafka"
POM = Path(__file__).with_name("pom.xml")
ATTEMPTS = 3
"""A registry may be slow to answer, and Maven gives up early."""
PACKAGES = {"java": "default-jre-headless", "mvn": "maven"}


class Missing(Exception):
    """What a Kafka broker needs and this machine does not have; the message says what to do."""


def install() -> None:
    """Install Java and Maven where they are missing, if this is Debian and we are root."""
    packages = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", "-qq", *step], check=True, env=quiet, stdout=subprocess.DEVNULL)


def fetched() -> Path:
    """The folder of the jars; Maven fetches them when they are not there yet.

    Raises :class:`Missing` without Java or Maven, or when Maven fails.
    """
    # Another pom.xml means other jars, and so another folder.
    folder = FOLDER / f"jars-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if folder.exists():
        _need(["java"])
        return folder
    _need(["java", "mvn"])
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as unfinished:
        jars = Path(unfinished) / "jars"
        maven = ["mvn", "-B", "-q", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        for _ in range(ATTEMPTS):
            ended = subprocess.run([*maven, f"-DoutputDirectory={jars}"], capture_output=True, text=True, check=False)
            if not ended.returncode:
                break
        else:
            raise Missing(f"Maven could not fetch Apache Kafka:\n{(ended.stdout + ended.stderr)[-2000:]}")
        # In one step, so that a folder of this name is always whole. Whoever comes second leaves the first one's.
        if not folder.exists():
            jars.rename(folder)
    return folder


def _need(programs: Sequence[str]) -> None:
    missing = [PACKAGES[program] for program in programs if not shutil.which(program)]
    if missing:
        raise Missing(f"Apache Kafka needs Java 17 or newer, and Maven once: apt-get install {' '.join(missing)}")
