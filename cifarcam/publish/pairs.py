"""The two files of a chapter, kept in step without losing an edit of either file.

A chapter is edited as text (``notebooks/NAME.md``) or as a notebook (``NAME.ipynb``), and the other
file follows. `AGREED` stores the digest of the contents on which the files last agreed; the file
that differs from it was edited. File times would be useless after a clone. If both files were
edited, neither is written.

The files share their cells: kinds, sources and `CELL_METADATA`. The text keeps its front matter.
A notebook keeps what editors add to it, such as outputs, until the text is edited.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from cifarcam import _files
from cifarcam.errors import CifarcamError, check_readable, first_line, printable

# Committed, so that a clone has it. Without it, pairs that differ are reported instead of written.
AGREED = Path("book") / "pairs.json"
# The keys of a cell's metadata that the report reads. Other keys belong to editors; they are copied
# from a notebook into a text only if the text already has them.
CELL_METADATA = frozenset({"tags", "mystnb"})
# The kernel that every machine has, instead of the name that an editor gave its own kernel.
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
TEXT_FORMAT = "md:myst"

FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?\n---[ \t]*\n", re.DOTALL)
CONFLICT = re.compile(r"(?m)^(?:<{7}|>{7}) .*$")


def read(project: Path, name: str) -> nbformat.NotebookNode:
    """The notebook of a chapter without outputs; an edit of one file is copied to the other file.

    Parameters
    ----------
    project
        The checkout.
    name
        The chapter's name. If one of its files is missing, it is made from the other file.

    Raises
    ------
    CifarcamError
        When a file is damaged, both files were edited, a text cannot hold what the notebook holds,
        or a file cannot be written. In none of these cases is an edit overwritten.
    """
    text, notebook = _paths(project, name)
    if not notebook.exists():
        write_pair(text)
        return _read_text(text)
    edited = _read_notebook(notebook)
    if not text.exists():
        chapter = _write_text(text, edited)
        _note_agreement(project, name, chapter, edited)
        return chapter
    chapter = _read_text(text)
    keys, agreed = _keys(chapter), _read_agreed(project).get(name)
    of_text, of_notebook = digest(chapter, keys), digest(edited, keys)
    if of_text == of_notebook:
        # A read-only checkout, where nobody edits, does not need the note.
        with contextlib.suppress(CifarcamError):
            _note_agreement(project, name, chapter, edited)
    elif of_text == agreed:
        chapter = _write_text(text, edited, chapter)
        _note_agreement(project, name, chapter, edited)
    elif of_notebook == agreed:
        write_pair(text)
    else:
        raise CifarcamError(
            f"chapter {name}: notebooks/{text.name} and notebooks/{notebook.name} were both edited "
            f"since they last agreed, and differ first in cell "
            f"{_first_difference(_cells(chapter, keys), _cells(edited, keys))}; neither is "
            "overwritten: copy the edits of one file into the other, then move the first file out "
            "of the folder, and it is made anew"
        )
    return chapter


def write_pair(text: Path) -> None:
    """Write a chapter's ``.ipynb`` from its ``.md``, without outputs and with stable cell ids."""
    chapter = _read_text(text)
    _write(text.with_suffix(".ipynb"), jupytext.writes(chapter, fmt="ipynb") + "\n")
    _note_agreement(text.parents[1], text.stem, chapter, chapter)


def digest(notebook: nbformat.NotebookNode, keys: Iterable[str] = CELL_METADATA) -> str:
    """SHA-256, hexadecimal, of what the files of a pair share; equal for both files."""
    content = json.dumps(_cells(notebook, keys), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _paths(project: Path, name: str) -> tuple[Path, Path]:
    folder = project / "notebooks"
    return folder / f"{name}.md", folder / f"{name}.ipynb"


def _keys(chapter: nbformat.NotebookNode) -> frozenset[str]:
    """The keys of cell metadata that the text of a chapter may hold."""
    return CELL_METADATA.union(*(cell.metadata for cell in chapter.cells))


def _cells(notebook: nbformat.NotebookNode, keys: Iterable[str]) -> list[list[Any]]:
    """What the files of a pair share. A text loses blank lines around cells, and empty prose."""
    cells = []
    for cell in notebook.cells:
        source = re.sub(r"\A(?:[ \t]*\n)+", "", re.sub(r"\r\n?", "\n", cell.source)).rstrip()
        metadata = _metadata(cell, keys)
        if source or cell.cell_type != "markdown":
            cells.append([cell.cell_type, source, metadata, sorted(cell.get("attachments", {}))])
    return cells


def _metadata(cell: nbformat.NotebookNode, keys: Iterable[str]) -> dict[str, Any]:
    """The metadata of a cell under some keys, without empty values."""
    items = cell.metadata.items()
    return {key: value for key, value in items if key in keys and value not in (None, [], {}, "")}


def _first_difference(first: list[list[Any]], second: list[list[Any]]) -> str:
    """The number and the beginning of the first cell in which two lists differ."""
    pairs = enumerate(zip_longest(first, second))
    index, cells = next((i, (a, b)) for i, (a, b) in pairs if a != b)
    begin = next((cell[1] for cell in cells if cell is not None), "").split("\n")[0]
    return f"{index} (`{printable(begin)}` …)"


def _note_agreement(
    project: Path, name: str, chapter: nbformat.NotebookNode, notebook: nbformat.NotebookNode
) -> None:
    """Store what both files now hold, and set the usual kernel in the notebook."""
    if notebook.metadata.get("kernelspec") != KERNEL:
        notebook.metadata["kernelspec"] = dict(KERNEL)
        _write(_paths(project, name)[1], nbformat.writes(notebook) + "\n")
    agreed = _read_agreed(project)
    now = digest(chapter, _keys(chapter))
    if agreed.get(name) != now:
        existing = {key for key in agreed if any(p.exists() for p in _paths(project, key))}
        content = {key: agreed[key] for key in existing} | {name: now}
        _write(project / AGREED, json.dumps(content, indent=1, sort_keys=True) + "\n")


def _read_agreed(project: Path) -> dict[str, str]:
    try:
        agreed = json.loads((project / AGREED).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing, damaged, or with the marks of a merge
        return {}
    return agreed if isinstance(agreed, dict) else {}


def _read_text(path: Path) -> nbformat.NotebookNode:
    text = _decoded(path)
    mark = CONFLICT.search(text)
    if mark is not None:
        raise _unreadable(path, f"contains the marks of a merge (`{mark[0]}`)")
    if FRONT_MATTER.match(text) is None:
        raise _unreadable(path, "has no front matter, with which the text of a notebook must begin")
    try:
        chapter = _parsed(text)
    except Exception as error:  # jupytext and its parsers raise errors of many kinds
        raise _unreadable(path, f"is not the text of a notebook ({first_line(error)})") from error
    if not _cells(chapter, ()):
        raise _unreadable(path, "holds no cells")
    return chapter


def _parsed(text: str) -> nbformat.NotebookNode:
    """The notebook in the text of a chapter, as the ``.ipynb`` stores it."""
    notebook = jupytext.reads(text, fmt=TEXT_FORMAT)
    notebook.metadata["kernelspec"] = dict(KERNEL)
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
    notebook = nbformat.reads(jupytext.writes(notebook, fmt="ipynb"), as_version=4)
    nbformat.validate(notebook)
    return notebook


def _read_notebook(path: Path) -> nbformat.NotebookNode:
    text = _decoded(path)
    try:
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat raises errors of many kinds for a damaged file
        raise _unreadable(path, f"is not a notebook ({first_line(error)})") from error
    if not _cells(notebook, ()):
        raise _unreadable(path, "holds no cells")
    return notebook


def _write_text(
    path: Path, notebook: nbformat.NotebookNode, before: nbformat.NotebookNode | None = None
) -> nbformat.NotebookNode:
    """Write a notebook as text, and return the notebook that the text holds.

    The text keeps the front matter that it had `before`, else it gets the usual front matter.
    """
    keys, lexer, front = CELL_METADATA, "ipython3", None
    if before is not None:
        keys, front = _keys(before), FRONT_MATTER.match(_decoded(path))
        lexer = before.metadata.get("jupytext", {}).get("default_lexer", lexer)
    header = {"formats": f"{TEXT_FORMAT},ipynb", "default_lexer": lexer}
    plain = nbformat.v4.new_notebook(metadata={"jupytext": header, "kernelspec": dict(KERNEL)})
    for cell in notebook.cells:
        metadata = _metadata(cell, keys)
        plain.cells.append(nbformat.from_dict({**cell, "metadata": metadata}))
    try:
        text = jupytext.writes(plain, fmt=TEXT_FORMAT)
        if front is not None:
            text = FRONT_MATTER.sub(lambda _: front[0], text, count=1)
        text.encode()
        chapter = _parsed(text)
        text_cells = _cells(chapter, keys)
    except Exception:  # as in `_read_text`
        text_cells = []
    cells = _cells(notebook, keys)
    if text_cells != cells:
        raise CifarcamError(
            f"notebooks/{path.stem}.ipynb: a text cannot hold cell "
            f"{_first_difference(text_cells, cells)}, most often because a code fence in it is not "
            "closed or a picture was pasted into it; change the cell"
        )
    _write(path, text)
    return chapter


def _decoded(path: Path) -> str:
    check_readable(path)
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"is not UTF-8 text (byte {error.start})") from error
    if not text.strip():
        raise _unreadable(path, "is empty")
    return text


def _unreadable(path: Path, complaint: str) -> CifarcamError:
    other = path.with_suffix(".ipynb" if path.suffix == ".md" else ".md")
    remedy = (
        f"repair it, or move it away and it is made anew from {other.name}"
        if other.exists()
        else "repair it"
    )
    return CifarcamError(f"chapter {path.stem}: notebooks/{path.name} {complaint}; {remedy}")


def _write(path: Path, content: str) -> None:
    with _files.writing_to(path.parent), _files.atomic_file(path) as temporary:
        temporary.write_text(content, encoding="utf-8")
