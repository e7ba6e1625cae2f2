"""Configuration and mode of a subject, of a context, or of all."""

from typing import ClassVar

import msgspec
from msgspec import UNSET, Struct

from mainstem.registry.contents.configured import ALL, merged, spelt_scope
from mainstem.registry.contents.contents import Contents
from mainstem.registry.contents.operations.contracts import check_metadata, check_rules
from mainstem.registry.contents.tables import (
    EVERYWHERE,
    Config,
    Mode,
    no_config,
    no_mode,
    not_permitted,
    prefix_of,
    split,
    subject_named,
    too_large,
)


class SetConfig(Struct, frozen=True, tag=True):
    """Configure what is said, and leave the rest as it is."""

    answer: ClassVar[type[Config]] = Config

    config: Config
    subject: str = ALL

    def apply(self, contents: Contents, at_ms: int) -> Config:  # noqa: ARG002 - every operation is given the time
        """Do it; returns what is configured there now. Raises RegistryError 42201, 42205, 42208 to 42210."""
        where, config = spelt_scope(self.subject), self.config
        contents.configured.check_writable(where)
        for metadata in (config.default_metadata, config.override_metadata):
            check_metadata(None if metadata is UNSET else metadata)
        for rule_set in (config.default_rule_set, config.override_rule_set):
            check_rules(None if rule_set is UNSET else rule_set)
        if isinstance(config.alias, str) and config.alias:
            subject_named(config.alias)
        now = merged(contents.tables.settings.config(where) or Config(), config)
        if len(msgspec.json.encode(now)) > contents.limits.schema_bytes:
            raise too_large(f"What is configured there is larger than {contents.limits.schema_bytes} bytes")
        contents.tables.settings.put_config(where, now)
        return now


class DeleteConfig(Struct, frozen=True, tag=True):
    """Take back what is configured."""

    answer: ClassVar[type[Config]] = Config

    subject: str = ALL

    def apply(self, contents: Contents, at_ms: int) -> Config:  # noqa: ARG002 - every operation is given the time
        """Do it; returns what was configured. Raises RegistryError 40408, 42205, 42208."""
        where = spelt_scope(self.subject)
        contents.configured.check_writable(where)
        before = contents.tables.settings.config(where)
        if before is None and where != ALL:
            raise no_config(self.subject)
        contents.tables.settings.put_config(where, None)
        return before or contents.configured.config_for(where)


class SetMode(Struct, frozen=True, tag=True):
    """Set the mode. To IMPORT where there are subjects already only with ``force``: ids may clash."""

    answer: ClassVar[object] = Mode

    mode: Mode
    subject: str = ALL
    force: bool = False

    def apply(self, contents: Contents, at_ms: int) -> Mode:  # noqa: ARG002 - every operation is given the time
        """Do it; returns the mode. Raises RegistryError 42205, 42208."""
        where = spelt_scope(self.subject)
        before = contents.configured.mode_for(where)
        if self.mode == "IMPORT" and before != "IMPORT" and not self.force and _has_subjects(contents, where):
            raise not_permitted("Cannot import since found existing subjects")
        contents.tables.settings.put_mode(where, self.mode)
        return self.mode


class DeleteMode(Struct, frozen=True, tag=True):
    """Take a mode back; ``recursive`` those of what lies in a context, or of everything, too."""

    answer: ClassVar[object] = Mode

    subject: str = ALL
    recursive: bool = False

    def apply(self, contents: Contents, at_ms: int) -> Mode:  # noqa: ARG002 - every operation is given the time
        """Do it; returns the mode that it was. Raises RegistryError 40409, 42208."""
        where = spelt_scope(self.subject)
        before = contents.tables.settings.mode(where)
        if before is None and where != ALL and not self.recursive:
            raise no_mode(self.subject)
        said = before or contents.configured.mode_for(where)
        contents.tables.settings.put_mode(where, None)
        if self.recursive and not split(where).subject:
            for each in list(contents.tables.settings.modes()):
                if each.startswith(where):
                    contents.tables.settings.put_mode(each, None)
        return said


def _has_subjects(contents: Contents, where: str) -> bool:
    """Whether there is a version where a mode is for: a subject, a context, everything."""
    prefix = prefix_of(where or EVERYWHERE)
    wanted = subject_named(where) if split(where).subject else None
    return any(wanted in (None, name) for name, _ in contents.tables.subjects(prefix))
