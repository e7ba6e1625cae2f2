"""Reading events of older versions: steps from each version to the next, and the decoder that takes them."""

from mainstem.schemas.upcasting.chain import check_chain, named, upcasted
from mainstem.schemas.upcasting.places import StepFailed
from mainstem.schemas.upcasting.reading import Decode, Reading, reading_of
from mainstem.schemas.upcasting.steps import default, drop, map_values, move, rename, split

__all__ = [
    "Decode",
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
