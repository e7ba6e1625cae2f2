"""What a handler is given beside its event, and what becomes of what it does with it."""

from mainstem.delivery.context.context import Context, RunContext
from mainstem.delivery.context.effects import Effects, Fact, Facts, Gathered, Look, Outputs, Through, no_effects
from mainstem.delivery.context.firing import (
    TIMER_TOPIC,
    Stamps,
    due_fact,
    due_ms,
    firing_batch,
    schedule_tag,
    waiting_fact,
)
from mainstem.delivery.context.footing import Footing, Incarnation, Run, Surroundings
from mainstem.delivery.context.reading import envelope_of, event_id_of, in_binary_mode
from mainstem.delivery.context.refusals import checked_name
from mainstem.delivery.context.stores import Readable, Store, row_key

__all__ = [
    "TIMER_TOPIC",
    "Context",
    "Effects",
    "Fact",
    "Facts",
    "Footing",
    "Gathered",
    "Incarnation",
    "Look",
    "Outputs",
    "Readable",
    "Run",
    "RunContext",
    "Stamps",
    "Store",
    "Surroundings",
    "Through",
    "checked_name",
    "due_fact",
    "due_ms",
    "envelope_of",
    "event_id_of",
    "firing_batch",
    "in_binary_mode",
    "no_effects",
    "row_key",
    "schedule_tag",
    "waiting_fact",
]
