"""Services in virtual time: an event loop that never waits, processes that die, and a machine for them all."""

from mainstem.testing.simulation.loop import SimulationLoop, SimulationStuck, run_simulation, simulated
from mainstem.testing.simulation.process import Process
from mainstem.testing.simulation.settling import Settling
from mainstem.testing.simulation.trace import Place, Step, Trace
from mainstem.testing.simulation.witnesses import AUDIT, Audited, audit_of
from mainstem.testing.simulation.worker import Cast, Scene, Worker

__all__ = [
    "AUDIT",
    "Audited",
    "Cast",
    "Place",
    "Process",
    "Scene",
    "Settling",
    "SimulationLoop",
    "SimulationStuck",
    "Step",
    "Trace",
    "Worker",
    "audit_of",
    "run_simulation",
    "simulated",
]
