"""Registries of schemas that are not ours, and what looks into ours, for what is tried against each other."""

from tools.registries.apicurio import running
from tools.registries.fetching import Missing
from tools.registries.kaskade import kaskade

__all__ = ["Missing", "kaskade", "running"]
