"""Words that mean nothing, and constructs that hide something."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import ROOT, Function, classes, modules

EMPTY_WORDS = {"Manager", "Helper", "Helpers", "Util", "Utils", "Base", "Abstract", "Impl", "New"}
EMPTY_FILES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "impl"}
SUPPRESSED = re.compile(r"# (noqa|type: ignore|pyright: ignore|pragma: )(?P<rest>.*)$")
REASON = re.compile(r" - \w|  # (?!noqa|type: ignore|pyright: ignore)\w")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError|xfail)\b")


def words(name: str) -> set[str]:
    """The words of a name in camel case."""
    return set(re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", name))


def test_names_say_something() -> None:
    """No class or file is named with a word that every class or file could carry."""
    named = [
        f"{module.where}: {each.name}"
        for module in modules()
        for each in classes(module.tree)
        if words(each.name) & EMPTY_WORDS
    ]
    named += [module.where for module in modules() if module.path.stem in EMPTY_FILES]
    assert named == []


def test_the_word_rule_can_fail() -> None:
    """It looks at words, so that ``LaneManager`` is found and ``Database`` is not."""
    assert words("LaneManager") & EMPTY_WORDS
    assert words("HTTPHelper") & EMPTY_WORDS
    assert not words("DatabaseRenewal") & EMPTY_WORDS


def test_nothing_is_left_for_later() -> None:
    """Neither source nor documentation has a note to do something one day."""
    files = [module.path for module in modules()]
    files += [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "examples").rglob("*.py")]
    unfinished = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert unfinished == []


def without_reason(text: str) -> list[int]:
    """The lines that keep a checker quiet, and say why neither there nor in the comment above them."""
    found, explained = [], False
    for number, line in enumerate(text.splitlines(), 1):
        suppressed = SUPPRESSED.search(line)
        if suppressed is None:
            explained = line.strip().startswith("# ")
        elif REASON.search(suppressed["rest"]):
            explained = True
        elif not explained:
            found.append(number)
    return found


def test_whoever_keeps_a_checker_quiet_says_why() -> None:
    """A suppression has its reason beside it, or above it where several have the same one."""
    assert [f"{each.where}:{number}" for each in modules() for number in without_reason(each.text)] == []


def test_the_rule_of_reasons_can_fail() -> None:
    """A code alone is no reason, and a comment counts for the lines just below it."""
    assert without_reason("a = b  # type: ignore[misc]\n") == [1]
    assert without_reason("a = b  # type: ignore[misc]  # noqa: A001\n") == [1]
    assert without_reason("# why\na = b\nc = d  # noqa: A001\n") == [3]
    assert without_reason("# why\na = b  # noqa: A001\nc = d  # noqa: A001\n") == []
    assert without_reason("a = b  # noqa: A001 - why\nc = d  # type: ignore[misc]  # why\n") == []


def test_types_have_no_cycles_of_their_own() -> None:
    """Nothing is imported for the type checker alone, but behind lazy doors, and the runtime by what starts it."""
    lazy = {
        f"src/mainstem/{each}.py"
        for each in (
            "__init__",
            "delivery/__init__",
            "resilience/__init__",
            "resilience/breaker/__init__",
            "resilience/limits/__init__",
            "schemas/__init__",
            "schemas/avro/__init__",
            "schemas/jsonschema/__init__",
            "schemas/registries/__init__",
            "schemas/upcasting/__init__",
            "schemas/writers/__init__",
            "service/__init__",
            "service/plain/__init__",
            "service/service",
            "state/__init__",
            "testing/__init__",
        )
    }
    hidden = [
        f"{module.where}:{node.lineno}"
        for module in modules()
        if module.where not in lazy
        for node in ast.walk(module.tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if any(isinstance(each, ast.Import | ast.ImportFrom) for each in ast.walk(node))
    ]
    assert hidden == []


def public_functions(node: ast.Module | ast.ClassDef) -> Iterator[Function]:
    """The functions of a module, and the methods of its classes, that others may call."""
    for child in node.body:
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from public_functions(child)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and (
            not child.name.startswith("_") or child.name in ("__init__", "__call__")
        ):
            yield child


def annotations(function: Function) -> Iterator[str]:
    """What a function says it takes and returns."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    for annotation in [*(each.annotation for each in every if each), function.returns]:
        if annotation:
            yield ast.unparse(annotation)


def test_public_signatures_say_what_they_take() -> None:
    """No public signature says ``Any``."""
    vague = [
        f"{module.where}:{function.lineno}: {function.name}"
        for module in modules()
        for function in public_functions(module.tree)
        if any(re.search(r"\bAny\b", annotation) for annotation in annotations(function))
    ]
    assert vague == []


def test_chance_has_a_seed() -> None:
    """Outside the floor nobody makes a source of random numbers without giving it a seed."""
    unseeded = [
        f"{module.where}:{node.lineno}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and not node.args and ast.unparse(node.func).rpartition(".")[2] == "Random"
    ]
    assert unseeded == []
