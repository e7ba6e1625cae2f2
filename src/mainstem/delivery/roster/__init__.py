"""What a task's store tells of who has run it: which definition, which handlers from where on, which inputs."""

from mainstem.delivery.roster.edition import FORMAT, Edition, enter, note_edition, recorded
from mainstem.delivery.roster.inputs import note_inputs, was_another
from mainstem.delivery.roster.roster import Roster, known_handlers, relocated_starts, struck_out

__all__ = [
    "FORMAT",
    "Edition",
    "Roster",
    "enter",
    "known_handlers",
    "note_edition",
    "note_inputs",
    "recorded",
    "relocated_starts",
    "struck_out",
    "was_another",
]
