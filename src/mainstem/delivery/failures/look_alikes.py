"""Exceptions that look like those a policy lists, and are not caught by it.

``TimeoutError`` does not catch what an HTTP client raises when time is up: that one has a class of its own with nearly
the same name. Who lists one of them mostly means both, and finds out in production.
"""

from collections.abc import Iterable, Iterator, Mapping

from mainstem.delivery.failures.retry import Retry
from mainstem.telemetry import log

_OURS = "mainstem."


def warn_of_look_alikes(policies: Mapping[str, Retry]) -> None:
    """Say in the log what the authors of handlers, by name, may have meant as well."""
    found = [(handler, *each) for handler, policy in policies.items() for each in look_alikes(policy).items()]
    for handler, listed, others in found:
        names = ", ".join(others)
        log.warning(
            "%s: its policy lists %s, which does not catch %s; list what is meant, or say what .otherwise() does",
            handler,
            listed,
            names,
        )


def look_alikes(policy: Retry) -> dict[str, tuple[str, ...]]:
    """By the name of an exception that ``policy`` lists: the loaded ones of such a name that no rule of it catches."""
    listed = policy.listed
    if not listed or Exception in listed:
        return {}
    sought: dict[str, type[Exception]] = {}
    for each in listed:
        sought.setdefault(_stem(each.__name__), each)
    found: dict[str, list[str]] = {}
    for each in _topmost(Exception.__subclasses__(), listed, sought.keys()):
        meant = sought[_stem(each.__name__)]
        # Who has two of a name in one package knows them apart.
        if _package(each) != _package(meant):
            found.setdefault(_named(meant), []).append(_named(each))
    return {name: tuple(sorted(others)) for name, others in sorted(found.items())}


def _topmost(
    kinds: Iterable[type[Exception]], listed: tuple[type[Exception], ...], stems: Iterable[str]
) -> Iterator[type[Exception]]:
    """Those of such a name that nothing catches; what is below one of them goes without saying."""
    waiting, seen = list(kinds), set[type[Exception]]()
    while waiting:
        kind = waiting.pop()
        if kind in seen or issubclass(kind, listed):
            continue
        seen.add(kind)
        if _stem(kind.__name__) in stems and not kind.__module__.startswith(_OURS):
            yield kind
        else:
            waiting += kind.__subclasses__()


def _stem(name: str) -> str:
    """``timeout`` for ``TimeoutError``, ``TimeoutException`` and ``Timeout``; ``connect`` for both of its forms."""
    stem = name.lower()
    for ending in ("error", "exception"):
        stem = stem.removesuffix(ending)
    return "connect" if stem == "connection" else stem


def _package(kind: type[Exception]) -> str:
    return kind.__module__.partition(".")[0]


def _named(kind: type[Exception]) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
