"""The schema registry as a service that runs."""

from mainstem.service.registry.serving import Surface, registry_access, schema_registry
from mainstem.service.registry.surface import http_surface

__all__ = ["Surface", "http_surface", "registry_access", "schema_registry"]
