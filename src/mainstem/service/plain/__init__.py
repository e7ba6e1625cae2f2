"""What asks for a broker and nothing else: records of bytes, written and read, and leases.

Each name is loaded when it is first used: who declares a service need not load what reads records without one.
"""

from typing import TYPE_CHECKING

from mainstem.doors import door

if TYPE_CHECKING:
    from mainstem.service.plain.consumer import Consumer as Consumer
    from mainstem.service.plain.leases import Lease as Lease
    from mainstem.service.plain.leases import lease as lease
    from mainstem.service.plain.message import Message as Message
    from mainstem.service.plain.producer import Producer as Producer

__all__ = ["Consumer", "Lease", "Message", "Producer", "lease"]

__getattr__, __dir__ = door(
    __name__,
    {
        "consumer": ("Consumer",),
        "leases": ("Lease", "lease"),
        "message": ("Message",),
        "producer": ("Producer",),
    },
)
