"""What somebody sees who looks at a Kafka through Kaskade."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tools.registries import kaskade

DRIVE = Path(__file__).parent / "kaskade" / "drive.py"


class Field(msgspec.Struct):
    """A key or a value, as it is copied."""

    content: object
    schema: dict[str, str | int] | None = None
    error: dict[str, str] | None = None


class Record(msgspec.Struct):
    """A record, as it is copied."""

    topic: str
    key: Field
    value: Field
    headers: list[dict[str, object]]


class Records(msgspec.Struct):
    """A topic in the console: its rows; the first records as they are copied, and what is on the screen about them."""

    rows: list[list[str]]
    copied: list[Record]
    screens: list[str]
    said: list[str]


class Topics(msgspec.Struct):
    """All topics in the console: the rows, and the rows of the tables about each that a group reads."""

    rows: list[list[str]]
    topics: dict[str, dict[str, list[list[str]]]]
    said: list[str]


class Console:
    """Kaskade on one broker, with one registry, with a home folder of its own."""

    def __init__(self, kafka: str, registry: str, folder: Path) -> None:
        """``registry`` is ``host:port``; who asks it is the account ``console``."""
        self._kafka = kafka
        said = (f"url=http://{registry}", "basic.auth.user.info=console:geheim")
        self._by_registry = ("registry", *(word for each in said for word in ("--registry", each)))
        self._folder = folder

    def records(self, *topics: str, values: Sequence[str] = ()) -> list[Records]:
        """Topics from their beginning, with values read by the registry unless it is said how."""
        some = ("--earliest", "--timeout", "consumer.idle=1", "-k", "string", "-v", *(values or self._by_registry))
        seen = self._seen(*(("consumer", "-b", self._kafka, "-t", each, *some) for each in topics))
        return [msgspec.json.decode(each, type=Records) for each in seen]

    def topics(self) -> Topics:
        """All topics."""
        [seen] = self._seen(("admin", "-b", self._kafka))
        return msgspec.json.decode(seen, type=Topics)

    def _seen(self, *commands: Sequence[str]) -> list[str]:
        ended = subprocess.run(
            [kaskade(), DRIVE],
            input="\n".join(map(json.dumps, commands)),
            env={**os.environ, "HOME": str(self._folder), "TEXTUAL_ANIMATIONS": "none"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-5000:]
        return ended.stdout.splitlines()
