"""What asks for a broker and nothing else: records of bytes, written and read, and leases."""

from mainstem.service.plain.consumer import Consumer
from mainstem.service.plain.leases import Lease, lease
from mainstem.service.plain.message import Message
from mainstem.service.plain.producer import Producer

__all__ = ["Consumer", "Lease", "Message", "Producer", "lease"]
