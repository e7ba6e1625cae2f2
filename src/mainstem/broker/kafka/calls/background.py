"""What goes on beside everything else."""

import asyncio
from collections.abc import Coroutine

from mainstem.telemetry import log


def background(work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
    """Begin what goes on for as long as its broker is open. Nobody waits for it, so what ends it before is logged."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell_end)
    return task


def _tell_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s: goes on no more, and is to be started again with its process: %r", task.get_name(), error)
