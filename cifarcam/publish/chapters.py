"""Chapters of the report: their names, their notebooks and the parameters they are executed with.

A chapter is ``notebooks/NAME.md`` and its jupytext pair ``NAME.ipynb``. Its executed copy is
``book/notebooks/NAME.ipynb``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import nbformat
import pydantic.dataclasses
from jupyter_client.kernelspec import KernelSpecManager

from cifarcam import _files, _settings
from cifarcam.errors import CifarcamError
from cifarcam.publish import pairs

# The tag of cells for notebooks that are opened alone; the report leaves these cells out.
COLAB = "colab"


@pydantic.dataclasses.dataclass(frozen=True, config=_settings.CONFIG)
class Parameters:
    """What the chapters are executed with."""

    dataset: Literal["cifar10", "sample"] = "cifar10"
    run: str = "baseline"  # the name of an experiment
    kernel: str = "python3"  # the name of a Jupyter kernel


def find_project(start: Path | None = None) -> Path:
    """The checkout that contains a directory, by default the working directory.

    Raises
    ------
    CifarcamError
        When the directory is in no checkout of the project.
    """
    here = (start or Path.cwd()).resolve()
    for directory in (here, *here.parents):
        if (directory / "book" / "_config.yml").is_file() and (directory / "notebooks").is_dir():
            return directory
    raise CifarcamError(f"{here}: not inside a checkout of the project (no book/_config.yml)")


def chapters(project: Path) -> list[str]:
    """Names of the chapters that are notebooks, in alphabetical order.

    An ``.ipynb`` without its ``.md`` counts as a chapter if the table of contents names it.
    """
    contents = project / "book" / "_toc.yml"
    text = contents.read_text(encoding="utf-8") if contents.is_file() else ""
    named = {Path(path.strip()).stem for path in re.findall(r"\bnotebooks/([^\n\"'#]+)", text)}
    texts = {path.stem for path in (project / "notebooks").glob("*.md")}
    notebooks = {path.stem for path in (project / "notebooks").glob("*.ipynb")} & named
    # Editors write files whose names begin with a dot.
    return sorted(name for name in texts | notebooks if not name.startswith("."))


def check_names(project: Path, names: Sequence[str]) -> None:
    """Check that chapters exist.

    Raises
    ------
    CifarcamError
        When a name belongs to no chapter.
    """
    existing = chapters(project)
    for name in names:
        if name not in existing:
            raise CifarcamError(f"no chapter named {name!r}; there are {', '.join(existing)}")


def read_parameters(project: Path) -> Parameters:
    """The parameters that `choose_parameters` stored last, else the defaults."""
    path = _parameters_path(project)
    if not path.is_file():
        return Parameters()
    content = _files.read_json(path, "delete it to go on with the default parameters")
    return _settings.read(Parameters, content, path.name)


def choose_parameters(project: Path, changes: dict[str, str]) -> Parameters:
    """Change some parameters for this build and the next builds.

    Raises
    ------
    CifarcamError
        When a value is refused.
    """
    before = read_parameters(project)
    parameters = _settings.replace(before, changes, "report")
    if "kernel" in changes and parameters.kernel not in KernelSpecManager().find_kernel_specs():
        raise no_kernel(parameters.kernel)
    if parameters != before:
        path = _parameters_path(project)
        with _files.writing_to(path.parent):
            _files.write_json(path, asdict(parameters))
    return parameters


def read_chapter(project: Path, name: str) -> nbformat.NotebookNode:
    """The notebook of a chapter as the report executes it: without cells with the tag `COLAB`.

    If one file of the pair was edited, the other file follows (`pairs.read`).
    """
    chapter = pairs.read(project, name)
    chapter.cells = [c for c in chapter.cells if COLAB not in c.metadata.get("tags", [])]
    return chapter


def copy_path(project: Path, name: str) -> Path:
    """Where the executed copy of a chapter is."""
    return project / "book" / "notebooks" / f"{name}.ipynb"


def no_kernel(name: str) -> CifarcamError:
    """The error for a kernel that is not installed."""
    return CifarcamError(
        f"no Jupyter kernel named {name!r}; `jupyter kernelspec list` shows the installed kernels"
    )


def _parameters_path(project: Path) -> Path:
    return project / "book" / "notebooks" / "parameters.json"
