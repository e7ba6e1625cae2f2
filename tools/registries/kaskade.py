"""Kaskade, a console for Kafka in a terminal, which reads records by the schemas of a registry."""

from pathlib import Path
from typing import Final

from tools.registries.fetching import environment

PACKAGE: Final = "kaskade==5.1.0"


def kaskade() -> Path:
    """The Python that has it, in an environment of its own.

    Raises :class:`tools.registries.Missing` where it cannot be fetched.
    """
    return environment("kaskade", PACKAGE, "Kaskade")
