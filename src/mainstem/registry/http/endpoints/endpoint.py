"""An endpoint, as the table has it."""

from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

from msgspec import Struct

from mainstem.registry.http.call import Call
from mainstem.registry.http.paths import Template
from mainstem.registry.http.security import Right

Method: TypeAlias = Literal["GET", "POST", "PUT", "DELETE"]


class Endpoint(Struct, frozen=True):
    """What is asked with a method on a path.

    ``answer`` is the type of a success, ``request`` that of the body; ``codes`` are the error codes that only this
    endpoint and a few others have. ``query`` names the fields that say something. One that is ``open`` answers
    everybody.
    """

    method: Method
    template: Template
    answering: Callable[[Call], Awaitable[object]]
    right: Right
    answer: object
    summary: str
    codes: tuple[int, ...] = ()
    query: tuple[str, ...] = ()
    request: object = None
    status: int = 200
    open: bool = False

    @property
    def changes(self) -> bool:
        """Whether something is other than before when it has answered."""
        return self.right != "read"
