"""What can be done to a registry, as plain data that can stand in a log."""

from mainstem.registry.contents.operations.configuring import DeleteConfig, DeleteMode, SetConfig, SetMode
from mainstem.registry.contents.operations.deleting import DeleteContext, DeleteSubject, DeleteVersion
from mainstem.registry.contents.operations.registering import Register

__all__ = [
    "DeleteConfig",
    "DeleteContext",
    "DeleteMode",
    "DeleteSubject",
    "DeleteVersion",
    "Register",
    "SetConfig",
    "SetMode",
]
