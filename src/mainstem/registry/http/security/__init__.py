"""Who may ask a registry, from where, and what is written down about it."""

from mainstem.registry.http.security.accounts import ANONYMOUS, EVERYBODY, Account, Accounts, Grant, Right
from mainstem.registry.http.security.audit import Audit, Deed, logged
from mainstem.registry.http.security.exposure import Exposure, is_loopback
from mainstem.registry.http.security.file import AccountsFile
from mainstem.registry.http.security.gate import Gate
from mainstem.registry.http.security.hashes import Password, Token

__all__ = [
    "ANONYMOUS",
    "EVERYBODY",
    "Account",
    "Accounts",
    "AccountsFile",
    "Audit",
    "Deed",
    "Exposure",
    "Gate",
    "Grant",
    "Password",
    "Right",
    "Token",
    "is_loopback",
    "logged",
]
