"""What a registry refuses, with the numbers that its clients know."""

from mainstem.errors import RegistryRefused, SchemaRefused


class RegistryError(RegistryRefused):
    """A registry's answer to what it cannot do. ``number`` is the one of Confluent's API, such as 40401."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message, number)
        self.number = number
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status: the first three digits."""
        return int(str(self.number)[:3])


def unknown_subject(subject: str) -> RegistryError:
    """40401: a subject without a version that may be seen."""
    return RegistryError(40401, f"Subject '{subject}' not found.")


def unknown_version(version: int) -> RegistryError:
    """40402: a subject has no such version that may be seen."""
    return RegistryError(40402, f"Version {version} not found.")


def unknown_schema(what: str = "") -> RegistryError:
    """40403: an id or a GUID that nobody has given out, or a schema that a subject does not have."""
    return RegistryError(40403, f"Schema {what} not found" if what else "Schema not found")


def subject_deleted(subject: str) -> RegistryError:
    """40404: a subject is to be deleted that is deleted already."""
    return RegistryError(40404, f"Subject '{subject}' was soft deleted. Set permanent=true to delete permanently")


def subject_not_deleted(subject: str) -> RegistryError:
    """40405: a subject is to go for good that was not deleted before."""
    return RegistryError(40405, f"Subject '{subject}' was not deleted first before being permanently deleted")


def version_deleted(subject: str, version: int) -> RegistryError:
    """40406: a version is to be deleted that is deleted already."""
    return RegistryError(
        40406, f"Subject '{subject}' Version {version} was soft deleted. Set permanent=true to delete permanently"
    )


def version_not_deleted(subject: str, version: int) -> RegistryError:
    """40407: a version is to go for good that was not deleted before."""
    return RegistryError(
        40407, f"Subject '{subject}' Version {version} was not deleted first before being permanently deleted"
    )


def no_config(subject: str) -> RegistryError:
    """40408: nothing is configured for a subject itself."""
    return RegistryError(40408, f"Subject '{subject}' does not have subject-level compatibility configured")


def no_mode(subject: str) -> RegistryError:
    """40409: no mode is set for a subject itself."""
    return RegistryError(40409, f"Subject '{subject}' does not have subject-level mode configured")


def incompatible(subject: str, messages: list[str]) -> RegistryError:
    """40901: the level of a subject does not allow a schema to follow. Many clients know it as plain 409."""
    details = "; ".join(messages)
    return RegistryError(
        40901,
        f"Schema being registered is incompatible with an earlier schema for subject '{subject}', details: [{details}]",
    )


def invalid_schema(why: str) -> RegistryError:
    """42201: no schema of its format, or one that passes a bound."""
    return RegistryError(42201, f"Invalid schema: {why}")


def refused_as(error: SchemaRefused) -> RegistryError:
    """42201 in the words of who has read the schema."""
    return invalid_schema(f"{error.what} at {error.where}" if error.where else error.what)


def invalid_version(version: object) -> RegistryError:
    """42202: no number of a version."""
    return RegistryError(
        42202,
        f"The specified version '{version}' is not a valid version id. "
        'Allowed values are between [1, 2^31-1] and the string "latest"',
    )


def invalid_level(why: str) -> RegistryError:
    """42203: no level or policy of compatibility, or another setting that cannot be."""
    return RegistryError(42203, why)


def invalid_mode(mode: object) -> RegistryError:
    """42204: no mode."""
    return RegistryError(
        42204, f"Invalid mode {mode!r}. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, IMPORT, FORWARD"
    )


def not_permitted(why: str) -> RegistryError:
    """42205: the mode does not allow it."""
    return RegistryError(42205, why)


def referenced(subject: str, version: int) -> RegistryError:
    """42206: other schemas refer to it."""
    return RegistryError(42206, f"One or more references exist to the schema {subject} version {version}")


def other_id(given: int, known: int) -> RegistryError:
    """42207: a schema is to be imported under another id than it has."""
    return RegistryError(42207, f"The schema has the id {known} already, and cannot have {given} too")


def invalid_subject(subject: str) -> RegistryError:
    """42208: no name that a subject can have."""
    return RegistryError(42208, f"The specified subject '{subject}' is not a valid subject")


def too_large(why: str) -> RegistryError:
    """42209: a text with more bytes than a registry takes."""
    return RegistryError(42209, why)


def invalid_rule_set(why: str) -> RegistryError:
    """42210: rules that no client could run."""
    return RegistryError(42210, f"Invalid rule set: {why}")


def context_not_empty(context: str) -> RegistryError:
    """42211: a context that has subjects is to go."""
    return RegistryError(42211, f"The specified context '{context}' is not empty")


def store_failed(why: str = "") -> RegistryError:
    """50001: what a registry is kept in does not answer, or a rule could not cope with what it was given."""
    return RegistryError(50001, f"Error in the backend data store: {why}" if why else "Error in the backend data store")


def too_late(message: str) -> RegistryError:
    """50002: no answer in time. What was asked for may still be done."""
    return RegistryError(50002, message)
