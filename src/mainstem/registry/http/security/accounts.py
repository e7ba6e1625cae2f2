"""Who may do what: a small TOML file.

    [[account]]
    name = "orders-ci"
    password = "scrypt$15$8$3$..."
    allow = [
      { subjects = "", operations = ["read"] },
      { subjects = "orders.", operations = ["register"] },
    ]

``subjects`` is the beginning of a name, with its context where that is not the default one; nothing in it means the
whole registry, its global configuration included. An account has a password, a token or a certificate; the one called
``anonymous`` has none, and is whoever shows none.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct

from mainstem.errors import DefinitionError, MainstemError, StartRefused
from mainstem.registry.http.security.hashes import Password, Token

Right: TypeAlias = Literal["read", "register", "configure", "delete"]
ANONYMOUS: Final = "anonymous"
_DEFAULT: Final = "."


class Grant(Struct, frozen=True, forbid_unknown_fields=True):
    """These operations, on every subject whose name begins so."""

    subjects: str
    operations: frozenset[Right]


class Account(Struct, frozen=True, forbid_unknown_fields=True):
    """One that may ask: how it shows who it is, and what it may do."""

    name: Annotated[str, Meta(pattern="^[^:\x00-\x20\x7f]{1,100}$")]
    allow: tuple[Grant, ...] = ()
    password: str | None = None
    token: str | None = None
    certificate: str | None = None

    def may(self, right: Right, subject: str) -> bool:
        """Whether it may do this to a subject. The empty name stands for the whole registry."""
        return any(right in grant.operations and subject.startswith(grant.subjects) for grant in self.allow)

    def may_somewhere(self, right: Right, context: str | None = None) -> bool:
        """Whether there can be a subject, in this context or in any, that it may do this to."""
        beginnings = [grant.subjects for grant in self.allow if right in grant.operations]
        if context is None:
            return bool(beginnings)
        if context == _DEFAULT:
            return not all(each.startswith(":.") for each in beginnings)
        inside = f":{context}:"
        return any(each.startswith(inside) or inside.startswith(each) for each in beginnings)


EVERYBODY: Final = Account(ANONYMOUS, (Grant("", frozenset[Right](("read", "register", "configure", "delete"))),))
"""Who asks a registry that knows no accounts."""


class _File(Struct, forbid_unknown_fields=True):
    account: tuple[Account, ...]


class Accounts:
    """All of them, by how they show who they are."""

    def __init__(self, accounts: tuple[Account, ...]) -> None:
        """Take them. Raises ``StartRefused`` with every fault there is in them."""
        faults = [fault for account in accounts for fault in _faults(account)]
        names = [each.name for each in accounts]
        faults += [_fault(name, "is there more than once") for name in sorted(set(names)) if names.count(name) > 1]
        if faults:
            raise StartRefused("the accounts of the registry cannot be used", tuple(faults))
        self.passwords = {
            each.name: (each, Password.parse(each.password)) for each in accounts if each.password is not None
        }
        self.tokens = {Token.parse(each.token): each for each in accounts if each.token is not None}
        self.certificates = {each.certificate: each for each in accounts if each.certificate is not None}
        self.anonymous = next((each for each in accounts if each.name == ANONYMOUS), None)

    def current(self) -> "Accounts":
        """These: they do not change."""
        return self

    @classmethod
    def load(cls, path: Path) -> "Accounts":
        """Read the file. Raises ``StartRefused`` or ``DefinitionError``."""
        try:
            read = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
        except (OSError, ValueError) as error:
            raise DefinitionError(
                "the file of accounts cannot be read",
                where=str(path),
                why=str(error),
                remedy="docs/registry.md says what stands in it; operations are " + ", ".join(get_args(Right)),
            ) from error
        return cls(read.account)


def _faults(account: Account) -> list[MainstemError]:
    shown = [each for each in (account.password, account.token, account.certificate) if each is not None]
    if account.name == ANONYMOUS:
        return [_fault(account.name, "is who shows nothing, and can have nothing to show")] if shown else []
    if not shown:
        return [_fault(account.name, "has neither password nor token nor certificate")]
    faults = []
    for text, kind in ((account.password, Password), (account.token, Token)):
        try:
            if text is not None:
                kind.parse(text)
        except ValueError:
            faults.append(_fault(account.name, f"has a {kind.__name__.lower()} that is no hash of one"))
    return faults


def _fault(name: str, what: str) -> MainstemError:
    return DefinitionError(
        f"the account {name!r} {what}",
        remedy="`mainstem registry password` and `mainstem registry token` make what stands in the file",
    )
