"""Services in virtual time: an event loop that never waits, processes that die, faults, and a machine for them all."""

from mainstem.testing.simulation.faults import (
    POINTS,
    Fault,
    Pause,
    crash,
    duplicate,
    fail,
    lose_answer,
    lose_ownership,
    refuse_commit,
    slow,
    stall,
)
from mainstem.testing.simulation.loop import SimulationLoop, SimulationStuck, run_simulation, simulated
from mainstem.testing.simulation.process import Process
from mainstem.testing.simulation.settling import Settling
from mainstem.testing.simulation.trace import Step, Trace
from mainstem.testing.simulation.worker import Scene, Worker

__all__ = [
    "POINTS",
    "Fault",
    "Pause",
    "Process",
    "Scene",
    "Settling",
    "SimulationLoop",
    "SimulationStuck",
    "Step",
    "Trace",
    "Worker",
    "crash",
    "duplicate",
    "fail",
    "lose_answer",
    "lose_ownership",
    "refuse_commit",
    "run_simulation",
    "simulated",
    "slow",
    "stall",
]
