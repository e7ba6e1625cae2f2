"""The one HTTP server. Rooms export routes, ``service`` serves them; nothing else touches an HTTP library.

``server`` needs an extra, so it is loaded by who uses it: ``from mainstem.web.server import serving``.
"""

from mainstem.web.address import Address

__all__ = [
    "Address",
    "server",
]
