"""Small things stay small. Going beyond a budget is a decision record, not a clever split."""

import ast
import importlib
import re
from collections import Counter
from pathlib import Path
from typing import TypeGuard

import pytest

import mainstem
from tests.architecture.source import Function, Module, classes, functions, modules

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 50
LINES_OF_A_ROOM = 2_500
MODULES_OF_A_ROOM = 9
PARAMETERS = 6
OPTIONS_OF_A_REGISTRATION = 13
PUBLIC_METHODS = 15
PUBLIC_NAMES = 24


def test_a_file_can_be_read_in_one_sitting() -> None:
    """No file is longer than its budget."""
    assert [f"{each.where}: {each.lines} lines" for each in modules() if each.lines > LINES_OF_A_FILE] == []


def test_a_function_fits_on_a_screen() -> None:
    """No function is longer than its budget, docstring included."""
    long = [
        f"{module.where}: {name} has {length} lines"
        for module in modules()
        for name, function in functions(module.tree)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_a_room_can_be_held_in_mind() -> None:
    """No folder has more modules, or more lines, than its budget. A sub-room counts for itself."""
    sizes: Counter[Path] = Counter()
    lines: Counter[Path] = Counter()
    for module in modules():
        sizes[module.path.parent] += module.path.name != "__init__.py"
        lines[module.path.parent] += module.lines
    assert {str(room): size for room, size in sizes.items() if size > MODULES_OF_A_ROOM} == {}
    assert {str(room): length for room, length in lines.items() if length > LINES_OF_A_ROOM} == {}


def test_a_front_door_is_a_list() -> None:
    """The ``__init__.py`` of a room re-exports, and does nothing else; it may leave the loading to whoever knocks."""
    allowed = (ast.ImportFrom, ast.Import, ast.Expr)
    plain = ("__all__ = [", "if TYPE_CHECKING:\n    from ", "__getattr__, __dir__ = door(")
    busy = [
        f"{module.where}:{statement.lineno}"
        for module in modules()
        if module.path.name == "__init__.py"
        for statement in module.tree.body
        if not isinstance(statement, allowed) and not ast.unparse(statement).startswith(plain)
    ]
    assert busy == []


@pytest.mark.parametrize(
    "room",
    [
        "mainstem",
        "mainstem.delivery",
        "mainstem.resilience",
        "mainstem.service",
        "mainstem.service.plain",
        "mainstem.testing",
    ],
)
def test_a_lazy_door_offers_what_it_lists(room: str) -> None:
    """What a type checker sees behind a lazy door is what a program finds there."""
    door = importlib.import_module(room)
    source = ast.parse(Path(str(door.__file__)).read_text(encoding="utf-8"))
    seen = {
        alias.name: str(node.module)
        for branch in source.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(seen) == sorted(door.__all__) == dir(door)
    for name, module in seen.items():
        assert getattr(door, name) is getattr(importlib.import_module(module), name)
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        door.nothing_of_this_name  # noqa: B018


def is_registration(name: str, function: Function) -> bool:
    """Whether a function takes a declaration: a decorator that returns one, or the class line of an event."""
    returns = ast.unparse(function.returns) if function.returns else ""
    return name.endswith(("__new__", "__init_subclass__")) or bool(re.search(r"\bCallable\b|Registration\b", returns))


def too_many_parameters(module: Module) -> list[str]:
    """The functions of a module that take more than a reader keeps apart."""
    found = []
    for name, function in functions(module.tree):
        arguments = function.args
        positional = [each for each in (*arguments.posonlyargs, *arguments.args) if each.arg not in ("self", "cls")]
        options = len(arguments.kwonlyargs)
        if is_registration(name, function):
            fits = len(positional) <= PARAMETERS and options <= OPTIONS_OF_A_REGISTRATION
        else:
            fits = len(positional) + options <= PARAMETERS
        if not fits:
            found.append(f"{module.where}: {name} takes {len(positional)} and {options} options")
    return found


def test_parameters_are_few() -> None:
    """At most six; keyword options of a registration do not count, up to thirteen."""
    assert [each for module in modules() for each in too_many_parameters(module)] == []


def test_the_parameter_rule_can_fail(tmp_path: Path) -> None:
    """Seven parameters are too many, and so are fourteen options of a decorator; thirteen are not."""
    options = [f"o{number}" for number in range(14)]
    text = f"""
def seven(a, b, c, d, e, f, g): ...
def six(self, a, b, c, *, d, e, f): ...
def decorator(a, *, {", ".join(options)}) -> Callable[[F], F]: ...
def on(a, *, {", ".join(options[1:])}) -> Callable[[F], F]: ...
"""
    module = Module(Path(__file__), text, ast.parse(text))
    assert [each.split()[1] for each in too_many_parameters(module)] == ["seven", "decorator"]


def test_a_class_says_no() -> None:
    """No class has more public methods than its budget. Properties are values, and do not count."""
    wide = [
        f"{module.where}: {each.name} has {len(names)}"
        for module in modules()
        for each in classes(module.tree)
        if len(names := {method.name for method in each.body if is_public_method(method)}) > PUBLIC_METHODS
    ]
    assert wide == []


def is_public_method(node: ast.stmt) -> TypeGuard[Function]:
    """Whether a statement in a class defines something that others may call."""
    return (
        isinstance(node, Function)
        and not node.name.startswith("_")
        and "property" not in [ast.unparse(decorator) for decorator in node.decorator_list]
    )


def test_a_public_class_does_not_inherit_its_width() -> None:
    """What a user sees on a public class of ours, inherited or not, is within the same budget."""
    public = {name: getattr(mainstem, name) for name in getattr(mainstem, "__all__", [])}
    methods = {
        name: [each for each in dir(value) if not each.startswith("_") and callable(getattr(value, each))]
        for name, value in public.items()
        if isinstance(value, type)
    }
    assert {name: each for name, each in methods.items() if len(each) > PUBLIC_METHODS} == {}


def test_the_front_page_is_short() -> None:
    """``import mainstem`` offers few names, and all of them exist."""
    names = getattr(mainstem, "__all__", [])
    assert len(names) <= PUBLIC_NAMES
    assert [name for name in names if not hasattr(mainstem, name)] == []
