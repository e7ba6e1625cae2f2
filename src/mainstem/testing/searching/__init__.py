"""The search for a seed with which something does not hold, and the story of the smallest run that shows it."""

from mainstem.testing.searching.options import OPTIONS
from mainstem.testing.searching.scenarios import scenario
from mainstem.testing.searching.seeds import SeedFailed, search
from mainstem.testing.searching.simulation import Simulation

__all__ = ["OPTIONS", "SeedFailed", "Simulation", "scenario", "search"]
