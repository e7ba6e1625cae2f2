"""All endpoints. The description that clients can read, the rights and the tests are made of this table."""

from typing import Final

from mainstem.registry.contents import Config
from mainstem.registry.http.endpoints import compatibility, general, schemas, settings, versions
from mainstem.registry.http.endpoints.endpoint import Endpoint
from mainstem.registry.http.paths import Template
from mainstem.registry.http.shapes import (
    Compatible,
    ContextId,
    ModeRequest,
    ModeShape,
    RegisterAnswer,
    SchemaAnswer,
    SchemaRequest,
    SubjectVersion,
    VersionAnswer,
)

_PAGE: Final = ("offset", "limit")
_SHOWN: Final = ("deleted", "deletedOnly")
_OBJECT: Final = dict[str, object]


def _path(text: str) -> Template:
    return Template(text)


_GENERAL: Final = (
    Endpoint("GET", _path("/"), general.root, "read", _OBJECT, "Whether it answers", open=True),
    Endpoint("POST", _path("/"), general.root, "read", _OBJECT, "Whether it answers", open=True),
    Endpoint("GET", _path("/v1/metadata/id"), general.metadata_id, "read", _OBJECT, "What the registry is called"),
    Endpoint("GET", _path("/v1/metadata/version"), general.metadata_version, "read", _OBJECT, "Which API it speaks"),
    Endpoint(
        "GET", _path("/v1/metadata/deployment"), general.metadata_deployment, "read", _OBJECT, "How it is deployed"
    ),
    Endpoint(
        "GET",
        _path("/contexts"),
        general.contexts,
        "read",
        list[str],
        "The contexts",
        query=("contextPrefix", *_PAGE),
    ),
    Endpoint(
        "DELETE",
        _path("/contexts/{context}"),
        general.delete_context,
        "delete",
        None,
        "Remove a context without subjects",
        codes=(42205, 42211),
        status=204,
    ),
    Endpoint(
        "GET",
        _path("/associations/resources/{namespace}/{name}"),
        general.associations,
        "read",
        None,
        "There are no associations",
        codes=(40410,),
    ),
)

_SCHEMAS: Final = (
    Endpoint("GET", _path("/schemas/types"), schemas.types, "read", list[str], "The formats that are known"),
    Endpoint(
        "GET",
        _path("/schemas"),
        schemas.everything,
        "read",
        list[VersionAnswer],
        "All versions, or the last one of each subject",
        query=("subjectPrefix", *_SHOWN, "latestOnly", "aliases", "ruleType", "format", *_PAGE),
    ),
    Endpoint(
        "GET",
        _path("/schemas/ids/{id}"),
        schemas.by_id,
        "read",
        SchemaAnswer,
        "What an id stands for",
        codes=(404, 40403, 42208),
        query=("subject", "format", "fetchMaxId"),
    ),
    Endpoint(
        "GET",
        _path("/schemas/ids/{id}/schema"),
        schemas.text_by_id,
        "read",
        str,
        "The text that an id stands for",
        codes=(404, 40403, 42208),
        query=("subject", "format"),
    ),
    Endpoint(
        "GET",
        _path("/schemas/ids/{id}/subjects"),
        schemas.subjects_by_id,
        "read",
        list[str],
        "The subjects that have an id",
        codes=(404, 40403, 42208),
        query=("subject", *_SHOWN, *_PAGE),
    ),
    Endpoint(
        "GET",
        _path("/schemas/ids/{id}/versions"),
        schemas.versions_by_id,
        "read",
        list[SubjectVersion],
        "The versions that have an id",
        codes=(404, 40403, 42208),
        query=("subject", *_SHOWN, *_PAGE),
    ),
    Endpoint(
        "GET",
        _path("/schemas/guids/{guid}"),
        schemas.by_guid,
        "read",
        SchemaAnswer,
        "What a GUID stands for",
        codes=(40403,),
        query=("format",),
    ),
    Endpoint(
        "GET",
        _path("/schemas/guids/{guid}/ids"),
        schemas.ids_by_guid,
        "read",
        list[ContextId],
        "The ids of a GUID",
        codes=(40403,),
    ),
)

_SUBJECTS: Final = (
    Endpoint(
        "GET",
        _path("/subjects"),
        general.subjects,
        "read",
        list[str],
        "The subjects",
        query=("subjectPrefix", *_SHOWN, *_PAGE),
    ),
    Endpoint(
        "POST",
        _path("/subjects/{subject}"),
        versions.look_up,
        "read",
        VersionAnswer,
        "The version of a subject that is this schema",
        codes=(40401, 40403, 42201, 42208, 42209),
        query=("normalize", "deleted", "format"),
        request=SchemaRequest,
    ),
    Endpoint(
        "DELETE",
        _path("/subjects/{subject}"),
        versions.delete_subject,
        "delete",
        list[int],
        "Delete a subject; for good when that was done before",
        codes=(40401, 40404, 40405, 42205, 42206, 42208),
        query=("permanent",),
    ),
    Endpoint(
        "GET",
        _path("/subjects/{subject}/versions"),
        versions.versions,
        "read",
        list[int],
        "The versions of a subject",
        codes=(40401, 42208),
        query=(*_SHOWN, *_PAGE),
    ),
    Endpoint(
        "POST",
        _path("/subjects/{subject}/versions"),
        versions.register,
        "register",
        RegisterAnswer,
        "Make a schema a version of a subject",
        codes=(409, 42201, 42202, 42205, 42207, 42208, 42209, 42210),
        query=("normalize",),
        request=SchemaRequest,
    ),
    Endpoint(
        "GET",
        _path("/subjects/{subject}/metadata"),
        versions.with_metadata,
        "read",
        VersionAnswer,
        "The last version whose metadata has these properties",
        codes=(40401, 40402, 42208),
        query=("key", "value", "deleted", "format"),
    ),
)

_VERSIONS: Final = (
    Endpoint(
        "GET",
        _path("/subjects/{subject}/versions/{version}"),
        versions.version,
        "read",
        VersionAnswer,
        "A version of a subject: its number, latest or -1",
        codes=(40401, 40402, 42202, 42208),
        query=("deleted", "format"),
    ),
    Endpoint(
        "DELETE",
        _path("/subjects/{subject}/versions/{version}"),
        versions.delete_version,
        "delete",
        int,
        "Delete a version; for good when that was done before",
        codes=(40401, 40402, 40406, 40407, 42202, 42205, 42206, 42208),
        query=("permanent",),
    ),
    Endpoint(
        "GET",
        _path("/subjects/{subject}/versions/{version}/schema"),
        versions.version_text,
        "read",
        str,
        "The text of a version",
        codes=(40401, 40402, 42202, 42208),
        query=("deleted", "format"),
    ),
    Endpoint(
        "GET",
        _path("/subjects/{subject}/versions/{version}/referencedby"),
        versions.referenced_by,
        "read",
        list[int],
        "The ids of the schemas that refer to a version",
        codes=(40401, 40402, 42202, 42208),
        query=(*_SHOWN, *_PAGE),
    ),
    Endpoint(
        "POST",
        _path("/compatibility/subjects/{subject}/versions/{version}"),
        compatibility.with_version,
        "read",
        Compatible,
        "Whether a schema may follow this version",
        codes=(40401, 40402, 42201, 42202, 42208, 42209),
        query=("normalize", "verbose"),
        request=SchemaRequest,
    ),
    Endpoint(
        "POST",
        _path("/compatibility/subjects/{subject}/versions"),
        compatibility.with_all,
        "read",
        Compatible,
        "Whether a schema may follow, by the level of the subject",
        codes=(42201, 42208, 42209),
        query=("normalize", "verbose"),
        request=SchemaRequest,
    ),
)


def _config(path: str, of: str, codes: tuple[int, ...], missing: tuple[int, ...]) -> tuple[Endpoint, ...]:
    """Configuration of everything, or of a subject; ``missing`` are the codes where there is none."""
    template, query = _path(f"/config{path}"), ("defaultToGlobal",)
    seen, set_it = f"What is configured for {of}", f"Configure {of}; what is not said stays"
    return (
        Endpoint("GET", template, settings.config, "read", Config, seen, (*missing, *codes), query),
        Endpoint(
            "PUT",
            template,
            settings.set_config,
            "configure",
            Config,
            set_it,
            codes=(42201, 42203, 42205, 42209, 42210, *codes),
            request=Config,
        ),
        Endpoint(
            "DELETE",
            template,
            settings.delete_config,
            "configure",
            Config,
            f"Take back what is configured for {of}",
            codes=(*missing, 42205, *codes),
        ),
    )


def _mode(path: str, of: str, codes: tuple[int, ...], missing: tuple[int, ...]) -> tuple[Endpoint, ...]:
    """The mode, in the same way."""
    template, query = _path(f"/mode{path}"), ("defaultToGlobal",)
    return (
        Endpoint("GET", template, settings.mode, "read", ModeShape, f"The mode of {of}", (*missing, *codes), query),
        Endpoint(
            "PUT",
            template,
            settings.set_mode,
            "configure",
            ModeShape,
            f"Set the mode of {of}",
            codes=(42204, 42205, *codes),
            query=("force",),
            request=ModeRequest,
        ),
        Endpoint(
            "DELETE",
            template,
            settings.delete_mode,
            "configure",
            ModeShape,
            f"Take back the mode of {of}",
            codes=(*missing, *codes),
            query=("recursive",),
        ),
    )


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *_GENERAL,
    *_SCHEMAS,
    *_SUBJECTS,
    *_VERSIONS,
    *_config("", "all subjects", (), ()),
    *_config("/{subject}", "a subject", (42208,), (40408,)),
    *_mode("", "all subjects", (), ()),
    *_mode("/{subject}", "a subject", (42208,), (40409,)),
)
"""Of two whose templates match, the one with fewer names in it is meant."""
