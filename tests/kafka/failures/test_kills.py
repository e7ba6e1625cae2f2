"""Workers and producers on a cluster, killed again and again: nothing is lost, and everything is done once."""

import os
from pathlib import Path

import pytest

from tests.crash.crew import wait_until
from tests.crash.journal import read_journal
from tests.kafka.failures.conftest import Clusters
from tests.kafka.failures.crew import KafkaCrew
from tests.kafka.failures.killer import KafkaKiller

ROLES = {
    "worker-1": ("worker", "worker-1"),
    "worker-2": ("worker", "worker-2"),
    "worker-3": ("worker", "worker-3"),
    "producer-1": ("producer", "producer-1", "--patient"),
    "redriver": ("redriver", "redriver"),
}


def kill_and_check(crew: KafkaCrew, seed: int, kills: int) -> None:
    """Run the workload, kill so many, let everything be worked off, and check."""
    killer = KafkaKiller(crew, seed, ROLES)
    killer.start_all()
    killer.kill(kills)
    killer.rest()
    wait_until(lambda: seen_everything(crew), "everything to have happened", every_seconds=0.2)
    killer.stop()
    crew.members["producer-1"].wait_until_ready()
    assert crew.members["producer-1"].end() == 0, crew.members["producer-1"].say()[-3_000:]
    report = crew.finish()
    story = f"seed {seed}: {killer}\n{report}"
    print(story)
    assert report.sound, story
    assert len(killer.hits) >= kills, story
    assert killer.inside >= kills // 5, story
    assert report.counts["timers fired"] > 0, story


def seen_everything(crew: KafkaCrew) -> bool:
    """Whether the producer has come far, and some key is parked as a dead letter."""
    if read_journal(crew.folder / "producer-1.journal").next_number < 150:
        return False
    told = [
        record.value["status"]
        for record in crew.log.records("fragile.dead-letters")
        if record.value and "status" in record.value
    ]
    return "dead-lettered" in told


@pytest.mark.timeout(400)
def test_nothing_is_lost_and_nothing_is_done_twice(tmp_path: Path, start_cluster: Clusters) -> None:
    """After twenty kills, in and between the halves of commits, every promise is kept."""
    with KafkaCrew(tmp_path, start_cluster(), "--seed", "1") as crew:
        kill_and_check(crew, seed=1, kills=20)


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", [int(os.environ.get("CRASH_SEED", "200")) + n for n in range(2)])
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_nothing_is_lost_in_the_long_run(seed: int, protocol: str, tmp_path: Path, start_cluster: Clusters) -> None:
    """The same for longer, with both group protocols; ``CRASH_SEED`` and ``CRASH_KILLS`` say how."""
    options = f"&group_protocol={protocol}"
    with KafkaCrew(tmp_path, start_cluster(), "--seed", str(seed), options=options) as crew:
        kill_and_check(crew, seed, kills=int(os.environ.get("CRASH_KILLS", "60")))
