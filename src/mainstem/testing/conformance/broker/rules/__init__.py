"""The rules of a broker, by what they are about."""

from mainstem.testing.conformance.broker.rules.catalogue import RULES

__all__ = ["RULES"]
