"""Ids: new ones that sort by time, and derived ones that come out the same every time.

A new id is a UUIDv7 (RFC 9562). A derived id is a UUIDv8 made from what it stands for, so that a second attempt at
the same work gives the same id, and whoever has seen it already can tell.
"""

import random as random_source
import threading
from binascii import hexlify
from hashlib import blake2b
from itertools import count
from os import urandom
from struct import Struct
from typing import Final

from mainstem.clock import Clock


class Identifiers:
    """Makes new ids. Each is used once, in any thread; those of one thread sort in the order they were made.

    With a seeded ``random`` and a ``ManualClock`` the sequence is the same in every run. Without one, the operating
    system's randomness keeps processes apart. Not to be carried across a fork: both sides would make the same ids.
    """

    __slots__ = ("_clock", "_count", "_lock", "_ms", "_prefix_and_count", "_random")

    def __init__(self, clock: Clock, random: random_source.Random | None = None) -> None:
        """Take the time from ``clock``, and what is random in an id from ``random``."""
        self._clock = clock
        self._random = random or random_source.SystemRandom()
        self._lock = threading.Lock()
        self._ms = -1
        self._prefix_and_count = ("", count())

    def new(self) -> str:
        """A UUIDv7 as 36 characters of text.

        Within a millisecond the last 48 bits count upwards from a random start (RFC 9562, 6.2, method 1), so most ids
        cost a clock reading and an addition. A clock that goes back does not take the ids with it.
        """
        ms = self._clock.now_ms()
        if ms > self._ms:
            self._begin(ms)
        # Prefix and count are read as one value, so that a thread never counts on in another's millisecond.
        prefix, counter = self._prefix_and_count
        return f"{prefix}{next(counter):012x}"

    def many(self, count: int) -> list[str]:
        """So many new ids, in order, for one reading of the clock."""
        ms = self._clock.now_ms()
        if ms > self._ms:
            self._begin(ms)
        prefix, counter = self._prefix_and_count
        return [f"{prefix}{number:012x}" for number, _ in zip(counter, range(count), strict=False)]

    def _begin(self, ms: int) -> None:
        with self._lock:
            if ms <= self._ms:
                return
            bits = self._random.getrandbits(73)
            # 12 bits, then 14 bits behind the variant, then the count; its top bit is clear, so it cannot run over.
            a, b, start = bits >> 61, (bits >> 47) & 0x3FFF, bits & 0x7FFF_FFFF_FFFF
            prefix = f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{a:03x}-{0x8000 | b:04x}-"
            self._prefix_and_count = (prefix, count(start))
            self._ms = ms


def unguessable(size_bytes: int) -> bytes:
    """Bytes that nobody can guess, for secrets; never the same in a simulation either."""
    return urandom(size_bytes)


def derive(*parts: str | bytes) -> str:
    """A UUIDv8, as text, that depends on ``parts`` alone: the same parts give the same id, everywhere and for ever.

    It is BLAKE2b over the parts, each behind its length, so that ("ab", "c") and ("a", "bc") differ. Text counts as its
    UTF-8 bytes.
    """
    return Derivation().of(*parts)


class Derivation:
    """Many derived ids that share their first parts: ``Derivation(*first).of(*rest) == derive(*first, *rest)``."""

    __slots__ = ("_hash",)

    def __init__(self, *first: str | bytes) -> None:
        """Take the shared parts in once."""
        # 120 bits fill the id, beside its version and a variant of which two bits stay clear.
        self._hash = blake2b(_framed(first), digest_size=15)

    def of(self, *rest: str | bytes) -> str:
        """The id of the shared parts followed by ``rest``."""
        return self._id(_framed(rest)).decode()

    def nth(self, cause: bytes, number: int) -> bytes:
        """The same as ``of(cause, str(number))``, in ASCII, for the outputs of an event: made for each of them."""
        try:
            return self._id(_LENGTHS[len(cause)] + cause + _NUMBERS[number])
        except IndexError:
            return self._id(_framed((cause, str(number))))

    def _id(self, framed: bytes) -> bytes:
        digest = self._hash.copy()
        digest.update(framed)
        a, b, c, d, e = _apart(hexlify(digest.digest()))
        return _joined(a, b"-", b, b"-8", c, b"-8", d, b"-", e)


# Two calls, where slicing and formatting would be eight.
_apart: Final = Struct("8s4s3s3s12s").unpack
_joined: Final = Struct("8sc4s2s3s2s3sc12s").pack

# Almost every part is short, and a list is read faster than an integer is written.
_LENGTHS: Final = [length.to_bytes(4, "big") for length in range(256)]
_NUMBERS: Final = [_LENGTHS[len(text)] + text for text in (b"%d" % number for number in range(100))]


def _framed(parts: tuple[str | bytes, ...]) -> bytes:
    framed: list[bytes] = []
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        size = len(data)
        framed += (_LENGTHS[size] if size < 256 else size.to_bytes(4, "big"), data)
    return b"".join(framed)
