"""Lets ``jupyter-book build book`` execute stale chapters first, and keeps pages honest.

Configuration (``book/_config.yml``, ``sphinx: config:``): none. The chapters' parameters are those
that ``cifarcam report`` chose last.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging

from cifarcam import chapters, latex
from cifarcam.errors import CifarcamError

logger = logging.getLogger(__name__)

# Jupyter Book fills in its own repository where a book names none.
DEFAULT_REPOSITORY = "https://github.com/executablebooks/jupyter-book"
GLUED_FROM = re.compile(r"\{glue:?\w*\}`([^`:]+)\.ipynb::")
SAMPLE_NOTICE = (
    "Built from the committed sample of 2,000 images, not from the whole of CIFAR-10: "
    "the numbers on this page are not the report's."
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    # Before sphinx-external-toc, whose table of contents names the executed chapters.
    app.connect("config-inited", _execute_chapters, priority=1)
    app.connect("config-inited", _adapt_theme, priority=2)
    app.connect("env-get-outdated", _pages_that_glue)
    latex.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _execute_chapters(app: Sphinx, config: Config) -> None:
    try:
        project = chapters.find_project(Path(app.srcdir))
        chapters.execute_stale(project, chapters.read_parameters(project), say=logger.info)
    except CifarcamError as error:
        raise ExtensionError(str(error)) from None


def _adapt_theme(app: Sphinx, config: Config) -> None:
    """No launch buttons while the repository's address is not set; a notice on a sample's pages."""
    options = config.html_theme_options
    if options.get("repository_url", DEFAULT_REPOSITORY) in ("", DEFAULT_REPOSITORY):
        options.pop("launch_buttons", None)
        for button in ("use_repository_button", "use_issues_button", "use_edit_page_button"):
            options[button] = False
        options.pop("repository_url", None)
    project = chapters.find_project(Path(app.srcdir))
    if chapters.read_parameters(project).dataset == "sample":
        options["announcement"] = SAMPLE_NOTICE


def _pages_that_glue(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Pages that show a value of a changed chapter: Sphinx does not know that they do."""
    fresh = added | changed
    return [
        page
        for page in env.found_docs - fresh
        if {_resolve(page, name) for name in _glued_from(Path(env.doc2path(page)))} & fresh
    ]


def _glued_from(path: Path) -> set[str]:
    return set(GLUED_FROM.findall(path.read_text()))


def _resolve(page: str, name: str) -> str:
    """A document's name from the path by which a page refers to it."""
    parts = page.split("/")[:-1]
    for part in name.split("/"):
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
