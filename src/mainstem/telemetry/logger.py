"""Logging goes to the logger ``mainstem`` and nowhere else; the root logger belongs to the program."""

import logging
import re
from collections.abc import MutableMapping
from typing import Final

from mainstem.settings import LogLevel
from mainstem.telemetry.trace import Trace

log: Final = logging.getLogger("mainstem")
"""It has no handler of its own: where the program has none either, Python prints warnings, and no failure is silent."""


class EventLogger(logging.LoggerAdapter[logging.Logger]):
    """The logger of one event in one handler: both stand in the first line of each text, and as fields of the record.

    In the text, what is not a plain character is replaced by ``_``: an id may come from outside, and must not forge a
    line of its own. The fields ``event_id`` and ``handler`` have them as they are. Where there is a trace, its id
    stands there as well, and in the field ``trace_id``.
    """

    def __init__(self, event_id: str, handler: str, trace: Trace | None = None) -> None:
        """Log about the event ``event_id`` while ``handler`` handles it."""
        super().__init__(log)
        self._fields = {"event_id": event_id, "handler": handler}
        text = f" [handler={handler} event={event_id}]"
        if trace is not None and (found := _TRACEPARENT.fullmatch(trace.traceparent)):
            self._fields["trace_id"] = found[1].decode()
            text = f"{text[:-1]} trace={self._fields['trace_id']}]"
        self._suffix = _NOT_PLAIN.sub("_", text)

    def process(self, msg: object, kwargs: MutableMapping[str, object]) -> tuple[str, MutableMapping[str, object]]:
        """Add the event and its handler to a line."""
        extra = kwargs.get("extra")
        kwargs["extra"] = {**extra, **self._fields} if isinstance(extra, dict) else self._fields
        first, newline, more = str(msg).partition("\n")
        return f"{first}{self._suffix}{newline}{more}", kwargs


_NOT_PLAIN: Final = re.compile(r"[^\w .:/@+=~\[\]-]")
_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def event_logger(event_id: str, handler: str, trace: Trace | None = None) -> EventLogger:
    """The logger of the event ``event_id`` while ``handler`` handles it. Make it when something is to be logged."""
    return EventLogger(event_id, handler, trace)


def configure_logging(level: LogLevel) -> None:
    """Show the lines of the logger ``mainstem`` from ``level`` up on standard error.

    For the command line only: inside another program, logging is that program's business. A second call replaces what
    the first one set up.
    """
    handler = logging.StreamHandler()
    handler.set_name("mainstem command line")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    for previous in [each for each in log.handlers if each.get_name() == handler.get_name()]:
        log.removeHandler(previous)
    log.addHandler(handler)
    log.setLevel(level.upper())
