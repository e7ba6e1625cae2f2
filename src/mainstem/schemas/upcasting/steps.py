"""Steps that are said, not programmed: they can be read, listed, and written down for who programs in something else.

Each takes the data of a version, changes it and returns it. A field that is absent stays absent: whether it has to be
there is what the types say.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import TypeAlias

import msgspec
from msgspec import Struct

from mainstem.errors import DefinitionError
from mainstem.events import Plain
from mainstem.schemas.upcasting.places import Place, StepFailed

Scalar: TypeAlias = str | int | float | bool | None


class Move(Struct, frozen=True, tag="move"):
    """Takes a value from one place to another."""

    old: Place
    new: Place

    def __call__(self, data: Plain) -> Plain:
        """Raises :class:`StepFailed` where something stands at the new place already."""
        if self.old.way == self.new.way:
            for holder in self.old.holders(data):
                self._carry(holder, holder)
            return data
        for holder in self.old.holders(data):
            if self.old.name in holder:
                self._carry(holder, self.new.holder(data))
        return data

    def _carry(self, old: Plain, new: Plain) -> None:
        if self.old.name not in old:
            return
        if self.new.name in new:
            raise StepFailed(f"{self.new} is there already")
        new[self.new.name] = old.pop(self.old.name)

    def __str__(self) -> str:
        if self.old.way == self.new.way:
            return f"rename {self.old} to {self.new.name}"
        return f"move {self.old} to {self.new}"


class Default(Struct, frozen=True, tag="default"):
    """Gives a field that is absent a value."""

    place: Place
    value: object

    def __call__(self, data: Plain) -> Plain:
        """A new value each time: whoever changes it later does not change the others'."""
        for holder in self.place.holders(data):
            if self.place.name not in holder:
                holder[self.place.name] = deepcopy(self.value)
        return data

    def __str__(self) -> str:
        return f"default of {self.place}"


class Drop(Struct, frozen=True, tag="drop"):
    """Takes a field away."""

    place: Place

    def __call__(self, data: Plain) -> Plain:
        """What is absent is not missed."""
        for holder in self.place.holders(data):
            holder.pop(self.place.name, None)
        return data

    def __str__(self) -> str:
        return f"drop {self.place}"


class Split(Struct, frozen=True, tag="split"):
    """Makes several fields, beside each other, of one text."""

    place: Place
    into: tuple[str, ...]
    at: str
    missing: str | None

    def __call__(self, data: Plain) -> Plain:
        """Raises :class:`StepFailed` for what is no text, for one of too few parts, and for a name that is taken."""
        for holder in self.place.holders(data):
            if self.place.name in holder:
                self._split(holder)
        return data

    def _split(self, holder: Plain) -> None:
        text = holder.pop(self.place.name)
        if not isinstance(text, str):
            raise StepFailed(f"{self.place} is no text")
        parts = text.split(self.at, len(self.into) - 1)
        if len(parts) < len(self.into) and self.missing is None:
            raise StepFailed(f"{self.place} has {len(parts)} parts, and not {len(self.into)}")
        for number, name in enumerate(self.into):
            if name in holder:
                raise StepFailed(f"{name} is there already")
            holder[name] = parts[number] if number < len(parts) else self.missing

    def __str__(self) -> str:
        return f"split {self.place} into {', '.join(self.into)}"


class MapValues(Struct, frozen=True, tag="map_values"):
    """Replaces values by others, such as the members of an enum that were renamed. Others stay as they are."""

    place: Place
    pairs: tuple[tuple[Scalar, Scalar], ...]

    def __call__(self, data: Plain) -> Plain:
        """True is not 1: a value is replaced where type and value are those that are listed."""
        for holder in self.place.holders(data):
            if self.place.name in holder:
                value = holder[self.place.name]
                holder[self.place.name] = next(
                    (new for old, new in self.pairs if type(old) is type(value) and old == value), value
                )
        return data

    def __str__(self) -> str:
        return f"map the values of {self.place}"


def rename(old: str, new: str) -> Move:
    """A field has another name: ``rename("client_id", "customer_id")``, ``rename("lines[].sku", "article")``."""
    place = Place.of(old)
    if Place.of(new).way:
        raise DefinitionError(
            f"rename({old!r}, {new!r}) gives a place, where a name belongs",
            remedy="write the new name alone; or move(old, new), for a value that goes into another object",
        )
    return Move(place, Place(place.way, new))


def move(old: str, new: str) -> Move:
    """A value stands in another object: ``move("city", "address.city")``. Objects are made on the way there."""
    before, after = Place.of(old), Place.of(new)
    if (before.lists or after.lists) and before.way != after.way:
        raise DefinitionError(
            f"move({old!r}, {new!r}) leads into or out of a list",
            why="nobody can tell which item belongs to which",
            remedy="write a function: @OrderPlaced.upcast(1)",
        )
    return Move(before, after)


def default(place: str, value: object) -> Default:
    """A field is there: ``default("currency", "EUR")``. ``value`` is plain data. What has one keeps it."""
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DefinitionError(f"default({place!r}, {value!r}) is no plain data: {error}") from error
    return Default(Place.of(place), msgspec.to_builtins(value))


def drop(place: str) -> Drop:
    """A field is gone: ``drop("fax")``."""
    return Drop(Place.of(place))


def split(place: str, into: tuple[str, ...], *, at: str = " ", missing: str | None = None) -> Split:
    """A text becomes several fields: ``split("name", ("first", "last"))``. The last takes what is left.

    ``at`` stands between the parts. One that is absent is ``missing``; without that it fails.
    """
    given: object = into
    if not isinstance(given, tuple) or len(into) < 2 or len(set(into)) < len(into) or not at:
        raise DefinitionError(
            f"split({place!r}, {into!r}, at={at!r}) does not say into what",
            remedy='name two fields or more, and what stands between their texts: split("name", ("first", "last"))',
        )
    return Split(Place.of(place), into, at, missing)


def map_values(place: str, values: Mapping[Scalar, Scalar]) -> MapValues:
    """Values have other names: ``map_values("channel", {"www": "web"})``. What is not listed stays as it is."""
    return MapValues(Place.of(place), tuple(values.items()))
