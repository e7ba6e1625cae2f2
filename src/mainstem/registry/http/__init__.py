"""The registry over HTTP, as the clients of Confluent's registry speak it: routes, security, and their description."""

from mainstem.registry.http.api import Api, Options
from mainstem.registry.http.description import description
from mainstem.registry.http.security import (
    Account,
    Accounts,
    AccountsFile,
    Audit,
    Deed,
    Exposure,
    Grant,
    Password,
    Right,
    Token,
)

__all__ = [
    "Account",
    "Accounts",
    "AccountsFile",
    "Api",
    "Audit",
    "Deed",
    "Exposure",
    "Grant",
    "Options",
    "Password",
    "Right",
    "Token",
    "description",
]
