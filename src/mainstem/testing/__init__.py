"""What tests of services and of backends are made with. What a test runner loads with its plugins is kept small."""

from typing import TYPE_CHECKING

from mainstem.doors import door

if TYPE_CHECKING:
    from mainstem.testing.cases import Given as Given
    from mainstem.testing.cases import When as When
    from mainstem.testing.cases import given as given
    from mainstem.testing.faults import POINTS as POINTS
    from mainstem.testing.faults import USUAL as USUAL
    from mainstem.testing.faults import Fault as Fault
    from mainstem.testing.faults import assign_twice as assign_twice
    from mainstem.testing.faults import crash as crash
    from mainstem.testing.faults import duplicate as duplicate
    from mainstem.testing.faults import fail as fail
    from mainstem.testing.faults import jump as jump
    from mainstem.testing.faults import lose_answer as lose_answer
    from mainstem.testing.faults import lose_ownership as lose_ownership
    from mainstem.testing.faults import outage as outage
    from mainstem.testing.faults import rebalance as rebalance
    from mainstem.testing.faults import refuse_commit as refuse_commit
    from mainstem.testing.faults import reorder as reorder
    from mainstem.testing.faults import slow as slow
    from mainstem.testing.faults import stall as stall
    from mainstem.testing.invariants import GUARANTEES as GUARANTEES
    from mainstem.testing.invariants import Invariant as Invariant
    from mainstem.testing.invariants import in_order as in_order
    from mainstem.testing.invariants import nothing_lost as nothing_lost
    from mainstem.testing.invariants import nothing_twice as nothing_twice
    from mainstem.testing.published import Fact as Fact
    from mainstem.testing.published import Published as Published
    from mainstem.testing.searching import SeedFailed as SeedFailed
    from mainstem.testing.searching import Simulation as Simulation
    from mainstem.testing.searching import scenario as scenario
    from mainstem.testing.searching import search as search
    from mainstem.testing.simulation import SimulationLoop as SimulationLoop
    from mainstem.testing.simulation import SimulationStuck as SimulationStuck
    from mainstem.testing.simulation import Step as Step
    from mainstem.testing.simulation import Trace as Trace
    from mainstem.testing.simulation import run_simulation as run_simulation
    from mainstem.testing.simulation import simulated as simulated
    from mainstem.testing.stage import simulate as simulate
    from mainstem.testing.world import DeadLetter as DeadLetter
    from mainstem.testing.world import World as World

__all__ = [
    "GUARANTEES",
    "POINTS",
    "USUAL",
    "DeadLetter",
    "Fact",
    "Fault",
    "Given",
    "Invariant",
    "Published",
    "SeedFailed",
    "Simulation",
    "SimulationLoop",
    "SimulationStuck",
    "Step",
    "Trace",
    "When",
    "World",
    "assign_twice",
    "crash",
    "duplicate",
    "fail",
    "given",
    "in_order",
    "jump",
    "lose_answer",
    "lose_ownership",
    "nothing_lost",
    "nothing_twice",
    "outage",
    "rebalance",
    "refuse_commit",
    "reorder",
    "run_simulation",
    "scenario",
    "search",
    "simulate",
    "simulated",
    "slow",
    "stall",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "faults": (
            "POINTS",
            "USUAL",
            "Fault",
            "assign_twice",
            "crash",
            "duplicate",
            "fail",
            "jump",
            "lose_answer",
            "lose_ownership",
            "outage",
            "rebalance",
            "refuse_commit",
            "reorder",
            "slow",
            "stall",
        ),
        "cases": ("Given", "When", "given"),
        "invariants": ("GUARANTEES", "Invariant", "in_order", "nothing_lost", "nothing_twice"),
        "published": ("Fact", "Published"),
        "searching": ("SeedFailed", "Simulation", "scenario", "search"),
        "simulation": ("SimulationLoop", "SimulationStuck", "Step", "Trace", "run_simulation", "simulated"),
        "stage": ("simulate",),
        "world": ("DeadLetter", "World"),
    },
)
