"""What the demo is told from outside. The processes of its services inherit it with the environment."""

import os
from pathlib import Path

DATA = Path(os.environ.get("MAINSTEM_DEMO_DATA") or Path(__file__).parent / "data")
"""Holds the flights and the airlines; see the README there."""

FOLDER = Path(os.environ.get("MAINSTEM_DEMO_FOLDER") or "build/demo")
"""Where the demo keeps its log, what was delivered, and what its processes have to say. Made anew by each run."""

CLUSTER = os.environ.get("MAINSTEM_TEST_KAFKA")
"""``host:port`` of an Apache Kafka that has no topics yet; ``make demo BROKER=kafka`` starts one."""

BROKER = f"kafka://{CLUSTER}?state_folder={FOLDER}/state" if CLUSTER else f"sqlite:///{FOLDER}/demo.db"

MARK = "left-by-the-demo"
"""A file that says so: a folder without it is not removed."""

LETTERBOX = FOLDER / "notices.jsonl"
HOTEL_IS_OPEN = FOLDER / "the-hotel-is-open"
"""The switch: while this file is missing, some rooms cannot be booked at all."""
