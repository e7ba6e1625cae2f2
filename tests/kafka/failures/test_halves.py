"""A commit on Kafka has two halves, the cluster's and the local copy's; whoever is hit between them loses nothing."""

from tests.crash.crew import Member, wait_until
from tests.crash.page import Ask
from tests.kafka.failures.crew import KafkaCrew
from tests.kafka.failures.probes import APPLIED, COMMITTED, OPENED, SENT

SETS_TIMERS = ("--world", "late_timers")


def publish(crew: KafkaCrew, name: str, count: int) -> None:
    """Publish so many steps."""
    crew.run("producer", name, "--count", str(count), "--pause", "0.005")


def require_sound(crew: KafkaCrew) -> None:
    """Let everything be worked off and everybody drain; then every promise is kept."""
    report = crew.finish(within_seconds=60)
    print(report)
    assert report.sound, str(report)


def ends_up_fenced(crew: KafkaCrew, old: Member) -> None:
    """Let a process go on that has been replaced: what it was about to commit is refused, and it goes on as anybody."""
    old.page.withdraw()
    old.page.forget()
    old.go_on()
    wait_until(lambda: old.page.refused, "the old owner to be fenced", old)
    wait_until(lambda: "The group has expelled this member" in old.say(), "the old owner to hear it", old)


def test_the_successor_sees_the_last_changes(crew: KafkaCrew) -> None:
    """Killed at any point of a commit, above all when the cluster has it and the local copy has not."""
    for number, point in enumerate((SENT, COMMITTED, APPLIED)):
        worker = crew.up("worker", f"worker-{number}")
        crew.settle()
        worker.page.ask(Ask.WAIT, point)
        publish(crew, f"producer-{number}", 30)
        worker.wait_at(Ask.WAIT, point)
        worker.kill()
        assert crew.log.behind(crew.copies) or point != COMMITTED, "the halves were not apart"
        del crew.members[worker.name]
    crew.up("worker", "successor")
    require_sound(crew)


def test_a_paused_process_cannot_fire_a_timer_when_it_comes_back(crew: KafkaCrew) -> None:
    """Stopped when its timers fire, it is replaced; back again, it is fenced, and every timer has fired once."""
    old = crew.up("worker", "old", *SETS_TIMERS)
    crew.settle()
    fired = sum(1 for _ in crew.log.records("quiet"))
    publish(crew, "producer-timers", 20)
    wait_until(lambda: only_timers_are_left(crew), "all but the timers to be done", every_seconds=0.05)
    assert fired == sum(1 for _ in crew.log.records("quiet")), "too slow: timers have fired already"
    old.wait_at(Ask.STOP, OPENED)
    crew.up("worker", "successor", *SETS_TIMERS)
    crew.settle()
    assert fired < sum(1 for _ in crew.log.records("quiet"))
    ends_up_fenced(crew, old)
    require_sound(crew)


def only_timers_are_left(crew: KafkaCrew) -> bool:
    """Whether nothing is to be done but to wait for one timer of each key."""
    left = crew.unsettled()
    return bool(left) and all(each.split(": ")[1] == "ledger" and each.endswith(("$timers", "$due")) for each in left)


def test_a_process_paused_within_a_commit_is_fenced(crew: KafkaCrew) -> None:
    """Its open transaction is aborted by its successor; when it comes back it cannot commit that any more."""
    old = crew.up("worker", "sleeper")
    crew.settle()
    old.page.ask(Ask.STOP, SENT)
    publish(crew, "producer-paused", 30)
    wait_until(lambda: old.stopped, "the old owner to stop", old)
    crew.up("worker", "heir")
    crew.settle()
    ends_up_fenced(crew, old)
    require_sound(crew)
