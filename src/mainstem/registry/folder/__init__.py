"""A registry in a folder of files: for people who read and commit them, and for checks before anything is deployed."""

from mainstem.registry.folder.disk import Disk
from mainstem.registry.folder.files import set_out
from mainstem.registry.folder.folder import FolderRegistry
from mainstem.registry.folder.places import INDEX
from mainstem.registry.folder.reading import is_registry, rows_of

__all__ = ["INDEX", "Disk", "FolderRegistry", "is_registry", "rows_of", "set_out"]
