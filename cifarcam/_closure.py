"""What code rests on: the package's modules that it imports, their digests, and the packages beyond.

One rule for code, wherever a result says what made it: the syntax trees, without docstrings,
comments and the order of imports, of the import closure inside the package. A comment outdates
nothing; a changed constant outdates what rests on its module.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grimp

PACKAGE = "cifarcam"
_ROOT = Path(__file__).resolve().parent


def code_digest(module: str) -> str:
    """SHA-256, hexadecimal, of the code that a module of the package rests on.

    Taken over the syntax trees of the module and of all modules of the package that it imports,
    directly or through each other. The same for every version of Python that the package takes.

    Parameters
    ----------
    module
        Its full name, such as ``"cifarcam.studies.classical"``.
    """
    digest = hashlib.sha256()
    for name in closure([module]):
        digest.update(f"{name} {module_digest(name)}\n".encode())
    return digest.hexdigest()


def closure(modules: Iterable[str]) -> list[str]:
    """The modules of the package that some modules rest on, themselves included, sorted.

    Imports under ``if TYPE_CHECKING`` never run and do not count.
    """
    graph, found = _graph(), set()
    waiting = [name for name in modules if name in graph.modules]
    while waiting:
        name = waiting.pop()
        if name in found or not _is_ours(name):
            continue
        found.add(name)
        # Importing a module runs its packages' `__init__` first.
        parent = name.rpartition(".")[0]
        waiting += [parent] if parent else []
        waiting += graph.find_modules_directly_imported_by(name)
    return sorted(found)


@functools.cache
def module_digest(module: str) -> str:
    """SHA-256, hexadecimal, of one module's syntax tree without docstrings and comments."""
    base = _ROOT.joinpath(*module.split(".")[1:])
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    tree = _plain(ast.parse(path.read_text()))
    return hashlib.sha256(repr(tree).encode()).hexdigest()


def imported_by(code: str) -> list[str]:
    """The names that Python source imports, of modules and of what may be one, sorted."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return sorted(names)


def distributions(names: Iterable[str]) -> list[str]:
    """The installed distributions that imports need, with all that these require, sorted.

    Parameters
    ----------
    names
        Names as `imported_by` gives them; the package's own stand for what its modules import.
    """
    names = list(names)
    graph = _graph()
    imported = {name.partition(".")[0] for name in names}
    for module in closure(names):
        imported.update(
            name for name in graph.find_modules_directly_imported_by(module) if not _is_ours(name)
        )
    provided = _provided()
    waiting = [one for name in imported for one in provided.get(name, [])]
    found: set[str] = set()
    while waiting:
        name = _normalised(waiting.pop())
        if name in found or name == PACKAGE:
            continue
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # required on another system only
            continue
        found.add(name)
        waiting += [_name_of(line) for line in required if "extra ==" not in line]
    return sorted(found)


def pins(lock: str, names: Iterable[str]) -> dict[str, str]:
    """The lines of a lock file's text that fix the versions of distributions, by name."""
    wanted = {_normalised(name) for name in names}
    fixed: dict[str, str] = {}
    for line in lock.splitlines():
        name = _name_of(line)
        if "==" in line and name in wanted:  # several lines, where systems differ
            fixed[name] = "\n".join(filter(None, (fixed.get(name), line.strip())))
    return fixed


@functools.cache
def _graph() -> Any:
    return grimp.build_graph(
        PACKAGE, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )


@functools.cache
def _provided() -> Any:
    return importlib.metadata.packages_distributions()


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == PACKAGE


def _name_of(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    return _normalised(match[0]) if match else ""


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _plain(value: Any) -> Any:
    """A syntax tree as nested tuples, the same from every version of Python.

    Empty fields are left out, since versions differ in those that they have.
    """
    if isinstance(value, list):
        return tuple(_plain(item) for item in _without_order_of_imports(value))
    if not isinstance(value, ast.AST):
        return repr(value)
    fields = dict(ast.iter_fields(value))
    documented = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    if isinstance(value, documented) and ast.get_docstring(value, clean=False) is not None:
        fields["body"] = fields["body"][1:]
    used = {name: field for name, field in fields.items() if field is not None and field != []}
    return (type(value).__name__, *((name, _plain(field)) for name, field in used.items()))


def _without_order_of_imports(items: list[Any]) -> list[Any]:
    """Statements in which those imports that follow each other are split and sorted."""
    ordered: list[Any] = []
    block: list[Any] = []
    for item in items:
        if isinstance(item, ast.Import):
            block += [ast.Import([alias]) for alias in item.names]
        elif isinstance(item, ast.ImportFrom):
            block += [ast.ImportFrom(item.module, [alias], item.level) for alias in item.names]
        else:
            ordered += [*sorted(block, key=ast.unparse), item]
            block = []
    return [*ordered, *sorted(block, key=ast.unparse)]
