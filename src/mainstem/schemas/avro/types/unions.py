"""The form of a union: which of its types a value is of, on either way."""

from typing import NamedTuple

from mainstem.schemas.avro.types.forms import Change, Form


class Member(NamedTuple):
    """A type of a union. Of a record: its full ``name``, its fields, and its tag, by which plain values are told."""

    form: Form
    name: str = ""
    fields: frozenset[str] = frozenset()
    tag: tuple[str, str | int] | None = None


def union_form(members: list[Member], *, named: bool = False) -> Form:
    """One of several types, in the order given. ``named``: the codec reads each record of a union with its name."""
    chooser = _Chooser(members)
    records = [each for each in members if each.name]
    needs_names = bool(records) or any(each.form.outward for each in members)
    return Form(
        [each.form.schema for each in members],
        tuple(kind for each in members for kind in each.form.classes),
        outward=chooser.outward if needs_names else None,
        inward=_inward(members, records) if named or any(each.form.inward for each in members) else None,
        default=chooser.default,
    )


class _Chooser:
    """Tells the types of a union apart by their plain values."""

    def __init__(self, members: list[Member]) -> None:
        self._by_tag = {each.tag[1]: each for each in members if each.tag}
        self._tag_field = next((each.tag[0] for each in members if each.tag), "")
        self._by_class: dict[type, Member] = {}
        for each in members:
            # A dict without a tag is none of those that have one.
            for kind in each.form.classes if each.tag is None else ():
                self._by_class.setdefault(kind, each)

    def member_of(self, value: object) -> Member | None:
        if isinstance(value, dict) and self._tag_field in value:
            return self._by_tag.get(value[self._tag_field])
        return self._by_class.get(type(value))

    def default(self, value: object) -> object:
        member = self.member_of(value)
        return member.form.default(value) if member and member.form.default else value

    def outward(self, value: object) -> object:
        """The value as the codec takes it; a record with its name, which saves the codec from trying each."""
        member = self.member_of(value)
        if member is None:
            raise TypeError(f"{type(value).__name__} is none of the union's types")
        found = member.form.outward(value) if member.form.outward else value
        return (member.name, found) if member.name else found


def _inward(members: list[Member], records: list[Member]) -> Change:
    by_name = {each.name: each.form.inward for each in records}
    lists = next((each.form.inward for each in members if list in each.form.classes), None)
    others = next((each.form.inward for each in members if dict in each.form.classes and not each.name), None)

    def inward(value: object) -> object:
        if isinstance(value, tuple):
            name, found = value
            change = by_name.get(name)
            return change(found) if change else found
        if isinstance(value, dict):
            change = by_name[_named(value, records)] if records else others
            return change(value) if change else value
        return lists(value) if lists and isinstance(value, list) else value

    return inward


def _named(value: dict[str, object], records: list[Member]) -> str:
    """Which record it is, where the writer had no union and so has not said: the one that has these fields."""
    fields = frozenset(value)
    found = [each.name for each in records if len(records) == 1 or each.fields == fields]
    if len(found) != 1:
        raise ValueError("the writer's schema has no union here, and several records of the reader's have these fields")
    return found[0]
