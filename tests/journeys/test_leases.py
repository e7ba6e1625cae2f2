"""Leases in processes of their own, of which one is killed and one stopped."""

from pathlib import Path

from tests.journeys.holders import one_after_the_other


async def test_a_lease_outlives_its_holders(tmp_path: Path) -> None:
    """Whoever waits gets it when its holder is killed or stopped; a holder that wakes up again is told."""
    await one_after_the_other(f"sqlite:///{tmp_path}/leases.db", tmp_path, 1.0, 10.0)
