"""What is done to a group that nobody runs: each of its tasks is held in custody while something in it is mended."""

from mainstem.delivery.upkeep.custody import Keeper
from mainstem.delivery.upkeep.retirement import Remembered, Retirement
from mainstem.delivery.upkeep.rollback import Rollback

__all__ = ["Keeper", "Remembered", "Retirement", "Rollback"]
