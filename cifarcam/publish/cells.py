"""What the code cells of a chapter hold: plain Python, and the parameters that the report sets."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from cifarcam.errors import CifarcamError, first_line, printable

# What papermill sets, right after the cell that is tagged `parameters`.
DATASET, RUN = "dataset_name", "run_name"
# What Python raises for a source that it cannot parse; the last two for one nested too deep.
NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)


def code_of(name: str, notebook: nbformat.NotebookNode) -> str:
    """A chapter's code as Python that can be parsed: IPython's own syntax stands as calls.

    Parameters
    ----------
    name
        The chapter's name, for the error.
    notebook
        The chapter.

    Raises
    ------
    CifarcamError
        When a cell is no Python.
    """
    return "\n".join(code for _, code in _code_cells(name, notebook))


def check_parameters(name: str, notebook: nbformat.NotebookNode) -> None:
    """Refuse a chapter that would set what the report sets, after the report has set it.

    Raises
    ------
    CifarcamError
        When no cell tagged `parameters` sets the dataset, or another cell sets dataset or run.
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
                "sets; set it once, in the cell that is tagged `parameters`"
            )
    if tagged is None or DATASET not in tagged:
        raise CifarcamError(
            f"chapter {name}: no cell tagged `parameters` sets {DATASET}, so that the report could "
            'not say which dataset to use; set it in such a cell, as in `dataset_name = "cifar10"`'
        )


def _code_cells(
    name: str, notebook: nbformat.NotebookNode
) -> Iterator[tuple[nbformat.NotebookNode, str]]:
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        magic, _, body = cell.source.lstrip().partition("\n")
        if magic.startswith("%%"):
            # Such as %%time over Python, or %%bash over what is not.
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
