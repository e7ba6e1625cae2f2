"""From what somebody calls an event type to the one that a service publishes or subscribes to."""

from collections.abc import Sequence

from msgspec import Struct

from mainstem.delivery import declared_outputs
from mainstem.errors import NotFound
from mainstem.events import Declaration, declaration_of
from mainstem.ops.arguments import did_you_mean
from mainstem.service import Service


class Called(Struct, frozen=True):
    """What somebody calls an event type: its name on the wire or its class, and of several versions one."""

    type_name: str
    version: int | None = None


def declared(service: Service, called: Called) -> Declaration:
    """The type that is called so; the newest version, unless one is asked for.

    Raises :class:`~mainstem.errors.NotFound` where there is none, or more than one.
    """
    known, name, version = _of(service), called.type_name, called.version
    found = [each for each in known if each.wire_name == name] or [each for each in known if _class(each) == name]
    if not found:
        names = {each for one in known for each in (one.wire_name, _class(one))}
        raise NotFound(
            f"{service.name!r} knows no event type {name}",
            why=f"it publishes or subscribes to {', '.join(sorted(names)) or 'none'}",
            remedy=did_you_mean(name, names) or "name one of them, or another service",
        )
    if len({each.wire_name for each in found}) > 1:
        raise _several(name, found, "give the name on the wire, which is longer")
    versions = [each.version for each in found]
    wanted = max(versions) if version is None else version
    found = [each for each in found if each.version == wanted]
    if not found:
        raise NotFound(
            f"{service.name!r} knows no {name} v{wanted}",
            why=f"it publishes or subscribes to v{', v'.join(map(str, sorted(set(versions))))}",
            remedy="name one of them; an older version is published by a service that has a class of its own for it",
        )
    if len(found) > 1:
        raise _several(
            name,
            found,
            "give the name of its class; where they share that as well, give one of them another name on the wire",
        )
    return found[0]


def _of(service: Service) -> Sequence[Declaration]:
    """What a service publishes or subscribes to, each once; what it reads a smaller type of only where that is all."""
    registered = [each for group in service.groups for each in group.registered]
    found = dict.fromkeys(
        [
            *service.published,
            *(each for registration in registered for each in declared_outputs(registration)),
            *(declaration_of(each) for registration in registered for each in registration.types),
        ]
    )
    whole = {(each.wire_name, each.version) for each in found if each.whole is None}
    return [each for each in found if each.whole is None or (each.wire_name, each.version) not in whole]


def _class(declaration: Declaration) -> str:
    return declaration.type.__name__


def _several(name: str, found: Sequence[Declaration], remedy: str) -> NotFound:
    return NotFound(
        f"{name} is more than one event type here",
        why="; ".join(f"{each.label} is the class {_class(each)}" for each in found),
        remedy=remedy,
    )
