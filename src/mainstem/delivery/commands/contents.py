"""The letters of a sequence, whole, in answers that fit into records: the audit topic does not repeat large ones."""

import msgspec
from msgspec import Struct

from mainstem.delivery.failures import Failure, Letter, Mark, Parking

PART_BYTES = 256 * 1024
"""In JSON bytes take a third more, and the answers topic takes records of a million bytes."""
PAGE_BYTES = 1_000_000
PAGE_LETTERS = 200
"""A command holds the key's lane and one commit no longer than so many letters take."""


class Page(Struct, frozen=True):
    """Some of the letters of a sequence, in order, with its failure; ``waiting`` is how many there are in all."""

    waiting: int
    failure: Failure
    letters: list[Letter]


encode_page = msgspec.msgpack.Encoder().encode
decode_page = msgspec.msgpack.Decoder(Page).decode


def page_of(parking: Parking, sequence: tuple[str, bytes], mark: Mark, number: int) -> Page:
    """The letters from the ``number``th on, at least one where there is one, as many as a page takes."""
    letters: list[Letter] = []
    size_bytes = 0
    while len(letters) < PAGE_LETTERS and size_bytes < PAGE_BYTES:
        letter = letter_at(parking, sequence, mark, number + len(letters))
        if letter is None:
            break
        letters.append(letter)
        size_bytes += len(letter.value or b"") + len(letter.original or b"")
    return Page(mark.waiting, mark.failure, letters)


def letter_at(parking: Parking, sequence: tuple[str, bytes], mark: Mark, number: int) -> Letter | None:
    """The letter with so many before it in its sequence."""
    return parking.letters.get(*sequence, mark.first + number) if 0 <= number < mark.waiting else None


def parts_of(contents: bytes) -> list[bytes]:
    """The pieces in which contents travel; one, which is empty, for nothing."""
    return [contents[at : at + PART_BYTES] for at in range(0, len(contents), PART_BYTES)] or [b""]
