"""The one HTTP server. Rooms export routes, ``service`` serves them; nothing else touches an HTTP library."""

from typing import TYPE_CHECKING

from mainstem.doors import door

if TYPE_CHECKING:
    from mainstem.web.address import Address as Address
    from mainstem.web.server import Request as Request
    from mainstem.web.server import Response as Response
    from mainstem.web.server import Route as Route
    from mainstem.web.server import serving as serving

__all__ = [
    "Address",
    "Request",
    "Response",
    "Route",
    "serving",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "address": ("Address",),
        "server": (
            "Request",
            "Response",
            "Route",
            "serving",
        ),
    },
)
