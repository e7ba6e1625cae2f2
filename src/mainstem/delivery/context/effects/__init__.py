"""What a run of a handler does: its effects, the facts among them, and how an event becomes one."""

from mainstem.delivery.context.effects.effects import Effects, Fact, Gathered, Look, Through, no_effects
from mainstem.delivery.context.effects.facts import Facts, Origin
from mainstem.delivery.context.effects.outputs import Outputs

__all__ = ["Effects", "Fact", "Facts", "Gathered", "Look", "Origin", "Outputs", "Through", "no_effects"]
