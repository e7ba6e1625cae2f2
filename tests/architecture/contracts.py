"""Two import contracts of our own, beside those of import-linter: front doors and owners."""

import ast
from functools import cache
from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

from tests.architecture.source import PACKAGE


def lies_in(module: str, package: str) -> bool:
    """Whether ``module`` is ``package`` or lies in it."""
    return module == package or module.startswith(f"{package}.")


@cache
def offered_by(package: str) -> tuple[str, ...]:
    """The ``__all__`` of a package of the library."""
    path = PACKAGE.parent.joinpath(*package.split("."), "__init__.py")
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    listed = [
        each.value for each in tree.body if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__all__"
    ]
    return tuple(ast.literal_eval(listed[0])) if listed else ()


class _ImportContract(Contract):
    """A contract that looks at one import at a time."""

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002, FBT001 - the linter's signature
        inside = [module for module in graph.modules if not graph.is_module_squashed(module)]
        broken = [
            (importer, imported)
            for importer in sorted(inside)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not self.allows(importer, imported)
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def allows(self, importer: str, imported: str) -> bool:
        raise NotImplementedError

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer, imported in check.metadata["broken"]:
            output.print_error(f"{importer} must not import {imported}", bold=True)


class FrontDoors(_ImportContract):
    """A room is entered by its front door: ``mainstem.delivery``, never ``mainstem.delivery.lanes``.

    So an import ends in a package that holds the importer too. A sub-room has a door in its own room; a side door is a
    sub-room that is also entered from outside (by whom is for an ``owners`` contract to say). A module that a room
    offers by name, in its ``__all__``, is part of its door.
    """

    type_name = "front_doors"
    side_doors = fields.SetField(subfield=fields.StringField())

    def allows(self, importer: str, imported: str) -> bool:
        """Whether ``imported`` may be named in ``importer``."""
        package, _, name = imported.rpartition(".")
        if not package or lies_in(importer, package) or imported in cast("set[str]", self.side_doors):
            return True
        return name in offered_by(package) and self.allows(importer, package)


class Owners(_ImportContract):
    """Some modules are imported by their owners only. Neither need exist: a room is placed before it is built.

    Of what is not ours the root is named: the linter's graph has ``google``, and knows no ``google.protobuf``.
    """

    type_name = "owners"
    modules = fields.SetField(subfield=fields.StringField())
    owners = fields.SetField(subfield=fields.StringField())

    def allows(self, importer: str, imported: str) -> bool:
        """Whether ``imported`` may be named in ``importer``."""
        owned = [module for module in cast("set[str]", self.modules) if lies_in(imported, module)]
        owners = [*cast("set[str]", self.owners), *owned]
        return not owned or any(lies_in(importer, owner) for owner in owners)
