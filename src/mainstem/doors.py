"""Front doors that open when somebody knocks (PEP 562).

A room's ``__init__`` lists what the room offers. Where importing all of it would make a file that declares an event
and a handler load a whole runtime, the list names the module behind each name, and that is loaded when it is used.
"""

import importlib
import sys
from collections.abc import Callable, Mapping


def door(room: str, behind: Mapping[str, tuple[str, ...]]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a room. ``behind`` gives the names by the module that has them."""
    modules = {name: module for module, names in behind.items() for name in names}

    def get(name: str) -> object:
        module = modules.get(name)
        if module is None:
            message = f"module {room!r} has no attribute {name!r}"
            raise AttributeError(message)
        value: object = getattr(importlib.import_module(f"{room}.{module}"), name)
        # Nobody need ask again: some do so for each call, inside a function.
        setattr(sys.modules[room], name, value)
        return value

    def names() -> list[str]:
        return sorted(modules)

    return get, names
