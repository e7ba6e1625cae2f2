"""Local copies of changelogs: what they look like from here, how one is restored, and standbys that keep up."""

from mainstem.broker.kafka.copies.changelog import change_of, change_records, changed_rows
from mainstem.broker.kafka.copies.copy import Copies, Copy
from mainstem.broker.kafka.copies.placement import Seat, folder_of, named_with, to_follow
from mainstem.broker.kafka.copies.restore import Restorer
from mainstem.broker.kafka.copies.standby import Standbys

__all__ = [
    "Copies",
    "Copy",
    "Restorer",
    "Seat",
    "Standbys",
    "change_of",
    "change_records",
    "changed_rows",
    "folder_of",
    "named_with",
    "to_follow",
]
