"""Load balancing: strategies over a state that the caller keeps, the hash ring, and the balancer of one process."""

from mainstem.resilience.balancing.backends import Backend, HealthRule, Mark
from mainstem.resilience.balancing.balancer import Balancer
from mainstem.resilience.balancing.loads import LeastConnections, LeastResponseTime, Load, Loads
from mainstem.resilience.balancing.ring import HashRing
from mainstem.resilience.balancing.strategies import (
    KeyHash,
    RingHash,
    RoundRobin,
    Session,
    Sticky,
    Strategy,
    Weighted,
)

__all__ = [
    "Backend",
    "Balancer",
    "HashRing",
    "HealthRule",
    "KeyHash",
    "LeastConnections",
    "LeastResponseTime",
    "Load",
    "Loads",
    "Mark",
    "RingHash",
    "RoundRobin",
    "Session",
    "Sticky",
    "Strategy",
    "Weighted",
]
