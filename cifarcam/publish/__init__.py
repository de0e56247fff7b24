"""Building the pages: stale chapters, notebook pairs, Sphinx extension, reference, LaTeX, Colab."""

from cifarcam.errors import require

require(
    "report",
    *("filelock", "griffe", "IPython", "jupyter_client", "jupytext", "myst_nb", "nbclient"),
    *("nbformat", "papermill", "psutil", "pydantic", "sphinx", "sphinx_jupyterbook_latex"),
)

__all__ = ["chapters", "colab", "execution", "pairs", "reference", "staleness"]
