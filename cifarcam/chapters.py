"""Chapters: which are stale, executing them, what they were made from.

A chapter is ``notebooks/NAME.md`` and its jupytext pair ``NAME.ipynb``. Its executed copy goes to
``book/notebooks/NAME.ipynb`` and carries, in its metadata, the digests of all that it was made
from. A chapter for which one of these differs is stale.
"""

from __future__ import annotations

import ast
import hashlib
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
from filelock import FileLock
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from cifarcam import files, settings, store
from cifarcam.errors import CifarcamError

LOCK_FILE = "requirements.txt"
PACKAGE = Path(__file__).resolve().parent
# The tag of cells that serve notebooks opened alone, and are left out of the report.
COLAB = "colab"
# Chapters executed at a time: while one starts its kernel or draws, another computes. More would
# want more memory for little time.
AT_ONCE = 2


@dataclass(frozen=True)
class Parameters:
    """What the chapters are executed with."""

    dataset: str = settings.choice("cifar10", "sample", default="cifar10")
    run: str = settings.setting("the name of an experiment", str, default="baseline")
    kernel: str = settings.setting("the name of a Jupyter kernel", str, default="python3")


def find_project(start: Path | None = None) -> Path:
    """The checkout around a directory (the working directory), which holds book and notebooks.

    Raises
    ------
    CifarcamError
        When there is none.
    """
    here = (start or Path.cwd()).resolve()
    for directory in (here, *here.parents):
        if (directory / "book" / "_config.yml").is_file() and (directory / "notebooks").is_dir():
            return directory
    raise CifarcamError(f"{here}: not inside a checkout of the project (no book/_config.yml)")


def chapters(project: Path) -> list[str]:
    """The names of the chapters that are notebooks, in alphabetical order."""
    return sorted(path.stem for path in (project / "notebooks").glob("*.md"))


def read_parameters(project: Path) -> Parameters:
    """The parameters that `choose_parameters` chose last, else the usual ones."""
    path = _parameters_path(project)
    if not path.is_file():
        return Parameters()
    return settings.read(Parameters, json.loads(path.read_text()), path.name)


def choose_parameters(project: Path, changes: dict[str, str]) -> Parameters:
    """Change some parameters, for this and for the next builds.

    Raises
    ------
    CifarcamError
        When a value is refused.
    """
    parameters = settings.changed(read_parameters(project), changes, "report")
    if "kernel" in changes and parameters.kernel not in KernelSpecManager().find_kernel_specs():
        raise _no_kernel(parameters.kernel)
    path = _parameters_path(project)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_file(path) as temporary:
        temporary.write_text(json.dumps(asdict(parameters)) + "\n")
    return parameters


def execute_stale(
    project: Path,
    parameters: Parameters,
    *,
    only: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> list[str]:
    """Execute the chapters that are stale, `AT_ONCE` at a time, and return their names.

    Parameters
    ----------
    project
        The checkout.
    parameters
        What the chapters get.
    only
        Chapters to look at; all when empty.
    say
        Receives a line for each chapter that is stale, with the reason, and one when it is done.

    Raises
    ------
    CifarcamError
        When a chapter is unknown or fails. Its last good copy stays in place; those that were
        being executed beside it are finished, the others are not begun.
    """
    known = chapters(project)
    for name in only:
        if name not in known:
            raise CifarcamError(f"no chapter named {name!r}; there are {', '.join(known)}")
    target = project / "book" / "notebooks"
    target.mkdir(parents=True, exist_ok=True)
    with FileLock(target / ".lock"):
        for copy in target.glob("*.ipynb"):
            if copy.stem not in known:
                copy.unlink()
        reasons = {name: _why_stale(project, name, parameters) for name in only or known}
        stale = [name for name, reason in reasons.items() if reason is not None]
        for name in stale:
            say(f"chapter {name}: {reasons[name]}, executing")
        if stale:
            _execute_all(project, stale, parameters, say)
        # One that tells of all runs may have been executed before another trained its own.
        overtaken = [name for name in stale if _why_stale(project, name, parameters) is not None]
        if overtaken:
            _execute_all(project, overtaken, parameters, say)
    return stale


def _execute_all(
    project: Path, names: Sequence[str], parameters: Parameters, say: Callable[[str], None]
) -> None:
    # Processes, because papermill changes the working directory, and started anew, because a
    # process with TensorFlow's threads must not be forked.
    workers = min(AT_ONCE, len(names), os.cpu_count() or 1)
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    try:
        begun = {pool.submit(_execute, project, name, parameters): name for name in names}
        for done in as_completed(begun):
            done.result()
            say(f"chapter {begun[done]}: executed")
    finally:
        pool.shutdown(cancel_futures=True)


def _parameters_path(project: Path) -> Path:
    return project / "book" / "notebooks" / "parameters.json"


def _copy_path(project: Path, name: str) -> Path:
    return project / "book" / "notebooks" / f"{name}.ipynb"


def _why_stale(project: Path, name: str, parameters: Parameters) -> str | None:
    """Why a chapter has to be executed, in words; None when it need not."""
    copy = _copy_path(project, name)
    if not copy.is_file():
        return "not executed yet"
    record = nbformat.read(copy, as_version=4).metadata.get("cifarcam")
    if record is None:
        return "executed by other means"
    now = _inputs(project, name, parameters)
    before: dict[str, str] = dict(record["inputs"])
    for key in [*now, *before]:
        if now.get(key) != before.get(key):
            return f"{key} changed"
    for used in [*record["runs"], *record["experiments"]]:
        if _experiment_digest(project, used["experiment"]) != used["experiment_file"]:
            return f"experiment {used['experiment']} changed"
    for run in record["runs"]:
        directory = store.find_run(run["fingerprint"], start=project / "notebooks")
        if directory is None or store.run_digest(directory) != run["digest"]:
            return f"run {run['name']} changed"
    for entry in record["records"]:
        record_path = store.find_record(entry["name"], start=project / "notebooks")
        if record_path is None or files.sha256(record_path) != entry["digest"]:
            return f"record {entry['name']} changed"
    told = record["inventory"]
    if told is not None and told != store.inventory(project / "notebooks"):
        return "the runs or records at hand changed"
    return None


def _experiment_digest(project: Path, name: str) -> str | None:
    path = project / "experiments" / f"{name}.toml"
    return files.sha256(path) if path.is_file() else None


def _inputs(project: Path, name: str, parameters: Parameters) -> dict[str, str]:
    """Digests, by name, of all that is known to decide a chapter before it is executed."""
    notebook = read_chapter(project, name)
    cells = [[c.cell_type, c.source, c.metadata.get("mystnb", {})] for c in notebook.cells]
    tags = [c.metadata.get("tags", []) for c in notebook.cells]
    inputs = {"the notebook": _digest_of([cells, tags])}
    inputs |= {f"parameter {key}": value for key, value in asdict(parameters).items()}
    code = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    for module in module_closure(code):
        inputs[f"{PACKAGE.name}/{module.relative_to(PACKAGE).as_posix()}"] = files.sha256(module)
    inputs[LOCK_FILE] = files.sha256(project / LOCK_FILE)
    return inputs


def _digest_of(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_chapter(project: Path, name: str) -> nbformat.NotebookNode:
    """A chapter's notebook, from the newer file of its pair; the older one is brought up to it.

    The cells that are tagged `COLAB` stay in the files alone.
    """
    text, notebook = (project / "notebooks" / f"{name}.{ext}" for ext in ("md", "ipynb"))
    chapter = jupytext.read(text)
    if not notebook.is_file() or not _same_cells(chapter, jupytext.read(notebook)):
        if notebook.is_file() and notebook.stat().st_mtime > text.stat().st_mtime:
            newer = jupytext.read(notebook)
            newer.metadata["jupytext"] = chapter.metadata["jupytext"]
            jupytext.write(newer, text, fmt="md:myst")
            chapter = newer
        else:
            write_pair(text)
    chapter.cells = [c for c in chapter.cells if COLAB not in c.metadata.get("tags", [])]
    return chapter


def write_pair(text: Path) -> None:
    """Write a chapter's ``.ipynb`` from its ``.md``, without outputs and with stable cell ids."""
    notebook = jupytext.read(text)
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
    jupytext.write(notebook, text.with_suffix(".ipynb"))


def _same_cells(first: nbformat.NotebookNode, second: nbformat.NotebookNode) -> bool:
    def essence(notebook: nbformat.NotebookNode) -> list[Any]:
        return [
            (c.cell_type, c.source, c.metadata.get("tags", []), c.metadata.get("mystnb", {}))
            for c in notebook.cells
        ]

    return essence(first) == essence(second)


def module_closure(code: str) -> list[Path]:
    """The package's own modules that code imports, directly or through each other.

    Found by reading the import statements, wherever in a module they stand.
    """
    found: set[Path] = set()
    waiting = list(_imported(code))
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imported(path.read_text()))
    return sorted(found)


def _imported(code: str) -> Iterable[Path]:
    for node in _running_nodes(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            package, *rest = name.split(".")
            if package == PACKAGE.name:
                for depth in range(len(rest) + 1):
                    yield from _module_files(rest[:depth])


def _running_nodes(tree: ast.AST) -> Iterable[ast.AST]:
    """All nodes but those under ``if TYPE_CHECKING``, which never run."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _running_nodes(node)


def _module_files(parts: list[str]) -> Iterable[Path]:
    base = PACKAGE.joinpath(*parts)
    if (base / "__init__.py").is_file():
        yield base / "__init__.py"
    elif parts and base.with_suffix(".py").is_file():
        yield base.with_suffix(".py")


def _execute(project: Path, name: str, parameters: Parameters) -> None:
    source = read_chapter(project, name)
    inputs = _inputs(project, name, parameters)
    with tempfile.TemporaryDirectory() as scratch:
        given, executed = Path(scratch) / f"{name}.ipynb", Path(scratch) / "executed.ipynb"
        nbformat.write(source, given)
        try:
            with files.stderr_aside():  # the kernel's and TensorFlow's start-up notes
                papermill.execute_notebook(
                    str(given),
                    str(executed),
                    parameters={"dataset_name": parameters.dataset, "run_name": parameters.run},
                    kernel_name=parameters.kernel,
                    cwd=str(project / "notebooks"),
                    progress_bar=False,
                )
        except PapermillExecutionError as error:
            first_line = error.source.strip().splitlines()[0]
            raise CifarcamError(
                f"chapter {name} failed in cell {error.cell_index} "
                f"(`{first_line}` …): {error.ename}: {error.evalue}"
            ) from error
        except DeadKernelError as error:
            raise CifarcamError(
                f"chapter {name}: its kernel died, most often for want of memory"
            ) from error
        except NoSuchKernel as error:
            raise _no_kernel(parameters.kernel) from error
        notebook = nbformat.read(executed, as_version=4)
    _finish(notebook, inputs, project)
    with files.atomic_file(_copy_path(project, name)) as temporary:
        nbformat.write(notebook, temporary)


def _no_kernel(name: str) -> CifarcamError:
    return CifarcamError(
        f"no Jupyter kernel named {name!r}; `jupyter kernelspec list` shows those at hand"
    )


def _finish(notebook: nbformat.NotebookNode, inputs: dict[str, str], project: Path) -> None:
    """Make an executed notebook a page: no paths of this machine, and what it was made from."""
    notebook.metadata.pop("papermill", None)
    made_from: dict[str, Any] = {"inputs": inputs, "runs": [], "records": [], "experiments": []}
    made_from["inventory"] = None
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", [])):
            cell.metadata["tags"] = [*cell.metadata["tags"], "remove-cell"]
        if cell.cell_type != "code":
            continue
        # TensorFlow's start-up notes; what a chapter has to say it prints or shows.
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            used = output.get("metadata", {}).get(store.USED)
            if used is not None:
                for key in ("runs", "records", "experiments"):
                    made_from[key] += used[key]
                made_from["inventory"] = used["inventory"] or made_from["inventory"]
            if "text/markdown" in output.get("data", {}):
                cell.metadata.setdefault("mystnb", {})["markdown_format"] = "myst"
    for used in [*made_from["runs"], *made_from["experiments"]]:
        used["experiment_file"] = _experiment_digest(project, used["experiment"])
    notebook.metadata["cifarcam"] = made_from
