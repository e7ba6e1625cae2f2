"""Who watches a worker, and lets happen to it what is to happen: at its group, its log, its handlers."""

from mainstem.testing.simulation.witnesses.audit import AUDIT, Audited, audit_of
from mainstem.testing.simulation.witnesses.groups import Seen, WitnessedGroup
from mainstem.testing.simulation.witnesses.reading import WitnessedLog
from mainstem.testing.simulation.witnesses.runs import OpenRun, Runs

__all__ = ["AUDIT", "Audited", "OpenRun", "Runs", "Seen", "WitnessedGroup", "WitnessedLog", "audit_of"]
