"""Pure step functions against failure: time and chance are arguments, and what needs a store is in delivery."""

from mainstem.resilience.backoff import Backoff, Growth, Jitter

__all__ = ["Backoff", "Growth", "Jitter"]
