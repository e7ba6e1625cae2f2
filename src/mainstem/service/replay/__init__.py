"""Recorded events through handlers again, beside the live group and without touching it."""

from mainstem.service.replay.comparing import Comparison, Difference, written
from mainstem.service.replay.recording import Span
from mainstem.service.replay.replay import Replayed, Wanted, replay, replayed_topics
from mainstem.service.replay.watching import FailedRun, HandlerRuns

__all__ = [
    "Comparison",
    "Difference",
    "FailedRun",
    "HandlerRuns",
    "Replayed",
    "Span",
    "Wanted",
    "replay",
    "replayed_topics",
    "written",
]
