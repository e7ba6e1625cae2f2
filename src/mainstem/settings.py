"""What is set from outside: environment variables ``MAINSTEM_*`` and the file ``mainstem.toml``, read once.

``MAINSTEM_COMMIT_EVENTS=200`` and ``commit_events = 200`` in the file are the same setting; the environment wins. A
program reads them when it starts and hands the parts on; nothing else looks at the environment.
"""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import msgspec
from msgspec import Meta

from mainstem.errors import DefinitionError, MainstemError, StartRefused

LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, each with its meaning and its unit. A value that is left out has the default."""

    broker: (
        Annotated[str, Meta(pattern="^[a-z]+:", description="URL of the broker, such as sqlite:////var/lib/shop.db")]
        | None
    ) = None
    registry: (
        Annotated[
            str,
            Meta(
                pattern="^(broker|none|folder:.+|https?://.+)$",
                description="Where schemas are registered: https://host:8081 (several, with commas between them), "
                "folder:schemas, broker for the registry on this broker, or none. Without it the one on this broker, "
                "and with --dev none",
            ),
        ]
        | None
    ) = None
    registry_token: Annotated[str, Meta(description="The bearer token that the registry is shown")] | None = None
    registry_ca_file: (
        Annotated[str, Meta(description="The authorities that may vouch for the registry, as a PEM file")] | None
    ) = None
    registry_certificate_file: (
        Annotated[str, Meta(description="The certificate that the registry is shown, as a PEM file")] | None
    ) = None
    registry_key_file: Annotated[str, Meta(description="and its key")] | None = None
    environment: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
            description="What the catalogue calls the place where services run, such as production",
        ),
    ] = "default"
    log_level: Annotated[
        LogLevel, Meta(description="The least important lines to be logged: debug, info, warning or error")
    ] = "info"
    commit_interval_ms: Annotated[
        int,
        Meta(ge=1, description="A task commits after so many milliseconds; positions alone after ten times as long"),
    ] = 10
    commit_events: Annotated[int, Meta(ge=1, description="or after so many events, whichever comes first")] = 5_000
    session_timeout_seconds: Annotated[
        float, Meta(gt=0, le=3_600, description="A worker that is silent for so many seconds is replaced")
    ] = 10
    grace_seconds: Annotated[
        float, Meta(ge=0, le=3_600, description="How long a stopping worker may finish what it has begun, in seconds")
    ] = 30
    standbys: Annotated[
        int,
        Meta(
            ge=0,
            le=100,
            description="So many other machines keep a copy of each task that can be used at once; on Kafka",
        ),
    ] = 0
    stuck_seconds: Annotated[
        float,
        Meta(gt=0, description="A task that has finished none of its events in flight for so many seconds is stuck"),
    ] = 600
    hung_seconds: Annotated[
        float,
        Meta(
            ge=0,
            description="A worker of several whose event loop has been blocked for so long is ended by its parent, "
            "and started again; 0: never, also when it has been stopped",
        ),
    ] = 60
    blocked_seconds: Annotated[
        float,
        Meta(gt=0, description="When a handler has blocked the event loop for so long, the log says where"),
    ] = 2
    buffer_events: Annotated[int, Meta(ge=1, description="A task reads no further ahead than so many events")] = 4_000
    buffer_bytes: Annotated[int, Meta(ge=1, description="or than so many bytes, whichever comes first")] = (
        64 * 1024 * 1024
    )
    parked_events_most: Annotated[
        int,
        Meta(
            ge=1,
            description="A task that keeps so many parked events and dead letters reads its inputs no further, until "
            "there are a tenth fewer",
        ),
    ] = 1_000_000
    static_id: (
        Annotated[
            str,
            Meta(
                pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
                description="What this process is called in its groups: when it comes back within the session timeout, "
                "it keeps its tasks",
            ),
        ]
        | None
    ) = None
    pinned_tasks: (
        Annotated[
            str,
            Meta(
                pattern="^[0-9]{1,5}(,[0-9]{1,5})*$",
                description="This process runs exactly these tasks of each of its groups, such as 0,3",
            ),
        ]
        | None
    ) = None

    @property
    def pinned(self) -> frozenset[int] | None:
        """The tasks that this process runs; None for whichever it is given."""
        return None if self.pinned_tasks is None else frozenset(map(int, self.pinned_tasks.split(",")))

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, directory: Path | None = None) -> Self:
        """Read ``environ`` (the process's, unless given) and ``mainstem.toml`` in ``directory`` (the current one).

        An empty variable counts as not set. Raises ``StartRefused`` with every fault of both: values that do not fit,
        names that do not exist, a file that is not TOML.
        """
        faults: list[MainstemError] = []
        path = (directory or Path.cwd()) / FILE_NAME
        given: dict[str, tuple[str, object]] = {key: (str(path), value) for key, value in _read(path, faults).items()}
        for variable, text in (os.environ if environ is None else environ).items():
            if variable.startswith(PREFIX) and text and not _NOT_OURS.fullmatch(variable):
                given[variable.removeprefix(PREFIX).lower()] = (variable, text)

        types = {each.name: each.type for each in msgspec.structs.fields(cls)}
        values: dict[str, object] = {}
        for key, (where, value) in given.items():
            if key not in types:
                faults.append(_unknown(key, where, known=list(types)))
                continue
            try:
                values[key] = msgspec.convert(value, types[key], strict=False)
            except msgspec.ValidationError as error:
                faults.append(_unfit(key, value, where, error))
        if faults:
            raise StartRefused(
                f"{len(faults)} faults in the settings" if faults[1:] else "a fault in the settings", tuple(faults)
            )
        return msgspec.convert(values, cls)


FILE_NAME: Final = "mainstem.toml"
PREFIX: Final = "MAINSTEM_"

# Examples and tests keep variables of their own; Kubernetes adds these for every Service named "mainstem" and on.
_NOT_OURS: Final = re.compile(r"MAINSTEM_((TEST|DEMO)_.*|(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_.*)?))")


def _read(path: Path, faults: list[MainstemError]) -> dict[str, object]:
    if not path.exists():
        return {}
    import tomllib  # noqa: PLC0415 - it takes milliseconds, and most programs have no file

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        faults.append(DefinitionError("the settings file cannot be read", where=str(path), why=str(error)))
        return {}


def environment_naming(broker: str) -> dict[str, str]:
    """The environment for a process of our own that is to use this broker.

    A URL may hold a password, and anybody on the machine can read what a process was started with; its environment
    only its user can.
    """
    return {**os.environ, f"{PREFIX}BROKER": broker}


def _unfit(key: str, value: object, where: str, error: msgspec.ValidationError) -> DefinitionError:
    if key == "broker" and isinstance(value, str):
        plain = value.partition("?")[0]  # behind it there may be a password
        remedy = "write sqlite:////var/lib/shop.db for a file, or kafka://broker-1:9092"
        return DefinitionError(f"broker = {plain!r}", where=where, why="that is not the URL of a broker", remedy=remedy)
    return DefinitionError(f"{key} = {value!r}", where=where, why=why_unfit(key, error))


def why_unfit(key: str, error: msgspec.ValidationError) -> str:
    """Why a value does not fit a setting, in words where the error would show a pattern."""
    return _SHAPES.get(key, str(error)) if "regex" in str(error) else str(error)


_SHAPES: Final = {
    "environment": "it is up to 63 letters, digits, dots, underscores and hyphens, with a letter or digit first",
    "static_id": "it is up to 100 letters, digits, dots, underscores and hyphens, with a letter or digit first",
    "pinned_tasks": "it is numbers of tasks with commas between them, such as 0,3",
}


def _unknown(key: str, where: str, known: list[str]) -> DefinitionError:
    near = get_close_matches(key, known, n=1)
    # As it is written there: a variable in capitals, a name in the file.
    meant = PREFIX + near[0].upper() if near and where.startswith(PREFIX) else "".join(near)
    remedy = f"did you mean {meant}?" if near else f"the settings are {', '.join(known)}"
    return DefinitionError(f"there is no setting {key}", where=where, remedy=remedy)


def operator() -> str:
    """The user of the operating system who runs this program: whoever decides something is named by it."""
    import getpass  # noqa: PLC0415 - it takes milliseconds, and a service never asks

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container a user may have a number and no name
        return f"uid {os.getuid()}"
