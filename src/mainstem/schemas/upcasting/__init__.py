"""Reading events of older versions: steps from each version to the next, and the decoder that takes them."""

from typing import TYPE_CHECKING

from mainstem.doors import door
from mainstem.schemas.upcasting.chain import check_chain, named, upcasted
from mainstem.schemas.upcasting.places import StepFailed
from mainstem.schemas.upcasting.reading import Cells, Decode, Decoders, Named, Reading, reading_of

if TYPE_CHECKING:
    from mainstem.schemas.upcasting.steps import default as default
    from mainstem.schemas.upcasting.steps import drop as drop
    from mainstem.schemas.upcasting.steps import map_values as map_values
    from mainstem.schemas.upcasting.steps import move as move
    from mainstem.schemas.upcasting.steps import rename as rename
    from mainstem.schemas.upcasting.steps import split as split

__all__ = [
    "Cells",
    "Decode",
    "Decoders",
    "Named",
    "Reading",
    "StepFailed",
    "check_chain",
    "default",
    "drop",
    "map_values",
    "move",
    "named",
    "reading_of",
    "rename",
    "split",
    "upcasted",
]

# Every service reads; few have something to upcast.
__getattr__, __dir__ = door(__name__, {"steps": ("default", "drop", "map_values", "move", "rename", "split")})
