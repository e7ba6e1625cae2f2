"""The command line. It shows and asks; what is to be changed it sends as a command to the task that holds the key."""

from mainstem.ops.program import main

__all__ = ["main"]
