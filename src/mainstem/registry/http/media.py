"""Media types: which ones a registry takes, and in which one it answers. As RFC 9110, sections 8.3 and 12.5.1."""

from typing import Final

from mainstem.schemas.registries import MEDIA_TYPE

TYPES: Final = (MEDIA_TYPE, "application/vnd.schemaregistry+json", "application/json", "application/octet-stream")
"""What is taken and offered; the first is what an answer has unless something else was asked for."""

_CHARSETS: Final = ("utf-8", "utf8", "us-ascii")


def taken(content_type: str | None) -> bool:
    """Whether a body of this type is read. None said nothing, which is nothing against it."""
    if content_type is None or not content_type.strip():
        return True
    kind, parameters = _split(content_type)
    return kind in TYPES and parameters.get("charset", "utf-8").lower() in _CHARSETS


def chosen(accept: str | None) -> str | None:
    """The type of the answer: the one that is wanted most, among equals the first of ours; None where none is."""
    if accept is None or not accept.strip():
        return MEDIA_TYPE
    wanted = [_wish(each) for each in accept.split(",") if each.strip()]
    ranked = [(max((_quality(kind, wish) for wish in wanted), default=(0, 0.0)), kind) for kind in TYPES]
    best = max(ranked, key=lambda each: each[0][1])
    return best[1] if best[0][1] > 0 else None


def _quality(kind: str, wish: tuple[str, float]) -> tuple[int, float]:
    """How exactly a wish names a type, and how much it wants it. The most exact one counts."""
    pattern, quality = wish
    if pattern == kind:
        return 3, quality
    if pattern == "application/*":
        return 2, quality
    return (1, quality) if pattern == "*/*" else (0, 0.0)


def _wish(text: str) -> tuple[str, float]:
    kind, parameters = _split(text)
    try:
        quality = float(parameters.get("q", "1"))
    except ValueError:
        return kind, 0.0
    return kind, quality if 0 <= quality <= 1 else 0.0


def _split(text: str) -> tuple[str, dict[str, str]]:
    kind, *rest = (each.strip() for each in text.split(";"))
    pairs = (each.partition("=") for each in rest)
    return kind.lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
