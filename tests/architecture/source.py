"""The source of the library, read once for all rules."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "mainstem"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of the library."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def where(self) -> str:
        """The path, as it stands in a message."""
        return str(self.path.relative_to(ROOT))

    @property
    def lines(self) -> int:
        """The number of lines."""
        return self.text.count("\n")


@cache
def modules() -> tuple[Module, ...]:
    """Every file of the library."""
    return tuple(
        Module(path, text := path.read_text(encoding="utf-8"), ast.parse(text))
        for path in sorted(PACKAGE.rglob("*.py"))
    )


def functions(node: ast.AST, owner: str = "") -> Iterator[tuple[str, Function]]:
    """Every function in ``node``, at any depth, with its dotted name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{owner}{child.name}", child
            yield from functions(child, f"{owner}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from functions(child, f"{owner}{child.name}.")
        else:
            yield from functions(child, owner)


def classes(node: ast.AST) -> Iterator[ast.ClassDef]:
    """Every class in ``node``, at any depth."""
    return (child for child in ast.walk(node) if isinstance(child, ast.ClassDef))
