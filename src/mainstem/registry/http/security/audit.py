"""What was changed, by whom and when; and who was turned away. One line of JSON for each, at the logger's end."""

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from mainstem.telemetry import log


class Deed(Struct, frozen=True, omit_defaults=True):
    """A request that changed something, or that was refused for who it was from.

    ``at_ms`` is milliseconds since 1970; ``code`` is the error code of what was refused, and 0 where it was done.
    """

    at_ms: int
    who: str
    client: str
    method: str
    path: str
    status: int
    subject: str = ""
    code: int = 0


Audit: TypeAlias = Callable[[Deed], None]

_trail: Final = log.getChild("registry.audit")


def logged(deed: Deed) -> None:
    """Write it to the logger ``mainstem.registry.audit``. Control characters are escaped: a line is one deed."""
    _trail.info("%s", msgspec.json.encode(deed).decode())
