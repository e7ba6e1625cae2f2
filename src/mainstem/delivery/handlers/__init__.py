"""From a user's function to a processor."""

from mainstem.delivery.handlers.compiling import compile_handler, declared_outputs
from mainstem.delivery.handlers.registration import Registration

__all__ = ["Registration", "compile_handler", "declared_outputs"]
