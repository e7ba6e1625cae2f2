"""The one HTTP server and client. Rooms export routes, ``service`` serves them; nothing else touches an HTTP library.

Both need an extra, so they are loaded by who uses them: ``from mainstem.web.server import serving``.
"""

from mainstem.web.address import Address
from mainstem.web.exchange import Answer, Answering, Asked, BodyLimits, BodyRefused
from mainstem.web.tls import Tls

__all__ = [
    "Address",
    "Answer",
    "Answering",
    "Asked",
    "BodyLimits",
    "BodyRefused",
    "Tls",
    "client",
    "server",
]
