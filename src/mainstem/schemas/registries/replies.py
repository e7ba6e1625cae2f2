"""What a registry says: yes, no, or that it cannot look; and what no registry says, for anybody may listen there."""

from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from mainstem.errors import RegistryRefused, ServerAway
from mainstem.schemas.registries.registry import TURNED_AWAY
from mainstem.web.client import Reply

T = TypeVar("T")

NOT_FOUND: Final = frozenset({404, 40401, 40402, 40403})

_LATER: Final = frozenset({408, 425, 429})
"""Asked again, it may answer otherwise."""


class _Failure(Struct):
    """What each refusal of a registry has."""

    error_code: Annotated[int, Meta(gt=0)]
    message: str = ""


def code_of(reply: Reply) -> int:
    """The number with which a registry refuses; 0 for what it grants.

    Raises ``ServerAway`` where it says that it cannot answer now, and for what no registry says.
    """
    if reply.status < 300:
        return 0
    said = _failure(reply)
    if reply.status >= 500 or reply.status in _LATER:
        what = f"the registry answers {said.error_code if said else reply.status}: {_message(said)}"
        raise ServerAway(what, where=reply.server, remedy="see what it says itself; it may answer later")
    if reply.status < 400 or (not said and reply.status not in TURNED_AWAY):
        raise _none_there(reply, f"it answers with status {reply.status}, and not as a registry does")
    return said.error_code if said else reply.status


def granted(reply: Reply, asked: str) -> Reply:
    """The reply, if it is no refusal. Raises ``RegistryRefused`` for one, and as :func:`code_of`."""
    code = code_of(reply)
    if not code:
        return reply
    raise RegistryRefused(
        f"the registry answers {code}: {_message(_failure(reply))}",
        code,
        where=f"{asked} at {reply.server}",
        remedy=_REMEDIES.get(reply.status, ""),
    )


def read(reply: Reply, kind: type[T]) -> T:
    """What is answered. Raises ``ServerAway`` for what no registry answers: somebody else listens there."""
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except (ValueError, RecursionError) as error:
        raise _none_there(reply, str(error)) from error


def _failure(reply: Reply) -> _Failure | None:
    try:
        return msgspec.json.decode(reply.body, type=_Failure)
    except (ValueError, RecursionError):
        return None


def _message(said: _Failure | None) -> str:
    return said.message if said is not None and said.message else "nothing more"


def _none_there(reply: Reply, why: str) -> ServerAway:
    return ServerAway("no registry of schemas answers there", where=reply.server, why=why, remedy="correct its address")


_WHO: Final = "name a user who may do this: https://user:password@host, or a token in MAINSTEM_REGISTRY_TOKEN"
_REMEDIES: Final = {
    401: _WHO,
    403: _WHO,
    409: "mainstem schema check says what differs; a change that must be gets a new major version",
    422: "correct the schema",
}
