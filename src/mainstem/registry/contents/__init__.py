"""The rules of a registry, over rows: what it answers, and what may be done to it."""

from mainstem.registry.contents.access import Access, InMemory, Operation
from mainstem.registry.contents.comparing import Comparison
from mainstem.registry.contents.configured import MODES, config_of, merged, mode_of
from mainstem.registry.contents.contents import Contents, Identified, version_number
from mainstem.registry.contents.operations import (
    DeleteConfig,
    DeleteContext,
    DeleteMode,
    DeleteSubject,
    DeleteVersion,
    Register,
    SetConfig,
    SetMode,
)
from mainstem.registry.contents.tables import (
    Changes,
    Config,
    Limits,
    MemoryRows,
    Mode,
    RegistryError,
    Rows,
    Shown,
    Version,
    guid_of,
    is_qualified,
    scope_of,
    subject_of,
)

__all__ = [
    "MODES",
    "Access",
    "Changes",
    "Comparison",
    "Config",
    "Contents",
    "DeleteConfig",
    "DeleteContext",
    "DeleteMode",
    "DeleteSubject",
    "DeleteVersion",
    "Identified",
    "InMemory",
    "Limits",
    "MemoryRows",
    "Mode",
    "Operation",
    "Register",
    "RegistryError",
    "Rows",
    "SetConfig",
    "SetMode",
    "Shown",
    "Version",
    "config_of",
    "guid_of",
    "is_qualified",
    "merged",
    "mode_of",
    "scope_of",
    "subject_of",
    "version_number",
]
