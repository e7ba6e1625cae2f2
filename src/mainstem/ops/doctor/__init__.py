"""``mainstem doctor``: what is wrong on a broker, or soon will be, and what to do about it."""

from mainstem.ops.doctor.command import doctor

__all__ = ["doctor"]
