"""Chapters: which are stale, executing them, what they were made from.

A chapter is ``notebooks/NAME.md`` and its jupytext pair ``NAME.ipynb``. Its executed copy goes to
``book/notebooks/NAME.ipynb`` and carries, in its metadata, the digests of all that it was made
from. A chapter for which one of these differs is stale.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import re
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
import psutil
from filelock import FileLock
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from cifarcam import _closure, _files, _settings, _store
from cifarcam.errors import CifarcamError, first_line
from cifarcam.publish import cells, pairs

LOCK_FILE = "requirements.txt"
# The tag of cells that serve notebooks opened alone, and are left out of the report.
COLAB = "colab"
# Chapters executed at a time: while one starts its kernel or draws, another computes. More would
# want more memory for little time.
AT_ONCE = 2


@dataclass(frozen=True)
class Parameters:
    """What the chapters are executed with."""

    dataset: str = _settings.choice("cifar10", "sample", default="cifar10")
    run: str = _settings.setting("the name of an experiment", str, default="baseline")
    kernel: str = _settings.setting("the name of a Jupyter kernel", str, default="python3")


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
    """The names of the chapters that are notebooks, in alphabetical order.

    An ``.ipynb`` without its ``.md`` is one when the table of contents names it.
    """
    contents = project / "book" / "_toc.yml"
    text = contents.read_text(encoding="utf-8") if contents.is_file() else ""
    named = {Path(path.strip()).stem for path in re.findall(r"\bnotebooks/([^\n\"'#]+)", text)}
    texts = {path.stem for path in (project / "notebooks").glob("*.md")}
    notebooks = {path.stem for path in (project / "notebooks").glob("*.ipynb")} & named
    # Names that begin with a dot are an editor's.
    return sorted(name for name in texts | notebooks if not name.startswith("."))


def check_names(project: Path, names: Sequence[str]) -> None:
    """Refuse names that no chapter has.

    Raises
    ------
    CifarcamError
        When there is one.
    """
    known = chapters(project)
    for name in names:
        if name not in known:
            raise CifarcamError(f"no chapter named {name!r}; there are {', '.join(known)}")


def read_parameters(project: Path) -> Parameters:
    """The parameters that `choose_parameters` chose last, else the usual ones."""
    path = _parameters_path(project)
    if not path.is_file():
        return Parameters()
    content = _files.read_json(path, "delete it to go on with the usual parameters")
    return _settings.read(Parameters, content, path.name)


def choose_parameters(project: Path, changes: dict[str, str]) -> Parameters:
    """Change some parameters, for this and for the next builds.

    Raises
    ------
    CifarcamError
        When a value is refused.
    """
    before = read_parameters(project)
    parameters = _settings.changed(before, changes, "report")
    if "kernel" in changes and parameters.kernel not in KernelSpecManager().find_kernel_specs():
        raise _no_kernel(parameters.kernel)
    if parameters != before:
        path = _parameters_path(project)
        with _files.writing_to(path.parent):
            _files.write_json(path, asdict(parameters))
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
    check_names(project, only)
    for name in only or known:
        cells.check_parameters(name, read_chapter(project, name))

    target = project / "book" / "notebooks"
    if not _without_chapter(target, known) and not _stale(project, only or known, parameters):
        return []  # and nothing is written: the checkout may be read only
    with ExitStack() as stack:
        with _files.writing_to(target):
            stack.enter_context(FileLock(target / ".lock"))
            for leftover in _without_chapter(target, known):
                leftover.unlink()
        stale = _stale(project, only or known, parameters)
        for name, reason in stale.items():
            say(f"chapter {name}: {reason}, executing")
        _execute_all(project, list(stale), parameters, say)
        # One that tells of all runs may have been executed before another trained its own.
        _execute_all(project, list(_stale(project, list(stale), parameters)), parameters, say)
    return list(stale)


def _without_chapter(target: Path, known: Sequence[str]) -> list[Path]:
    """Copies of chapters that are no longer there, and what a killed build was writing."""
    copies = [copy for copy in target.glob("*.ipynb") if copy.stem not in known]
    return [*copies, *target.glob(".*.ipynb.*")]


def _execute_all(
    project: Path, names: Sequence[str], parameters: Parameters, say: Callable[[str], None]
) -> None:
    if not names:
        return
    # Processes, because papermill changes the working directory, and started anew, because a
    # process with TensorFlow's threads must not be forked.
    workers = min(AT_ONCE, len(names), os.cpu_count() or 1)
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, spawn, initializer=_end_with_parent)
    try:
        begun = {pool.submit(_execute, project, name, parameters): name for name in names}
        for done in as_completed(begun):
            done.result()
            say(f"chapter {begun[done]}: executed")
    except BrokenProcessPool as error:
        raise CifarcamError(
            f"a process that executed one of the chapters {', '.join(names)} ended abruptly, most "
            "often for want of memory; build again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Let this process and all that it started end as soon as the process that started it has.

    Kernels look for their parent themselves, but not what these have started.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _parameters_path(project: Path) -> Path:
    return project / "book" / "notebooks" / "parameters.json"


def _copy_path(project: Path, name: str) -> Path:
    return project / "book" / "notebooks" / f"{name}.ipynb"


def _why_stale(project: Path, name: str, parameters: Parameters) -> str | None:
    """Why a chapter has to be executed, in words; None when it need not."""
    copy = _copy_path(project, name)
    if not copy.is_file():
        return "not executed yet"
    record = _read_record(copy)
    if record is None:
        return "its copy is damaged, or was executed by other means"
    now = _inputs(project, name, parameters)
    before: dict[str, str] = dict(record["inputs"])
    for key in [*now, *before]:
        if now.get(key) != before.get(key):
            return f"{key} changed"
    used = record["used"]
    for experiment, entry in used["experiments"].items():
        if _experiment_digest(project, experiment) != entry["digest"]:
            return f"experiment {experiment} changed"
    start = project / "notebooks"
    for fingerprint, run in used["runs"].items():
        directory = _store.find_run(fingerprint, start=start)
        if directory is None or _store.run_digest(directory) != run["digest"]:
            return f"run {run['name']} changed"
    for entry, noted in used["records"].items():
        path = _store.find_record(entry, start=start)
        if path is None or _files.sha256(path) != noted["digest"]:
            return f"record {entry} changed"
    for entry, noted in used["cached"].items():
        if (_files.cache_dir() / entry).is_file() != (noted["digest"] is not None):
            return f"{entry} in the cache changed"
    told = used["inventory"].get("all")
    if told is not None and told["names"] != _store.inventory(start):
        return "the runs or records at hand changed"
    return None


def _stale(project: Path, names: Sequence[str], parameters: Parameters) -> dict[str, str]:
    """Those of some chapters that have to be executed, and why."""
    reasons = {name: _why_stale(project, name, parameters) for name in names}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _read_record(copy: Path) -> dict[str, Any] | None:
    """What an executed copy was made from; None when it is not what `_execute` wrote."""
    try:
        notebook = nbformat.read(copy, as_version=4)
        record: dict[str, Any] = notebook.metadata["cifarcam"]
        sealed = record.pop("digest")
    except Exception:  # nbformat raises what its conversion of a foreign structure does
        return None
    return record if sealed == _digest_of([notebook.cells, record]) else None


def _experiment_digest(project: Path, name: str) -> str | None:
    path = project / "experiments" / f"{name}.toml"
    return _files.sha256(path) if path.is_file() else None


def _inputs(project: Path, name: str, parameters: Parameters) -> dict[str, str]:
    """Digests, by name, of all that is known to decide a chapter before it is executed."""
    notebook = read_chapter(project, name)
    content = [[c.cell_type, c.source, c.metadata.get("mystnb", {})] for c in notebook.cells]
    tags = [c.metadata.get("tags", []) for c in notebook.cells]
    inputs = {"the notebook": _digest_of([content, tags])}
    inputs |= {f"parameter {key}": value for key, value in asdict(parameters).items()}
    imported = _closure.imported_by(cells.code_of(name, notebook))
    inputs |= {module: _closure.module_digest(module) for module in _closure.closure(imported)}
    needed = _closure.distributions(imported)
    for package, pin in _closure.pins((project / LOCK_FILE).read_text(), needed).items():
        inputs[f"{LOCK_FILE}: {package}"] = pin
    return inputs


def _digest_of(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_chapter(project: Path, name: str) -> nbformat.NotebookNode:
    """A chapter's notebook as the report executes it: without the cells that are tagged `COLAB`.

    Of its two files the one that was not edited follows the other (`pairs.read`).
    """
    chapter = pairs.read(project, name)
    chapter.cells = [c for c in chapter.cells if COLAB not in c.metadata.get("tags", [])]
    return chapter


def _execute(project: Path, name: str, parameters: Parameters) -> None:
    source = read_chapter(project, name)
    inputs = _inputs(project, name, parameters)
    with tempfile.TemporaryDirectory() as scratch:
        given, executed = Path(scratch) / f"{name}.ipynb", Path(scratch) / "executed.ipynb"
        nbformat.write(source, given)
        try:
            with _files.stderr_aside():  # the kernel's and TensorFlow's start-up notes
                papermill.execute_notebook(
                    str(given),
                    str(executed),
                    parameters={"dataset_name": parameters.dataset, "run_name": parameters.run},
                    kernel_name=parameters.kernel,
                    cwd=str(project / "notebooks"),
                    progress_bar=False,
                )
        except PapermillExecutionError as error:
            begin = error.source.strip().splitlines()[0]
            raise CifarcamError(
                f"chapter {name} failed in cell {error.cell_index} "
                f"(`{begin}` …): {error.ename}: {error.evalue}"
            ) from error
        except DeadKernelError as error:
            raise CifarcamError(
                f"chapter {name}: its kernel died, most often for want of memory"
            ) from error
        except NoSuchKernel as error:
            raise _no_kernel(parameters.kernel) from error
        except (OSError, RuntimeError) as error:  # such as a kernel whose Python is gone
            raise CifarcamError(
                f"chapter {name}: the kernel {parameters.kernel!r} cannot execute it "
                f"({first_line(error)}); `cifarcam report --kernel python3` takes this environment's"
            ) from error
        notebook = nbformat.read(executed, as_version=4)
    _finish(notebook, inputs, project)
    record = notebook.metadata["cifarcam"]
    record["digest"] = _digest_of([notebook.cells, record])
    copy = _copy_path(project, name)
    with _files.writing_to(copy.parent), _files.atomic_file(copy) as temporary:
        nbformat.write(notebook, temporary)


def _no_kernel(name: str) -> CifarcamError:
    return CifarcamError(
        f"no Jupyter kernel named {name!r}; `jupyter kernelspec list` shows those at hand"
    )


def _finish(notebook: nbformat.NotebookNode, inputs: dict[str, str], project: Path) -> None:
    """Make an executed notebook a page: no paths of this machine, and what it was made from."""
    notebook.metadata.pop("papermill", None)
    used: dict[str, dict[str, Any]] = {kind: {} for kind in _store.KINDS}
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
            told = output.get("metadata", {}).get(_store.USED, {})
            for kind in used:
                used[kind] |= told.get(kind, {})
            if "text/markdown" in output.get("data", {}):
                cell.metadata.setdefault("mystnb", {})["markdown_format"] = "myst"
    notebook.metadata["cifarcam"] = {"inputs": inputs, "used": used}
