"""What tests of services and of backends are made with."""

from mainstem.testing.published import Fact, Published
from mainstem.testing.search import SeedFailed, search
from mainstem.testing.simulation import (
    POINTS,
    Fault,
    SimulationLoop,
    SimulationStuck,
    Step,
    Trace,
    crash,
    duplicate,
    fail,
    lose_answer,
    lose_ownership,
    refuse_commit,
    run_simulation,
    simulated,
    slow,
    stall,
)
from mainstem.testing.world import DeadLetter, World, simulate

__all__ = [
    "POINTS",
    "DeadLetter",
    "Fact",
    "Fault",
    "Published",
    "SeedFailed",
    "SimulationLoop",
    "SimulationStuck",
    "Step",
    "Trace",
    "World",
    "crash",
    "duplicate",
    "fail",
    "lose_answer",
    "lose_ownership",
    "refuse_commit",
    "run_simulation",
    "search",
    "simulate",
    "simulated",
    "slow",
    "stall",
]
