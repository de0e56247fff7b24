"""The code cells of a chapter as plain Python, and the parameters that the report sets."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from cifarcam.errors import CifarcamError, first_line, printable

# The variables that papermill sets, right after the cell with the tag `parameters`.
DATASET, RUN = "dataset_name", "run_name"
# Python's errors for a source that it cannot parse; the last two for code nested too deep.
NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)


def code_of(name: str, notebook: nbformat.NotebookNode) -> str:
    """The code of a chapter as plain Python, in which IPython's own syntax is replaced by calls.

    Parameters
    ----------
    name
        The chapter's name, for the error.
    notebook
        The chapter.

    Raises
    ------
    CifarcamError
        When a cell is not Python.
    """
    return "\n".join(code for _, code in _code_cells(name, notebook))


def check_parameters(name: str, notebook: nbformat.NotebookNode) -> None:
    """Check that a chapter sets the report's parameters in its cell tagged `parameters` alone.

    Raises
    ------
    CifarcamError
        When no cell tagged `parameters` sets the dataset, or another cell sets the dataset or run.
    """
    tagged = None
    for cell, code in _code_cells(name, notebook):
        stored = {
            node.id
            for node in ast.walk(ast.parse(code))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        if tagged is None and "parameters" in cell.metadata.get("tags", []):
            tagged = stored
            continue
        for parameter in sorted({DATASET, RUN} & stored):
            raise CifarcamError(
                f"chapter {name}: the cell `{_begin(cell)}` sets {parameter}, which the report "
                "sets; set it once, in the cell tagged `parameters`"
            )
    if tagged is None or DATASET not in tagged:
        raise CifarcamError(
            f"chapter {name}: no cell tagged `parameters` sets {DATASET}; add such a cell with "
            '`dataset_name = "cifar10"`, which the report can change'
        )


def _code_cells(
    name: str, notebook: nbformat.NotebookNode
) -> Iterator[tuple[nbformat.NotebookNode, str]]:
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        magic, _, body = cell.source.lstrip().partition("\n")
        if magic.startswith("%%"):
            # A cell magic: %%time is followed by Python, %%bash is not.
            try:
                yield cell, _as_python(body)
            except NOT_PYTHON:
                continue
        else:
            try:
                yield cell, _as_python(cell.source)
            except NOT_PYTHON as error:
                line = getattr(error, "lineno", None)
                place = "" if line is None else f" in line {line}"
                raise CifarcamError(
                    f"chapter {name}: cell {index} (`{_begin(cell)}` …) is not Python: "
                    f"{getattr(error, 'msg', first_line(error))}{place}"
                ) from error


def _as_python(source: str) -> str:
    code = TransformerManager().transform_cell(source)
    ast.parse(code)
    return code


def _begin(cell: nbformat.NotebookNode) -> str:
    return printable(cell.source.strip().split("\n")[0])
