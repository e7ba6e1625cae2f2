"""How the events of an older major version become those of the next one: steps, by the version that they start from."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from mainstem.errors import DefinitionError

Plain: TypeAlias = dict[str, object]
"""A payload as plain data, as JSON has it: texts, numbers, lists, dicts with texts as keys."""

Step: TypeAlias = Callable[[Plain], Plain]
"""From the plain data of a version to that of the next one: pure, so that every reader gets the same."""


class Upcasts:
    """The steps of one event type. They are added where the type is declared, and checked when a service starts."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: dict[int, tuple[Step, ...]] = {}

    @property
    def steps(self) -> Mapping[int, tuple[Step, ...]]:
        """By version, what makes the next one of it, in order."""
        return MappingProxyType(self._steps)

    def add(self, version: int, steps: tuple[Step, ...], where: str) -> None:
        """Say how ``version`` becomes the next one. ``where`` names the type in errors.

        Raises ``DefinitionError`` for what is no step, and for a version that has its steps already.
        """
        for step in steps:
            given: object = step
            if not callable(given):
                raise DefinitionError(
                    f"upcast({version}, {given!r}) names no step",
                    where=where,
                    why="a step takes the payload as a dict and returns the next version's",
                    remedy='write rename("old", "new") of mainstem.schemas.upcasting, or a function',
                )
        if version in self._steps:
            raise DefinitionError(
                f"version {version} has its steps already",
                where=where,
                why="there would be two ways from it to the next one",
                remedy="give all steps of a version in one call, or take one of the calls away",
            )
        self._steps[version] = steps

    def __eq__(self, other: object) -> bool:
        """Whether the steps are the same, so that a type that is declared twice alike is one."""
        return isinstance(other, Upcasts) and self._steps == other._steps

    def __hash__(self) -> int:
        # It grows after it was hashed, and what it holds must not count.
        return hash(Upcasts)
