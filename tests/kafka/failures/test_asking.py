"""A process that asks for positions survives the death of those that it asks."""

import subprocess
import sys
import time
from itertools import cycle

import pytest

from tests.kafka.failures.conftest import Clusters

SECONDS = 30
AWAY_SECONDS = 1.5


@pytest.mark.timeout(150)
def test_who_asks_for_positions_outlives_the_coordinators(start_cluster: Clusters) -> None:
    """Coordinators are killed while questions are under way: asked through an admin client, the process died of it."""
    cluster = start_cluster({}, nodes=3)
    command = [sys.executable, "-m", "tests.kafka.failures.asking", cluster.address, str(SECONDS)]
    askers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for node in cycle(cluster.nodes):
            if all(asker.poll() is not None for asker in askers):
                break
            node.kill()
            time.sleep(AWAY_SECONDS)
            node.start()
            cluster.wait()
        answers = [asker.communicate()[0].split() for asker in askers]
    finally:
        for asker in askers:
            asker.kill()
    assert [asker.returncode for asker in askers] == [0, 0]
    assert all(int(answered) > 100 for answered, _ in answers), answers
