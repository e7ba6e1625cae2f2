"""Passwords and tokens as they are kept: what can be compared with, and not be read back.

A password is guessed from few, so its hash is slow: scrypt, in the standard library, with the costs that OWASP's
Password Storage Cheat Sheet names. A token is random and long, so one round is enough.
"""

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from typing import Final, NamedTuple

COST: Final = 15
_BLOCK: Final = 8
_LANES: Final = 3
_MEMORY_BYTES: Final = 256 * 1024 * 1024
_COSTS: Final = range(10, 18)
_FAST: Final = "sha256"
_SLOW: Final = "scrypt"


class Password(NamedTuple):
    """A hashed password: the costs (``cost`` is a power of two), a salt of its own, and what comes out."""

    cost: int
    block: int
    lanes: int
    salt: bytes
    digest: bytes

    @classmethod
    def hashed(cls, password: str, salt: bytes, cost: int = COST) -> "Password":
        """Hash it; this takes some tenths of a second, and 32 MB. No salt is to be used for two of them."""
        return cls(cost, _BLOCK, _LANES, salt, _scrypt(password, salt, (cost, _BLOCK, _LANES)))

    @classmethod
    def parse(cls, text: str) -> "Password":
        """Read what ``str`` has written. Raises ``ValueError``."""
        name, cost, block, lanes, salt, digest = text.split("$")
        costs = int(cost), int(block), int(lanes)
        if name != _SLOW or costs[0] not in _COSTS or not (1 <= costs[1] <= 16 and 1 <= costs[2] <= 16):
            raise ValueError(text)
        return cls(*costs, _bytes(salt), _bytes(digest))

    def fits(self, password: str) -> bool:
        """Whether it is this one; takes as long when it is not."""
        return hmac.compare_digest(_scrypt(password, self.salt, self[:3]), self.digest)

    def __str__(self) -> str:
        salt, digest = (b64encode(each).decode() for each in (self.salt, self.digest))
        return f"{_SLOW}${self.cost}${self.block}${self.lanes}${salt}${digest}"


class Token(NamedTuple):
    """A hashed token, of 32 random bytes or more."""

    digest: bytes

    @classmethod
    def hashed(cls, token: str) -> "Token":
        """Hash it."""
        return cls(hashlib.sha256(token.encode()).digest())

    @classmethod
    def parse(cls, text: str) -> "Token":
        """Read what ``str`` has written. Raises ``ValueError``."""
        name, digest = text.split("$")
        if name != _FAST or len(found := bytes.fromhex(digest)) != hashlib.sha256().digest_size:
            raise ValueError(text)
        return cls(found)

    def __str__(self) -> str:
        return f"{_FAST}${self.digest.hex()}"


NOBODY: Final = Password(COST, _BLOCK, _LANES, b"nobody has this password", bytes(32))
"""What the password of an unknown name is compared with, so that the answer takes as long as for a known one."""


def _scrypt(password: str, salt: bytes, costs: tuple[int, int, int]) -> bytes:
    cost, block, lanes = costs
    return hashlib.scrypt(password.encode(), salt=salt, n=2**cost, r=block, p=lanes, maxmem=_MEMORY_BYTES, dklen=32)


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(text) from None
