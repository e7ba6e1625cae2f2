"""Who may know whom, and what an import costs."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.contracts import FrontDoors, Owners
from tests.architecture.source import PACKAGE, ROOT

NOT_LOADED = (
    "opentelemetry",
    "rich",
    "click",
    "confluent_kafka",
    "httpx2",
    "pydantic",
    "fastavro",
    "google.protobuf",
    "jsonschema_rs",
    "starlette",
    "http.client",
)
IMPORT_BUDGET_MODULES = 300


def test_the_contracts_are_kept() -> None:
    """Imports point down, rooms are entered by their front doors, each dependency has one owner, and no cycles."""
    # In a process of its own: the linter sets up logging, and switches off every logger that is there already.
    linter = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--no-cache",
        "--config",
        str(ROOT / "pyproject.toml"),
    ]
    completed = subprocess.run(linter, check=False, capture_output=True, text=True, cwd=ROOT)
    assert completed.returncode == 0, completed.stdout + completed.stderr


BREACHES = [
    ("events/keys.py", "import mainstem.delivery", "Imports point down"),
    ("state/values.py", "from mainstem import broker", "Imports point down"),
    ("clock.py", "from mainstem import calendar", "Imports point down"),
    ("sprawl/__init__.py", "", "Imports point down"),
    ("delivery/commit.py", "from mainstem.state import values", "Rooms are entered by their front door"),
    ("delivery/commit.py", "import mainstem.broker.sqlite", "Only the composition root and the testing kit name"),
    ("broker/record.py", "import mainstem.events", "Logs and stores carry bytes"),
    ("delivery/commit.py", "import mainstem", "Nothing inside imports the public names"),
    ("broker/record.py", "from mainstem.broker import roles", "No cycles, at any depth"),
    ("state/values.py", "import sqlite3", "Only database touches SQLite"),
    ("delivery/commit.py", "from confluent_kafka import Producer", "Only broker.kafka touches the Kafka client"),
    ("service/process/routes.py", "import uvicorn", "Only web touches an HTTP library"),
    ("schemas/avro/emitting.py", "import mainstem.schemas.protobuf", "Formats of schemas are strangers"),
    ("registry/contents/access.py", "import mainstem.registry.ledger", "The rules of a registry know nobody"),
    ("schemas/codec.py", "import fastavro", "Only schemas.avro touches the Avro codec"),
    ("registry/http/media.py", "import google.protobuf.message", "Only schemas.protobuf touches the Protobuf codec"),
    ("registry/http/media.py", "import jsonschema_rs", "Only schemas.jsonschema touches the JSON Schema validator"),
    ("testing/__init__.py", "import rich.table", "Only ops touches the terminal"),
    ("delivery/commit.py", "from opentelemetry import trace", "Only telemetry touches OpenTelemetry"),
]


def contracts() -> list[dict[str, Any]]:
    """Those of the project."""
    found: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    return found


def test_each_contract_is_tried() -> None:
    """One that nobody has seen broken may hold nothing."""
    names = [each["name"] for each in contracts()]
    assert [name for name in names if not any(name.startswith(tried) for _, _, tried in BREACHES)] == []


def test_what_has_an_owner_can_be_seen() -> None:
    """Of what is not ours the linter sees the root alone; a module within it would be nobody's, in silence."""
    owned = [module for each in contracts() if each["type"] == "owners" for module in each["modules"]]
    assert [module for module in owned if "." in module and not module.startswith("mainstem.")] == []


@pytest.mark.parametrize(("importer", "statement", "contract"), BREACHES)
def test_each_contract_can_break(importer: str, statement: str, contract: str, tmp_path: Path) -> None:
    """An import planted inside a function, where it would pass unseen, breaks the contract that is against it."""
    shutil.copytree(PACKAGE, tmp_path / "src" / "mainstem", ignore=shutil.ignore_patterns("__pycache__"))
    planted = tmp_path / "src" / "mainstem" / importer
    planted.parent.mkdir(exist_ok=True)
    planted.touch()
    planted.write_text(f"{planted.read_text()}\n\ndef planted():\n    {statement or 'pass'}\n")
    completed = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", ROOT / "pyproject.toml"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'src'}{os.pathsep}{ROOT}"},
    )
    assert completed.returncode == 1, completed.stdout + completed.stderr
    assert re.search(rf"^{contract}.* BROKEN$", completed.stdout, re.MULTILINE), completed.stdout


def front_doors(side_doors: list[str]) -> FrontDoors:
    """The contract, as the linter would build it."""
    return FrontDoors("doors", {}, {"side_doors": side_doors})


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("mainstem.service.start", "mainstem.delivery", True),
        ("mainstem.service.start", "mainstem.delivery.lanes", False),
        ("mainstem.delivery.task", "mainstem.delivery.failures", True),
        ("mainstem.delivery.task", "mainstem.delivery.failures.retry", False),
        ("mainstem.delivery.failures.retry", "mainstem.delivery.context", True),
        ("mainstem.delivery_extra", "mainstem.delivery.context", False),
        ("mainstem.service.start", "mainstem.broker.sqlite", True),
        ("mainstem.service.start", "mainstem.broker.sqlite.log", False),
        ("mainstem.delivery.task", "mainstem.state.timers", True),
        ("mainstem.delivery.task", "mainstem.state.values", False),
    ],
)
def test_a_room_has_one_door(importer: str, imported: str, allowed: bool) -> None:  # noqa: FBT001 - a column of the table
    """From outside only the room itself may be named; inside, all of the room and the doors of its sub-rooms."""
    assert front_doors(["mainstem.broker.sqlite"]).allows(importer, imported) is allowed


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("mainstem.database.file", "apsw", True),
        ("mainstem.state.sqlite", "apsw", False),
        ("mainstem.state.sqlite", "apsw.ext", False),
        ("mainstem.state.sqlite", "msgspec", True),
    ],
)
def test_a_dependency_has_one_owner(importer: str, imported: str, allowed: bool) -> None:  # noqa: FBT001 - a column of the table
    """Who is not the owner may not import it, or anything in it."""
    assert (
        Owners("one", {}, {"modules": ["apsw"], "owners": ["mainstem.database"]}).allows(importer, imported) is allowed
    )


def test_a_service_file_loads_only_what_it_needs() -> None:
    """The names of the first example bring in no command line, no HTTP, no Kafka and no telemetry."""
    program = f"""if True:
        import sys
        from mainstem import Context, IntegrationEvent, Service
        print(*[name for name in {NOT_LOADED} if name in sys.modules])
    """
    assert run(program).split() == []


def test_a_service_file_loads_little() -> None:
    """So many modules at most, ours and others; the time that they take is a matter for a benchmark."""
    program = """if True:
        import sys
        before = set(sys.modules)
        from mainstem import Context, IntegrationEvent, Service
        print(len(set(sys.modules) - before))
    """
    assert int(run(program)) < IMPORT_BUDGET_MODULES


def test_a_consumer_that_names_no_types_loads_nothing_that_asks_for_schemas() -> None:
    """It reads bytes, and need know of no registry."""
    program = """if True:
        import asyncio, sys
        from mainstem import Consumer
        from mainstem.broker import TopicSpec
        from mainstem.clock import SystemClock
        from mainstem.identifiers import Identifiers
        from mainstem.service import connected

        async def open_and_close():
            async with connected("sqlite:///:memory:", SystemClock(), Identifiers(SystemClock())) as broker:
                await broker.admin.create(TopicSpec("orders", 1))
                async with Consumer("orders", group="reports", broker=broker):
                    asking = ("mainstem.registry", "mainstem.service.promises")
                    print(*[name for name in sys.modules if name.startswith(asking)])

        asyncio.run(open_and_close())
    """
    assert run(program).split() == []


def run(program: str) -> str:
    """What ``program`` prints, in an interpreter of its own."""
    environ = {**os.environ, "PYTHONPATH": str(Path(ROOT, "src"))}
    completed = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, cwd=ROOT, env=environ
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout
