"""When handlers fail: retry policies, checkpoints, parked keys, dead letters, and what is told of them."""

from mainstem.delivery.failures.alerts import NO_ALERTS, Alerts, Letters, check_alerts
from mainstem.delivery.failures.audit import (
    LASTING_KEY,
    PASSED_OVER,
    Audit,
    Decided,
    Entry,
    Status,
    audit_topic,
    decode_entry,
)
from mainstem.delivery.failures.checkpoints import Checkpoints
from mainstem.delivery.failures.handover import renamed, retired
from mainstem.delivery.failures.letters import (
    LETTERS,
    SWEEP,
    Edit,
    Letter,
    lane_of,
    origin_of,
    place_alone,
    place_at,
    place_of,
)
from mainstem.delivery.failures.look_alikes import warn_of_look_alikes
from mainstem.delivery.failures.parking import PARKING_STORE, RETRY, Failure, Mark, Parking
from mainstem.delivery.failures.raised import raised_at
from mainstem.delivery.failures.retry import Discard, GiveUp, Park, Pause, Retry, RunAgain, Verdict

__all__ = [
    "LASTING_KEY",
    "LETTERS",
    "NO_ALERTS",
    "PARKING_STORE",
    "PASSED_OVER",
    "RETRY",
    "SWEEP",
    "Alerts",
    "Audit",
    "Checkpoints",
    "Decided",
    "Discard",
    "Edit",
    "Entry",
    "Failure",
    "GiveUp",
    "Letter",
    "Letters",
    "Mark",
    "Park",
    "Parking",
    "Pause",
    "Retry",
    "RunAgain",
    "Status",
    "Verdict",
    "audit_topic",
    "check_alerts",
    "decode_entry",
    "lane_of",
    "origin_of",
    "place_alone",
    "place_at",
    "place_of",
    "raised_at",
    "renamed",
    "retired",
    "warn_of_look_alikes",
]
