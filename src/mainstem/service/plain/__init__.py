"""Records of bytes, written and read by who wants nothing else: no events, no handlers, no stores."""

from mainstem.service.plain.consumer import Consumer
from mainstem.service.plain.message import Message
from mainstem.service.plain.producer import Producer

__all__ = ["Consumer", "Message", "Producer"]
