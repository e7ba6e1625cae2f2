"""Kaskade without a terminal: its command line, with somebody who looks at everything, and says what was on the screen.

Runs in Kaskade's own environment, and imports nothing of Mainstem. Reads command lines, each a line of JSON, and
answers each with a line of JSON.
"""

import functools
import html
import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable

from kaskade.admin import DescribeTopicScreen, ListTopics
from kaskade.consumer import TopicScreen
from kaskade.main import cli
from kaskade.themes import KaskadeApp
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import DataTable, TabbedContent

SIZE = (240, 60)
PATIENCE_SECONDS = 60
LOOKED_AT = 2
CELL = re.compile(r'<text[^>]*? x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>')
seen: dict[str, object] = {}


def cells(table: DataTable) -> list[list[str]]:
    """What a table shows, row by row."""
    return [[str(cell) for cell in table.get_row_at(number)] for number in range(table.row_count)]


def text(app: App) -> str:
    """What is on the screen, line by line, as a picture of it has it."""
    lines = defaultdict(list)
    for x, y, words in CELL.findall(app.export_screenshot()):
        lines[float(y)].append((float(x), html.unescape(words)))
    joined = "\n".join("".join(words for _, words in sorted(line)) for _, line in sorted(lines.items()))
    return joined.replace("\N{NO-BREAK SPACE}", " ")


async def until(pilot: Pilot, holds: Callable[[], bool]) -> None:
    """Let it work until something holds."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > limit:
            raise TimeoutError(text(pilot.app))
        await pilot.pause(0.05)


async def opened(pilot: Pilot, kind: type) -> None:
    """Open the row under the cursor."""
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))


async def closed(pilot: Pilot) -> None:
    """Go back to the list."""
    await pilot.press("escape")
    await until(pilot, lambda: len(pilot.app.screen_stack) == 1)


async def records(pilot: Pilot) -> None:
    """Every record as a row; the first of them also as it is copied, and as the screen about it shows its value."""
    app = pilot.app
    table = app.query_one("#records-table", DataTable)
    await until(pilot, lambda: not table.loading)
    seen["rows"] = cells(table)
    seen["copied"], seen["screens"] = [], []
    for _ in range(min(table.row_count, LOOKED_AT)):
        await pilot.press("y")
        seen["copied"].append(json.loads(app.clipboard))
        await opened(pilot, TopicScreen)
        app.screen.query_one(TabbedContent).active = "value"
        await pilot.pause()
        seen["screens"].append(text(app))
        await closed(pilot)
        await pilot.press("down")


async def topics(pilot: Pilot) -> None:
    """Every topic as a row; and all the tables about those that a group reads."""
    app = pilot.app
    table = app.query_one("#topics-table", DataTable)
    await until(pilot, lambda: app.query_one(ListTopics).last_updated_at is not None and not table.loading)
    seen["rows"] = cells(table)
    seen["topics"] = {}
    for name, _, _, _, groups, *_ in seen["rows"]:
        if groups != "0":
            await opened(pilot, DescribeTopicScreen)
            seen["topics"][name] = {each.id: cells(each) for each in app.screen.query(DataTable)}
            await closed(pilot)
        await pilot.press("down")


async def look(pilot: Pilot) -> None:
    """Look at everything, and leave."""
    await (topics if pilot.app.query(ListTopics) else records)(pilot)
    seen["said"] = [
        f"{each.title}: {each.message}" for each in pilot.app._notifications if each.severity != "information"
    ]
    pilot.app.exit()


KaskadeApp.run = functools.partialmethod(App.run, headless=True, size=SIZE, auto_pilot=look)
for arguments in sys.stdin:
    seen.clear()
    cli(json.loads(arguments), standalone_mode=False)
    print(json.dumps(seen), flush=True)
