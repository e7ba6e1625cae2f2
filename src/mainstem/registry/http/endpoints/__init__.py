"""What a registry can be asked over HTTP: one table of endpoints, and a function for each."""

from mainstem.registry.http.endpoints.endpoint import Endpoint
from mainstem.registry.http.endpoints.table import ENDPOINTS

__all__ = ["ENDPOINTS", "Endpoint"]
