"""What probes and Prometheus are told about a process, by real requests."""

import http.client
import json
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from mainstem.ops.program import mainstem
from tests.rooms.ops.processes import Spawned

SERVICE = """
import asyncio
import time
from pathlib import Path

from mainstem import IntegrationEvent, Service

class Asked(IntegrationEvent, topic="asks", key=None):
    text: str

desk = Service("desk")
desk.topic("asks", partitions=1)

@desk.on(Asked)
async def answer(asked: Asked) -> None:
    while asked.text == "wait" and not Path("go on").exists():
        await asyncio.sleep(0.01)
    while asked.text == "block" and not Path("go on").exists():
        time.sleep(0.01)

async def open_slowly() -> str:
    while not Path("opened").exists():
        await asyncio.sleep(0.01)
    return ""

slow = Service("slow")
slow.provide(str, open_slowly)

@slow.on(Asked)
async def answer_too(asked: Asked) -> None:
    ...
"""
ADDRESS = re.compile(r"/metrics at \S*:(\d+)")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spawned]:
    """A process in a folder with a service in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "desk.py").write_text(SERVICE)
    with Spawned.nobody() as spawned:
        yield spawned


def ports(program: Spawned) -> list[int]:
    """Where its processes answer."""
    return [int(port) for port in ADDRESS.findall(program.said())]


def get(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    """Ask; gives the code and the body."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def is_ready(port: int) -> bool:
    """Whether its probe says so."""
    return health(port)[0] == 200


def health(port: int, path: str = "/readyz") -> tuple[int, Any]:
    """What a probe is told."""
    code, body = get(port, path)
    return code, json.loads(body)


def samples(port: int) -> dict[str, float]:
    """What is measured, as Prometheus reads it: numbers by name, summed over their labels."""
    code, body = get(port, "/metrics")
    assert code == 200
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(body):
        assert family.documentation
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


def publish(program: Spawned, text: str) -> None:
    """Put an event into the log."""
    result = CliRunner().invoke(mainstem, ["publish", "desk:desk", "Asked", json.dumps({"text": text}), "--dev"])
    assert result.exit_code == 0, program.said()


def start(program: Spawned, *arguments: str) -> int:
    """Start the service; gives the port where it answers."""
    program.start("run", *arguments, "--dev", "--http", "127.0.0.1:0")
    program.wait_until(lambda: bool(ports(program)))
    return ports(program)[0]


def test_a_process_is_ready_once_its_groups_stand(program: Spawned) -> None:
    """It answers before it has started: alive, and not ready; then ready, with every task that it owns."""
    port = start(program, "desk:slow")
    code, said = health(port)
    assert (code, said["state"], said["reasons"]) == (503, "starting", ["it is starting"])
    assert health(port, "/livez")[0] == 200
    Path("opened").touch()
    program.wait_until(lambda: health(port)[0] == 200)
    code, said = health(port)
    assert (code, said["state"], said["ready"], said["live"]) == (200, "running", True, True)
    assert [(each["group"], each["stands"], len(each["tasks"])) for each in said["groups"]] == [("slow", True, 8)]
    assert program.stop() == 0


def test_a_broker_that_is_not_there_is_waited_for(program: Spawned) -> None:
    """It is asked again and again, and the probe says so; a process that is told to end while it waits does."""
    program.start("run", "desk:desk", "--broker", "kafka://127.0.0.1:1?answer_seconds=0.2", "--http", "127.0.0.1:0")
    program.wait_for("trying again in", times=2)
    [port] = ports(program)
    code, said = health(port)
    assert (code, said["state"], said["live"]) == (503, "starting", True)
    assert said["reasons"][1].startswith("the broker does not answer")
    assert health(port, "/livez")[0] == 200
    assert program.stop() == 0
    assert "Traceback" not in program.said()


def test_a_process_that_drains_is_not_ready_and_is_alive(program: Spawned) -> None:
    """From the signal on it is not ready; it answers until what has begun is finished."""
    port = start(program, "desk:desk")
    program.wait_until(lambda: health(port)[0] == 200)
    publish(program, "wait")
    program.wait_until(lambda: any(task["in_flight"] for task in health(port)[1]["groups"][0]["tasks"]))
    program.send(signal.SIGTERM)
    program.wait_until(lambda: health(port)[0] == 503)
    code, said = health(port)
    assert (code, said["state"], said["reasons"]) == (503, "draining", ["it is draining"])
    assert health(port, "/livez")[0] == 200
    Path("go on").touch()
    assert program.ended() == 0
    assert "Traceback" not in program.said()


def test_a_task_that_stands_still_is_not_alive(program: Spawned, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task with an event in flight that finishes nothing for the bound is stuck; when it goes on, all is well."""
    monkeypatch.setenv("MAINSTEM_STUCK_SECONDS", "0.5")
    port = start(program, "desk:desk")
    program.wait_until(lambda: health(port)[0] == 200)
    publish(program, "wait")
    program.wait_until(lambda: health(port, "/livez")[0] == 503)
    code, said = health(port)
    assert (code, said["live"]) == (200, False), "who is stuck is ready still: its other tasks work"
    assert re.match(r"task 0 of 'desk' has had 1 events in flight for \d+ s", said["reasons"][0])
    Path("go on").touch()
    program.wait_until(lambda: health(port, "/livez")[0] == 200)
    assert program.stop() == 0


def test_a_blocked_event_loop_does_not_answer(program: Spawned) -> None:
    """An answer comes from the event loop itself, so there is none while a handler blocks it: the probe times out."""
    port = start(program, "desk:desk")
    program.wait_until(lambda: health(port)[0] == 200)
    publish(program, "block")

    def silent() -> bool:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=0.5)) as connection:
            connection.request("GET", "/livez")
            try:
                connection.getresponse()
            except TimeoutError:
                return True
            return False

    program.wait_until(silent)
    Path("go on").touch()
    program.wait_until(lambda: health(port, "/livez")[0] == 200)
    assert program.stop() == 0


def test_what_is_measured_can_be_read_by_prometheus(program: Spawned) -> None:
    """Counters, durations and gauges of a process without an SDK stand on the page, in the names of the telemetry."""
    port = start(program, "desk:desk")
    program.wait_until(lambda: health(port)[0] == 200)
    for _ in range(3):
        publish(program, "now")
    program.wait_until(lambda: samples(port).get("mainstem_events_handled_total") == 3)
    # Gauges are looked at twice a second at most.
    program.wait_until(lambda: samples(port).get("mainstem_lag_records") == 0)
    found = samples(port)
    assert found["messaging_client_consumed_messages_total"] == 3
    assert found["messaging_client_operation_duration_seconds_count"] >= 1
    assert found["messaging_process_duration_seconds_bucket"] >= found["messaging_process_duration_seconds_count"] >= 1
    assert found["mainstem_tasks_owned"] == 1
    assert found["mainstem_keys_parked"] == 0
    assert program.stop() == 0


def test_each_worker_has_a_port_of_its_own(program: Spawned) -> None:
    """Several workers under a parent answer each for itself."""
    program.start("run", "desk:desk", "--workers", "2", "--dev", "--http", "127.0.0.1:0")
    program.wait_until(lambda: len(set(ports(program))) == 2)
    for port in ports(program):
        program.wait_until(partial(is_ready, port))
    tasks = [sum(len(group["tasks"]) for group in health(port)[1]["groups"]) for port in ports(program)]
    assert sorted(tasks) == [0, 1], "one task, and a worker that is ready to take it over"
    assert program.stop() == 0


def test_anything_else_is_not_found(program: Spawned) -> None:
    """There is nothing to be had but what is said, and nothing to be changed."""
    port = start(program, "desk:desk")
    assert get(port, "/")[0] == 404
    assert get(port, "/readyz", "POST")[0] == 405
    assert program.stop() == 0


def test_a_port_that_is_taken_is_refused(program: Spawned) -> None:
    """Nothing starts where nobody can be told how it is."""
    port = start(program, "desk:desk")
    with Spawned(Path("second.log")) as second:
        second.start("run", "desk:desk", "--dev", "--http", f"127.0.0.1:{port}")
        assert second.ended() == 1
        assert f"127.0.0.1:{port}" in second.said()
        assert "Address already in use" in second.said()
    assert program.stop() == 0
