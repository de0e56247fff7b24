"""The confusion matrix as a table that opens the gallery at the images of a cell."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from urllib.parse import urlencode

import numpy as np
from IPython.display import display

PAGE = "gallery.html"
SHADE = 40  # percent of the theme's colour where all images of a class are in one cell


def show(counts: np.ndarray, held: np.ndarray, class_names: Sequence[str]) -> None:
    """Display the table, folded. Paper, which opens nothing, does not show it.

    Parameters
    ----------
    counts, held, class_names
        See `table`.
    """
    page = table(counts, held, class_names)
    display({"text/markdown": f"```{{raw}} html\n{page}\n```", "text/html": page}, raw=True)


def table(counts: np.ndarray, held: np.ndarray, class_names: Sequence[str]) -> str:
    """The table in HTML. A number is a link where the gallery has images of its cell.

    Parameters
    ----------
    counts
        Test images by true and by predicted class, mean over seeds and rounded, C x C.
    held
        Images of the gallery by true and by predicted class of its first network, C x C.
    class_names
        C names.
    """
    names = [html.escape(name) for name in class_names]
    head = "".join(f'<th scope="col"><span>{name}</span></th>' for name in names)
    rows = "\n".join(
        f'<tr><th scope="row">{name}</th>'
        + "".join(
            _cell(counts[truth], int(held[truth, predicted]), truth, predicted, class_names)
            for predicted in range(len(names))
        )
        + "</tr>"
        for truth, name in enumerate(names)
    )
    return (
        '<details class="gallery-confusions"><summary>Open the images of a cell</summary>\n'
        f"<p>The gallery holds {held.sum():,} test images and shows first what one network, the "
        "baseline of seed 0, predicts for them. A framed number opens the images of its cell.</p>\n"
        '<div class="gallery-wide"><table class="gallery-matrix">\n'
        "<caption>Mean counts of test images over the seeds of the baseline. Rows are true classes, "
        "columns predicted classes.</caption>\n"
        f'<thead><tr><th scope="col">true class</th>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div></details>"
    )


def _cell(
    counts: np.ndarray, held: int, truth: int, predicted: int, class_names: Sequence[str]
) -> str:
    """A cell of the row `counts`; its shade is the root of its share, as in the figure."""
    count = int(counts[predicted])
    shade = SHADE * math.sqrt(count / max(int(counts.sum()), 1))
    look = f'class="gallery-cell" style="--share: {shade:.1f}%"'
    if not held:
        return f"<td><span {look}>{count}</span></td>"
    true_name, name = class_names[truth], class_names[predicted]
    address = f"{PAGE}#{urlencode({'class': true_name, 'predicted': name})}"
    images = f"{held} image{'s' if held > 1 else ''}"
    words = f"{count}, {true_name} predicted as {name}: open {images}"
    return (
        f'<td><a {look} href="{html.escape(address)}" title="Open {images}" '
        f'aria-label="{html.escape(words)}">{count}</a></td>'
    )
