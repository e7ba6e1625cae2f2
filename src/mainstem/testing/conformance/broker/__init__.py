"""The conformance suite of brokers: a backend is right when it passes every rule that its capabilities call for."""

from mainstem.testing.conformance.broker.gaps import Gaps, WithGaps
from mainstem.testing.conformance.broker.harness import Capabilities, Harness
from mainstem.testing.conformance.broker.rules import RULES
from mainstem.testing.conformance.broker.stage import Rule
from mainstem.testing.conformance.broker.suite import check

__all__ = ["RULES", "Capabilities", "Gaps", "Harness", "Rule", "WithGaps", "check"]
