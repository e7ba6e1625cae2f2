"""What is configured, and which of it counts for a subject: its own, its context's, that for all, the usual."""

from collections.abc import Iterator
from typing import Final, get_args

import msgspec
from msgspec import UNSET

from mainstem.registry.contents.tables import (
    DEFAULT,
    USUAL_LEVEL,
    Config,
    Mode,
    Name,
    Tables,
    invalid_level,
    invalid_mode,
    no_config,
    no_mode,
    not_permitted,
    scope_named,
)

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
ALL: Final = ""
"""What is configured for all subjects."""
USUAL: Final = Config(compatibility_level=USUAL_LEVEL)
_EVERY_CONTEXT: Final = ":.__GLOBAL:"


def spelt_scope(written: str) -> str:
    """What a configuration is for, in one spelling: a subject, a context as ``:.context:``, or all as nothing.

    Raises RegistryError 42208 for what is neither.
    """
    if written in (ALL, f":{DEFAULT}:"):
        return ALL
    return str(scope_named(written))


def config_of(said: object) -> Config:
    """A configuration from plain data, as a request has it. Unknown members are passed over.

    ``compatibility`` is the level, as well as ``compatibilityLevel``. Raises RegistryError 42203.
    """
    if not isinstance(said, dict):
        raise invalid_level("a configuration is a JSON object")
    members = {**said}
    if "compatibility" in members:
        members["compatibilityLevel"] = members.pop("compatibility")
    for name in ("compatibilityLevel", "compatibilityPolicy"):
        if isinstance(members.get(name), str):
            members[name] = members[name].upper()
    if members.get("compatibilityPolicy") == "LOGICAL":
        # Taken and compared as another one, it would promise what nobody has looked at.
        raise invalid_level("compatibilityPolicy LOGICAL asks Flink and Iceberg too, which nobody does here")
    try:
        return msgspec.convert(members, Config)
    except msgspec.ValidationError as error:
        raise invalid_level(f"Invalid compatibility configuration: {error}") from error


def mode_of(said: object) -> Mode:
    """A mode from what a request has; raises RegistryError 42204."""
    for mode in MODES:
        if isinstance(said, str) and said.upper() == mode:
            return mode
    raise invalid_mode(said)


def merged(below: Config, above: Config) -> Config:
    """``above``, and what it does not say as ``below`` says it; what it takes back is not said by either."""
    taken_back = [name for name in above.__struct_fields__ if getattr(above, name) is None]
    said = {
        **msgspec.structs.asdict(below),
        **{k: v for k, v in msgspec.structs.asdict(above).items() if v is not UNSET},
    }
    return Config(**{name: UNSET if name in taken_back else value for name, value in said.items()})


class Configured:
    """The configurations and modes of a registry."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def config(self, subject: str = ALL, *, default_to_global: bool = False) -> Config:
        """What is configured for a subject or context itself; or with everything that counts for it.

        What is said for all is completed by the usual. Raises RegistryError 40408 where nothing is configured, and
        42208.
        """
        where = spelt_scope(subject)
        if where == ALL or default_to_global:
            return self.config_for(where)
        found = self._tables.settings.config(where)
        if found is None:
            raise no_config(subject)
        return found

    def mode(self, subject: str = ALL, *, default_to_global: bool = False) -> Mode:
        """The mode of a subject or context itself; or the one that counts for it. Raises RegistryError 40409."""
        where = spelt_scope(subject)
        if where == ALL or default_to_global:
            return self.mode_for(where)
        found = self._tables.settings.mode(where)
        if found is None:
            raise no_mode(subject)
        return found

    def config_for(self, where: str) -> Config:
        """Everything that counts for a scope."""
        counting = USUAL
        for each in reversed(_chain(where)):
            if (found := self._tables.settings.config(each)) is not None:
                counting = merged(counting, found)
        return counting

    def mode_for(self, where: str) -> Mode:
        """The mode that counts for a scope; a registry that is READONLY_OVERRIDE is so everywhere."""
        if self._tables.settings.mode(ALL) == "READONLY_OVERRIDE":
            return "READONLY_OVERRIDE"
        found = (self._tables.settings.mode(each) for each in _chain(where))
        return next((mode for mode in found if mode is not None), "READWRITE")

    def check_writable(self, where: str) -> Mode:
        """The mode that counts for a scope. Raises RegistryError 42205 for one in which nothing may be changed."""
        mode = self.mode_for(where)
        if mode not in ("READWRITE", "IMPORT"):
            raise not_permitted(f"Subject {where} is in mode {mode}" if where else f"The registry is in mode {mode}")
        return mode

    def aliased(self, name: Name) -> Name:
        """The subject that a name stands for: itself, or the one whose alias it is. An alias has no alias."""
        config = self._tables.settings.config(str(name))
        alias = None if config is None else config.alias
        return scope_named(str(name.beside(alias))) if isinstance(alias, str) and alias else name

    def aliases(self) -> Iterator[tuple[str, str]]:
        """The names that stand for another subject, and that."""
        for each, config in self._tables.settings.configs():
            if isinstance(config.alias, str):
                yield each, config.alias


def _chain(where: str) -> list[str]:
    """A scope and what stands behind it, the nearest first."""
    if where == ALL:
        return [ALL, _EVERY_CONTEXT]
    name = scope_named(where)
    context = [] if name.context == DEFAULT or not name.subject else [str(Name(name.context, ""))]
    return [where, *context, ALL, _EVERY_CONTEXT]
