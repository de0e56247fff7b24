"""What only the printed report shows. For text Sphinx has the directive `only`."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

PRINT_ONLY = "tag_print-only"  # class of a code cell with the tag `print-only`


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.add_post_transform(WithoutPrintOnly)


class WithoutPrintOnly(SphinxPostTransform):
    """Leaves cells with the tag `print-only` out of the HTML pages, with what they show."""

    default_priority = 1
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Change the document in place."""
        for cell in list(self.document.findall(nodes.container)):
            if PRINT_ONLY in cell["classes"]:
                cell.parent.remove(cell)
