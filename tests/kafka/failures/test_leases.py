"""Leases on a real Kafka, in processes of their own, of which one is killed and one stopped."""

from pathlib import Path

from tests.journeys.holders import one_after_the_other


async def test_a_lease_outlives_its_holders(kafka: str, tmp_path: Path) -> None:
    """Whoever waits gets it when its holder is killed or stopped; a holder that wakes up again is told."""
    await one_after_the_other(f"kafka://{kafka}?state_folder={tmp_path}/state", tmp_path, 3.0, 60.0)
