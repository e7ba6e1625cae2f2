"""Whether every instance that one place accepts is accepted by another: proofs, and instances that refute them."""

from mainstem.schemas.jsonschema.inclusion.checks import findings
from mainstem.schemas.jsonschema.inclusion.proof import RULES, Finding

__all__ = ["RULES", "Finding", "findings"]
