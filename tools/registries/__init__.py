"""Registries of schemas that are not ours, for what is tried against them."""

from tools.registries.apicurio import Missing, running

__all__ = ["Missing", "running"]
