"""The pages about services list every option, with its default."""

import inspect
import re
from collections.abc import Callable

import pytest

from mainstem import Retry, Service
from mainstem.service import HandlerGroup
from tests.architecture.source import ROOT

PAGES = ("service", "handlers", "failures", "time")
TEXT = "".join((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in PAGES)
SECTIONS: dict[str, Callable[..., object]] = {
    "Service(": Service,
    "service.on(": Service.on,
    "service.on_timer(": Service.on_timer,
    "service.group(": Service.group,
    "service.store(": Service.store,
    "service.topic(": Service.topic,
    "service.provide(": Service.provide,
    "service.include(": Service.include,
}
FIRST = frozenset({"self", "name", "value_type", "types", "timer"})
"""What stands in the heading."""


def documented(heading: str) -> dict[str, str]:
    """The options of a section and their defaults, as its table has them."""
    section = next(part for part in re.split(r"^#+ `?", TEXT, flags=re.MULTILINE) if part.startswith(heading))
    return dict(re.findall(r"^\| `([*\w]+)` \| *`?([^`|]*?)`? *\|", section, re.MULTILINE))


def declared(function: Callable[..., object]) -> dict[str, str]:
    """The options of a call and their defaults, as Python has them."""
    found = {}
    for name, each in inspect.signature(function).parameters.items():
        if each.kind is each.VAR_KEYWORD:
            found.update(declared(HandlerGroup))
        elif each.kind is each.KEYWORD_ONLY or name not in FIRST:
            starred = f"*{name}" if each.kind is each.VAR_POSITIONAL else name
            found[starred] = "" if each.default is each.empty else spelt(each.default)
    return found


def spelt(default: object) -> str:
    """A default as a reader would write it."""
    if isinstance(default, Retry):
        return "Retry()"
    return repr(default).replace("'", '"') if not isinstance(default, int) or default < 10_000 else f"{default:_}"


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_option_is_documented_with_its_default(heading: str) -> None:
    """A reader of the pages knows all that a service can be told, and nothing that it cannot."""
    assert documented(heading) == declared(SECTIONS[heading])


def test_no_way_of_declaring_is_left_out() -> None:
    """Every public method by which a service is declared has a section, or is named on a page."""
    looking = {"publish", "transaction", "running", "held", "registered", "stores", "sources"}
    methods = {name for name, _ in inspect.getmembers(Service) if not name.startswith("_")} - looking
    assert [name for name in sorted(methods) if f"service.{name}" not in TEXT] == []
