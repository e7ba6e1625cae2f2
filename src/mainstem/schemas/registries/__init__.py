"""Registries as their users see them: one interface, over HTTP or remembered; and the committed ``schemas.lock``."""

from typing import TYPE_CHECKING

from mainstem.doors import door

if TYPE_CHECKING:
    from mainstem.schemas.registries.locked import LOCK_NAME as LOCK_NAME
    from mainstem.schemas.registries.locked import Locked as Locked
    from mainstem.schemas.registries.locked import LockFile as LockFile
    from mainstem.schemas.registries.marks import mark_of as mark_of
    from mainstem.schemas.registries.registry import MEDIA_TYPE as MEDIA_TYPE
    from mainstem.schemas.registries.registry import Registered as Registered
    from mainstem.schemas.registries.registry import SchemaRegistry as SchemaRegistry
    from mainstem.schemas.registries.registry import turned_away as turned_away
    from mainstem.schemas.registries.remembering import Remembering as Remembering
    from mainstem.schemas.registries.remote import RemoteRegistry as RemoteRegistry

__all__ = [
    "LOCK_NAME",
    "MEDIA_TYPE",
    "LockFile",
    "Locked",
    "Registered",
    "Remembering",
    "RemoteRegistry",
    "SchemaRegistry",
    "mark_of",
    "turned_away",
]

# The HTTP client is an extra.
__getattr__, __dir__ = door(
    __name__,
    {
        "locked": ("LOCK_NAME", "LockFile", "Locked"),
        "marks": ("mark_of",),
        "registry": ("MEDIA_TYPE", "Registered", "SchemaRegistry", "turned_away"),
        "remembering": ("Remembering",),
        "remote": ("RemoteRegistry",),
    },
)
