"""Registries as their users see them: one interface, over HTTP or remembered; and the committed ``schemas.lock``."""

from mainstem.schemas.registries.locked import LOCK_NAME, Locked, LockFile
from mainstem.schemas.registries.registry import Registered, SchemaRegistry
from mainstem.schemas.registries.remembering import Remembering
from mainstem.schemas.registries.remote import RemoteRegistry

__all__ = [
    "LOCK_NAME",
    "LockFile",
    "Locked",
    "Registered",
    "Remembering",
    "RemoteRegistry",
    "SchemaRegistry",
]
