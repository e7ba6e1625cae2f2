"""The language of .proto files: read, looked through and linked."""

from mainstem.schemas.protobuf.language.checks import json_name
from mainstem.schemas.protobuf.language.fields import LABELS, SCALARS, escaped, float_text
from mainstem.schemas.protobuf.language.linking import OWN_NAME, Linked, link
from mainstem.schemas.protobuf.language.statements import read_file
from mainstem.schemas.protobuf.language.tokens import TEXT_SIZE_BYTES

__all__ = [
    "LABELS",
    "OWN_NAME",
    "SCALARS",
    "TEXT_SIZE_BYTES",
    "Linked",
    "escaped",
    "float_text",
    "json_name",
    "link",
    "read_file",
]
