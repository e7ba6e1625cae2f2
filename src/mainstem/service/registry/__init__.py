"""The schema registry as a service that runs."""

from mainstem.service.registry.serving import registry_access, schema_registry

__all__ = ["registry_access", "schema_registry"]
