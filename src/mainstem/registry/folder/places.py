"""Where in a folder something stands: paths that every file system takes, and that people recognise."""

import hashlib
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from mainstem.registry.contents import DEFAULT, Name
from mainstem.schemas.documents import Format

INDEX: Final = "registry.json"
"""In the folder itself, and in that of each context: what is configured, and which ids have been given out."""
SUBJECT: Final = "subject.json"
"""In the folder of each subject: what is configured, and what its versions are."""
SUBJECTS: Final = "subjects"
CONTEXTS: Final = "contexts"
ENDINGS: Final[dict[Format, str]] = {"AVRO": "avsc", "JSON": "json", "PROTOBUF": "proto"}

_LONGEST: Final = 120
"""File systems take 255 bytes; some tools take less."""
_DIGITS: Final = 10


def index_of(context: str) -> str:
    """The path of a context's index."""
    return f"{_folder(context)}{INDEX}"


def folder_of(name: Name, taken: Iterable[str]) -> str:
    """The folder of a subject, none of those that are ``taken`` by others.

    Where two names differ only in what a file system may not tell apart, the later one has a digest behind it.
    """
    chosen = f"{_folder(name.context)}{SUBJECTS}/{_spelt(name.subject)}"
    if chosen.casefold() in {each.casefold() for each in taken}:
        chosen += f"~{_digest(name.subject)}"
    return chosen


def text_of(folder: str, version: int, kind: Format) -> str:
    """The path of a version's text, in the folder of its subject."""
    return f"{folder}/{version}.{ENDINGS[kind]}"


def _folder(context: str) -> str:
    return "" if context == DEFAULT else f"{CONTEXTS}/{_spelt(context.removeprefix('.'))}/"


def _spelt(name: str) -> str:
    """A name as that of a file: what could mean something else there is escaped, and what is long cut off."""
    spelt = re.sub(r"^\.|~", lambda found: f"%{ord(found[0]):02X}", quote(name, safe=" "))
    return spelt if len(spelt) <= _LONGEST else f"{spelt[:_LONGEST]}~{_digest(name)}"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
