"""Names of subjects, and the contexts that they belong to: ``subject``, or ``:.context:subject``."""

import re
from typing import Final, NamedTuple

from mainstem.registry.contents.tables.failures import invalid_subject

DEFAULT: Final = "."
"""The context of names that say none."""
EVERYWHERE: Final = ":*:"
"""Before a prefix: in every context."""
NAME_LENGTH_MAX: Final = 1_000

_RESERVED: Final = frozenset({"__GLOBAL", "__EMPTY"})
_UNSPEAKABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of characters: they have no place in a name, and none in a row's key."""


class Name(NamedTuple):
    """A subject in its context. With an empty ``subject`` it is the context itself, which can be configured too."""

    context: str
    subject: str

    def __str__(self) -> str:
        return self.subject if self.context == DEFAULT and self.subject else f":{self.context}:{self.subject}"

    def beside(self, written: str) -> "Name":
        """The subject that is meant by ``written`` in a schema of this one: in the same context unless it says so."""
        found = split(written)
        return found if is_qualified(written) else Name(self.context, found.subject)


def is_qualified(written: str) -> bool:
    """Whether a name says its context."""
    return written.startswith(":.") and ":" in written[2:]


def split(written: str) -> Name:
    """A name in its parts, whatever they are."""
    if is_qualified(written):
        context, _, subject = written[1:].partition(":")
        return Name(context, subject)
    return Name(DEFAULT, written)


def subject_named(written: str) -> Name:
    """The subject that is meant. Raises RegistryError 42208 for what no subject can be called."""
    name = split(written)
    if not name.subject:
        raise invalid_subject(written)
    return scope_named(written)


def scope_named(written: str) -> Name:
    """A subject, or with ``:.context:`` a context, as what a configuration is for; raises RegistryError 42208."""
    name = split(written)
    if len(written) > NAME_LENGTH_MAX or _UNSPEAKABLE.search(written) or name.subject in _RESERVED:
        raise invalid_subject(written)
    return name


class Prefix(NamedTuple):
    """Which subjects are meant: those of a context, or of all, whose names begin so."""

    context: str | None
    beginning: str


def prefix_of(written: str) -> Prefix:
    """``:*:`` and what follows it mean every context; ``:.context:`` that one; anything else the default one."""
    if written.startswith(EVERYWHERE):
        return Prefix(None, written.removeprefix(EVERYWHERE))
    name = split(written)
    return Prefix(name.context, name.subject)
