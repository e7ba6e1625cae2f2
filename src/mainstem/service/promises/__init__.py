"""What a service promises about its events: their schemas, where these are registered, and whether they may be so."""

from mainstem.service.promises.enforcing import enforced, verdicts
from mainstem.service.promises.objections import objections
from mainstem.service.promises.reading import losses_told
from mainstem.service.promises.registering import given, owned, registered, stands
from mainstem.service.promises.registries import BROKER, folder_named, named_registry, registry_at, standing_registry
from mainstem.service.promises.stated import LEVELS, Stated, stated_by
from mainstem.service.promises.writers import writers_of, writers_of_anybody, writers_of_read

__all__ = [
    "BROKER",
    "LEVELS",
    "Stated",
    "enforced",
    "folder_named",
    "given",
    "losses_told",
    "named_registry",
    "objections",
    "owned",
    "registered",
    "registry_at",
    "standing_registry",
    "stands",
    "stated_by",
    "verdicts",
    "writers_of",
    "writers_of_anybody",
    "writers_of_read",
]
