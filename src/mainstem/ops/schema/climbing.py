"""Whether what older versions let be written becomes the newest one: tried on instances of what is registered."""

from collections.abc import AsyncIterator

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from mainstem.errors import DecodingFailed, SchemaRefused
from mainstem.events import Declaration
from mainstem.schemas import DECODER_ERRORS, decoding_failure, subject_of
from mainstem.schemas.compatibility import shown
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import instances_of
from mainstem.schemas.registries import SchemaRegistry
from mainstem.schemas.upcasting import reading_of


class OlderForm(Struct, frozen=True):
    """An older major version of which instances do not become the newest one: how many of those that were tried.

    ``problem`` and ``example`` are of the first of them. A step may rely on more than a schema says, so that some may
    fail although nobody writes such events; where none gets through, the step is wrong.
    """

    version: int
    tried: int
    failed: int
    problem: str
    example: object

    @property
    def hopeless(self) -> bool:
        """Whether nothing of this version could be read."""
        return self.failed == self.tried

    @property
    def told(self) -> str:
        """The same in words."""
        many = "none" if self.hopeless else f"{self.failed}"
        becomes = "becomes the newest version" if self.hopeless else "do not become the newest version"
        return (
            f"{many} of {self.tried} instances of version {self.version} {becomes}: {self.problem}; "
            f"for example {shown(self.example)}"
        )


async def older_forms(declaration: Declaration, registry: SchemaRegistry) -> AsyncIterator[OlderForm]:
    """The older versions that are read and of which something would be a dead letter.

    Only JSON is tried: the other formats do not say what a text must be, or how great a number is.
    """
    if declaration.format != "json" or declaration.envelope is None:
        return
    for version in range(declaration.oldest, declaration.version):
        latest = await registry.version(subject_of(replace(declaration, version=version, oldest=version)), "latest")
        if latest is not None:
            failed = _tried(declaration, version, latest.schema)
            if failed is not None:
                yield failed


def _tried(declaration: Declaration, version: int, schema: Schema) -> OlderForm | None:
    decode = reading_of(declaration).decoder(str(version).encode())
    failures: list[tuple[str, object]] = []
    try:
        instances = instances_of(schema)
    except SchemaRefused:
        return None
    for instance in instances:
        payload = msgspec.json.encode(instance)
        try:
            decode(payload)
        except DecodingFailed as failed:
            failures.append((failed.what, instance))
        except DECODER_ERRORS as error:
            failures.append((decoding_failure(error, declaration, payload).what, instance))
    return OlderForm(version, len(instances), len(failures), *failures[0]) if failures else None
