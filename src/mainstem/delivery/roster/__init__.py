"""What a task's store tells of who has run it: which definition, which handlers from where on, which inputs."""

from mainstem.delivery.roster.edition import FORMAT, Edition, enter, note_edition, recorded
from mainstem.delivery.roster.inputs import first_position, note_inputs
from mainstem.delivery.roster.roster import Roster, known_handlers, relocated_starts, struck_out

__all__ = [
    "FORMAT",
    "Edition",
    "Roster",
    "enter",
    "first_position",
    "known_handlers",
    "note_edition",
    "note_inputs",
    "recorded",
    "relocated_starts",
    "struck_out",
]
