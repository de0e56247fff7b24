"""The import closure of code: modules of the package, their digests, and distributions.

Wherever a result names the code that made it, the digest is taken over the syntax trees of the
import closure inside the package, without docstrings, comments, ``__all__`` and the order of
imports. A changed comment outdates no result; a changed constant outdates every result whose closure holds its module.
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

from cifarcam.errors import require

PACKAGE = "cifarcam"
_ROOT = Path(__file__).resolve().parent


def code_digest(module: str) -> str:
    """SHA-256, hexadecimal, of a module's code and of all code of the package that it imports.

    The digest is the same for every version of Python that the package supports.

    Parameters
    ----------
    module
        Its full name, such as ``"cifarcam.studies.classical"``.

    Raises
    ------
    MissingExtra
        When grimp is not installed.
    """
    digest = hashlib.sha256()
    for name in closure([module]):
        digest.update(f"{name} {module_digest(name)}\n".encode())
    return digest.hexdigest()


def closure(modules: Iterable[str]) -> list[str]:
    """The modules of the package that `modules` import directly or indirectly, and `modules`, sorted.

    Imports under ``if TYPE_CHECKING`` never run and do not count.
    """
    graph, names = _graph(), set()
    waiting = [name for name in modules if name in graph.modules]
    while waiting:
        name = waiting.pop()
        if name in names or not _is_ours(name):
            continue
        names.add(name)
        # Importing a module runs its packages' `__init__` first.
        parent = name.rpartition(".")[0]
        waiting += [parent] if parent else []
        waiting += graph.find_modules_directly_imported_by(name)
    return sorted(names)


@functools.cache
def module_digest(module: str) -> str:
    """SHA-256, hexadecimal, of one module's syntax tree; see the module's docstring."""
    base = _ROOT.joinpath(*module.split(".")[1:])
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    tree = _plain(ast.parse(path.read_text()))
    return hashlib.sha256(repr(tree).encode()).hexdigest()


def imported_by(code: str) -> list[str]:
    """The modules that Python source imports, sorted; for ``from a import b`` both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return sorted(names)


def distributions(names: Iterable[str]) -> list[str]:
    """The installed distributions that imports need, with all their requirements, sorted.

    Parameters
    ----------
    names
        Names of modules as `imported_by` returns them; a module of the package counts with all
        imports of its closure.
    """
    names = list(names)
    graph = _graph()
    imported = {name.partition(".")[0] for name in names}
    for module in closure(names):
        imported.update(
            name for name in graph.find_modules_directly_imported_by(module) if not _is_ours(name)
        )
    provided = _provided()
    waiting = [owner for name in imported for owner in provided.get(name, [])]
    installed: set[str] = set()
    while waiting:
        name = _normalised(waiting.pop())
        if name in installed or name == PACKAGE:
            continue
        required = _required(name)
        if required is not None:
            installed.add(name)
            waiting += required
    return sorted(installed)


def pins(lock: str, names: Iterable[str]) -> dict[str, str]:
    """The lines of a lock file's text that pin the versions of distributions, by name."""
    names = {_normalised(name) for name in names}
    lines: dict[str, str] = {}
    for line in lock.splitlines():
        name = _name_of(line)
        if "==" in line and name in names:  # several lines where systems differ
            lines[name] = "\n".join(filter(None, (lines.get(name), line.strip(" \\"))))
    return lines


@functools.cache
def _graph() -> Any:
    require("train", "grimp")
    import grimp

    return grimp.build_graph(
        PACKAGE, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )


@functools.cache
def _required(distribution: str) -> tuple[str, ...] | None:
    """The requirements of a distribution; None where it is not installed, as on another system."""
    try:
        lines = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return tuple(_name_of(line) for line in lines if "extra ==" not in line)


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
    """A syntax tree as nested tuples, the same in every version of Python.

    Empty fields are left out because versions differ in them.
    """
    if isinstance(value, list):
        return tuple(_plain(item) for item in _calculating(value))
    if not isinstance(value, ast.AST):
        return repr(value)
    fields = dict(ast.iter_fields(value))
    documented = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    if isinstance(value, documented) and ast.get_docstring(value, clean=False) is not None:
        fields["body"] = fields["body"][1:]
    used = {name: field for name, field in fields.items() if field is not None and field != []}
    return (type(value).__name__, *((name, _plain(field)) for name, field in used.items()))


def _calculating(items: list[Any]) -> list[Any]:
    """Statements without ``__all__``, and with consecutive imports split by name and sorted."""
    ordered: list[Any] = []
    block: list[Any] = []
    for item in items:
        if isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == "__all__":
            continue
        if isinstance(item, ast.Import):
            block += [ast.Import([alias]) for alias in item.names]
        elif isinstance(item, ast.ImportFrom):
            block += [ast.ImportFrom(item.module, [alias], item.level) for alias in item.names]
        else:
            ordered += [*sorted(block, key=ast.unparse), item]
            block = []
    return [*ordered, *sorted(block, key=ast.unparse)]
