"""Execution of stale chapters by papermill, and what their copies record."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import nbformat
import papermill
import psutil
from filelock import FileLock
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from cifarcam import _files, _store
from cifarcam.errors import CifarcamError, first_line
from cifarcam.publish.chapters import (
    Parameters,
    chapters,
    check_names,
    copy_path,
    no_kernel,
    read_chapter,
)
from cifarcam.publish.staleness import digest_of, inputs, stale

# Chapters executed at a time: while one starts its kernel or draws, the other computes. A third
# would need more memory and save little time.
AT_ONCE = 2

# Chapters by measured duration, longest first; all others take less. A long chapter that began last
# would be executed alone at the end.
LONGEST = ("gallery", "deeper", "datasets", "trust", "grad_cam")


def execute_stale(
    project: Path,
    parameters: Parameters,
    *,
    only: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> list[str]:
    """Execute the stale chapters, `AT_ONCE` at a time, and return their names.

    Parameters
    ----------
    project
        The checkout.
    parameters
        Parameters of the chapters.
    only
        Names of the chapters to consider; all when empty.
    say
        Receives a line for each stale chapter, with the reason, and a line when it is executed.

    Raises
    ------
    CifarcamError
        When a chapter is unknown or fails. Its last good copy stays in place. A chapter that was
        being executed at the same time is finished; the others are not begun.
    """
    if only:
        check_names(project, only)
    existing = chapters(project)
    names = only or existing
    target = project / "book" / "notebooks"
    if not _leftovers(target, existing) and not stale(project, names, parameters):
        return []  # without writing anything: the checkout may be read-only
    with ExitStack() as stack:
        with _files.writing_to(target):
            stack.enter_context(FileLock(target / ".lock"))
            for leftover in _leftovers(target, existing):
                leftover.unlink()
        reasons = stale(project, names, parameters)
        for name, reason in reasons.items():
            say(f"chapter {name}: {reason}, executing")
        _execute_all(project, longest_first(list(reasons)), parameters, say)
        # A chapter that lists all runs may have been executed before another chapter trained one.
        _execute_all(project, list(stale(project, list(reasons), parameters)), parameters, say)
    return list(reasons)


def longest_first(names: Sequence[str]) -> list[str]:
    """Chapters in the order in which they are begun: those in `LONGEST`, then all others."""
    return [*(n for n in LONGEST if n in names), *(n for n in names if n not in LONGEST)]


def _leftovers(target: Path, existing: Sequence[str]) -> list[Path]:
    """Copies of chapters that no longer exist, and files that a killed build was writing."""
    copies = [copy for copy in target.glob("*.ipynb") if copy.stem not in existing]
    return [*copies, *target.glob(".*.ipynb.*")]


def _execute_all(
    project: Path, names: Sequence[str], parameters: Parameters, say: Callable[[str], None]
) -> None:
    if not names:
        return
    # Processes, because papermill changes the working directory; spawned, because a process with
    # TensorFlow's threads must not be forked.
    workers = min(AT_ONCE, len(names), os.cpu_count() or 1)
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, spawn, initializer=_end_with_parent)
    try:
        futures = {pool.submit(_execute, project, name, parameters): name for name in names}
        for future in as_completed(futures):
            future.result()
            say(f"chapter {futures[future]}: executed")
    except BrokenProcessPool as error:
        raise CifarcamError(
            f"a process that executed one of the chapters {', '.join(names)} ended abruptly, most "
            "often for lack of memory; build again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this process and all its children as soon as its parent has ended.

    Kernels watch their parent themselves; the processes that kernels start do not.
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


def _execute(project: Path, name: str, parameters: Parameters) -> None:
    source = read_chapter(project, name)
    digests = inputs(project, name, parameters)
    with tempfile.TemporaryDirectory() as scratch:
        original, executed = Path(scratch) / f"{name}.ipynb", Path(scratch) / "executed.ipynb"
        nbformat.write(source, original)
        try:
            with _files.stderr_aside():  # the kernel's and TensorFlow's start-up notes
                papermill.execute_notebook(
                    str(original),
                    str(executed),
                    parameters={"dataset_name": parameters.dataset, "run_name": parameters.run},
                    kernel_name=parameters.kernel,
                    cwd=str(project / "notebooks"),
                    progress_bar=False,
                    # Seconds; the usual 60 and 4 are too few where a machine is loaded.
                    start_timeout=600,
                    iopub_timeout=600,
                )
        except PapermillExecutionError as error:
            first = error.source.strip().splitlines()[0]
            raise CifarcamError(
                f"chapter {name} failed in cell {error.cell_index} "
                f"(`{first}` …): {error.ename}: {error.evalue}"
            ) from error
        except DeadKernelError as error:
            raise CifarcamError(
                f"chapter {name}: its kernel died, most often for lack of memory"
            ) from error
        except NoSuchKernel as error:
            raise no_kernel(parameters.kernel) from error
        except (OSError, RuntimeError) as error:  # such as a kernel whose Python is gone
            raise CifarcamError(
                f"chapter {name}: the kernel {parameters.kernel!r} cannot execute it "
                f"({first_line(error)}); `cifarcam report --kernel python3` uses this environment"
            ) from error
        notebook = nbformat.read(executed, as_version=4)
    _finish(notebook, digests)
    record = notebook.metadata["cifarcam"]
    record["digest"] = digest_of([notebook.cells, record])
    copy = copy_path(project, name)
    with _files.writing_to(copy.parent), _files.atomic_file(copy) as temporary:
        nbformat.write(notebook, temporary)


def _finish(notebook: nbformat.NotebookNode, digests: dict[str, str]) -> None:
    """Remove this machine's paths from an executed notebook, and record what it was made from."""
    notebook.metadata.pop("papermill", None)
    used: dict[str, dict[str, Any]] = {kind: {} for kind in _store.KINDS}
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", [])):
            cell.metadata["tags"] = [*cell.metadata["tags"], "remove-cell"]
        if cell.cell_type != "code":
            continue
        # TensorFlow's start-up messages; chapters print or display what the reader needs.
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            passed = output.get("metadata", {}).get(_store.USED, {})
            for kind in used:
                used[kind] |= passed.get(kind, {})
            if "text/markdown" in output.get("data", {}):
                cell.metadata.setdefault("mystnb", {})["markdown_format"] = "myst"
    notebook.metadata["cifarcam"] = {"inputs": digests, "used": used}
