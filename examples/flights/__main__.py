"""``make demo``: a month of flights through four services, one of them killed half-way, and every total checked.

    python -m examples.flights [--speed 86400] [--kill delays]

Everything it starts it ends, also on Ctrl-C. What it leaves is ``build/demo`` (the log, the letterbox, what the
processes said) and ``build/demo-report.json``. The exit code is 0 when everything held.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from examples.flights import check
from examples.flights.board import Board
from examples.flights.crew import Crew, ServiceEnded
from examples.flights.flights import flights
from examples.flights.happenings import ReplayOrdered
from examples.flights.report import Report
from examples.flights.story import Kill, Story
from examples.flights.surroundings import BROKER, DATA, FOLDER, MARK
from examples.flights.timetable import read_timetable
from examples.flights.verify import Check, groups, verify
from mainstem.errors import MainstemError

WORKERS = {"flights": 1, "delays": 2, "notices": 1, "hotels": 1}


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.flights", description="Replay flights through services.")
    parser.add_argument("--speed", type=float, default=0, help="event time over wall time; 0: as fast as possible")
    parser.add_argument("--kill", choices=WORKERS, action="append", help="who loses a process half-way: delays")
    parser.add_argument("--report", type=Path, default=Path("build/demo-report.json"))
    options = parser.parse_args()
    try:
        check.flights_file(DATA)
    except check.Unreadable as error:
        parser.error(str(error))
    start_afresh(parser)
    victims: list[str] = options.kill or ["delays"]
    # Two workers have a parent that starts again what dies.
    crew, board = Crew({**WORKERS, **dict.fromkeys(victims, 2)}, BROKER, FOLDER), Board()
    try:
        report = asyncio.run(demonstrate(crew, board, options.speed, victims))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped", file=sys.stderr)
        return 130
    except (check.Unreadable, ServiceEnded, MainstemError, TimeoutError) as error:
        print(f"the demo has failed: {error}", file=sys.stderr)
        return 1
    finally:
        crew.end_now()
        board.close()
    report.write(options.report)
    code = check.main(["--data", str(DATA), "--report", str(options.report)])
    return code if report.held else 1


def start_afresh(parser: argparse.ArgumentParser) -> None:
    """Remove what an earlier demo has left, and nothing else."""
    if FOLDER.exists() and any(FOLDER.iterdir()) and not (FOLDER / MARK).exists():
        parser.error(f"{FOLDER}: holds something that no demo has left there")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    (FOLDER / MARK).touch()


async def demonstrate(crew: Crew, board: Board, speed: float, victims: Sequence[str]) -> Report:
    """Run the demo in this event loop. No process is left when it returns or raises."""
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    try:
        async with flights.running(broker=BROKER, dev=True, consume=False) as process:
            board.say(f"starting {', '.join(crew.services)} on {BROKER}")
            await crew.start()
            story = Story(process.broker, crew, board, len(read_timetable(DATA)))
            await story.assemble()
            board.say(f"all are there; replaying {story.everything:,} events from {DATA}")
            began = time.monotonic()
            await flights.publish(ReplayOrdered("everything", speed))
            kills: list[Kill] = []
            for number, victim in enumerate(victims, start=1):
                await story.replay(number / (len(victims) + 1))
                kills.append(await story.kill(victim))
            await story.settle()
            seconds = time.monotonic() - began
            board.say(f"all is handled: {story.watch.published:,} events in {seconds:.1f} s")
            redriven = await story.redrive()
            board.conclude(story.watch, seconds)
            codes = await crew.stop()
            checks = [
                *await verify(process.broker, story.watch.sights),
                Check("every process drained in order", not any(codes.values()), str(codes)),
            ]
            for each in checks:
                board.say(f"{'[green]held[/]  ' if each.held else '[red]FAILED[/]'}  {each.name}: {each.found}")
            return Report(
                groups=await groups(process.broker),
                checks=checks,
                sights=story.watch.sights,
                kills=kills,
                published=story.watch.published,
                redriven=redriven,
                seconds=seconds,
            )
    finally:
        await crew.stop()


if __name__ == "__main__":
    sys.exit(main())
