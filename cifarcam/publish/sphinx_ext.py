"""Sphinx extension: ``jupyter-book build book`` executes stale chapters and writes the reference.

It also writes the files that executed chapters hold, of the gallery, of the live network and of the
claims, offers notebooks for download as they were before execution, and links the PDF if there is one. It has no
configuration; ``cifarcam report`` stores the parameters of the chapters.
"""

from __future__ import annotations

import base64
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from myst_nb.sphinx_ext import OUTPUT_FOLDER
from sphinx.application import ENV_PICKLE_FILENAME, Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from cifarcam import _store
from cifarcam.errors import CifarcamError
from cifarcam.publish import board, chapters, execution, latex, reference, screens

logger = logging.getLogger(__name__)

# Jupyter Book sets its own repository if a book names none.
DEFAULT_REPOSITORY = "https://github.com/executablebooks/jupyter-book"
GLUED_FROM = re.compile(r"\{glue:?\w*\}`([^`:]+)\.ipynb::")
SAMPLE_NOTICE = (
    "Built from the committed sample of 2,000 images, not from the whole of CIFAR-10: "
    "the numbers on this page are not the report's."
)
ROLES = {
    # MyST-NB labels folded code with other words than those that are seen.
    ' aria-label="Toggle hidden content"': "",
    # The items of the bibliography's list.
    'role="doc-biblioentry"': 'role="listitem"',
}
UNFINISHED = "unfinished-"
# Where the files in an executed chapter's outputs are written, under the folder of the pages.
FOLDERS = {
    "notebooks/gallery": "_static/gallery",
    "notebooks/heatmaps": "_static/live/data",
    "notebooks/claims": ".",
}
# The scripts of the live network in book/_static/live, in the order in which they are loaded.
LIVE_SCRIPTS = (
    *("kernel", "methods", "data/pictures", "engine", "dom", "picture", "adjust", "maps", "brush"),
    *("stage", "tools", "answers", "own", "chooser", "save", "panels", "words", "inside", "orders"),
    *("questions", "live"),
)
# Styles and scripts, by what marks the pages that need them. They lie in book/_static, except for
# the data, which chapters hold.
EQUIPMENT = {
    '<details class="admonition hide ': ("code.js",),
    '<details class="gallery-confusions">': ("gallery.css",),
    'id="gallery-app"': ("gallery.css", "gallery/data.js", "gallery.js"),
    'class="live-app"': (
        *("live/live.css", "live/panels.css"),
        *(f"live/{name}.js" for name in LIVE_SCRIPTS),
    ),
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    # Before sphinx-external-toc, whose table of contents names the executed chapters.
    app.connect("config-inited", _execute_chapters, priority=1)
    app.connect("config-inited", _begin_pages)
    app.connect("config-inited", _adapt_theme, priority=2)
    app.connect("config-inited", _keep_equipment_apart, priority=2)
    app.connect("config-inited", _leave_out_thebe)
    app.connect("config-inited", _add_pdf)
    app.connect("builder-inited", _unpack_files)
    app.connect("html-page-context", _show_claims)
    app.connect("html-page-context", _equip_page)
    app.connect("html-page-context", _mend_body)
    app.connect("html-page-context", _name_toggles, priority=900)  # after the theme's functions
    app.connect("doctree-resolved", _typeset_minus)
    app.connect("env-get-outdated", _pages_that_glue)
    app.connect("build-finished", _offer_unexecuted)
    app.connect("build-finished", _leave_out_source_maps)
    app.connect("build-finished", _end_pages, priority=900)
    latex.setup(app)
    screens.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _execute_chapters(app: Sphinx, config: Config) -> None:
    try:
        project = chapters.find_project(Path(app.srcdir))
        if Path(app.srcdir).resolve() != project / "book":
            raise CifarcamError(
                f"{app.srcdir} is not the book; run `jupyter-book build book` in {project}"
            )
        execution.execute_stale(project, chapters.read_parameters(project), say=logger.info)
        reference.write_pages(project)
    except CifarcamError as error:
        # Jupyter Book would print its own traceback for an exception.
        sys.exit(f"Error: {error}")


def _begin_pages(app: Sphinx, config: Config) -> None:
    """Clear what an interrupted build left, and mark this build as begun.

    Sphinx regards a page as finished once its file exists, and copies pictures, which come last,
    only for pages that it writes. MyST-NB does not write a picture whose file exists, even if only
    half of it was written.
    """
    mark = _unfinished(app)
    mark.parent.mkdir(parents=True, exist_ok=True)
    # Pages and LaTeX share the read documents, which a build of either may have left unfinished.
    if any(mark.parent.glob(f"{UNFINISHED}*")):
        logger.info("the last build was interrupted: all pages are written anew")
        (mark.parent / ENV_PICKLE_FILENAME).unlink(missing_ok=True)
        shutil.rmtree(Path(app.outdir).parent / OUTPUT_FOLDER, ignore_errors=True)
    mark.touch()


def _end_pages(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        _unfinished(app).unlink(missing_ok=True)


def _unfinished(app: Sphinx) -> Path:
    """The mark of an unfinished build, one for each kind of output."""
    return Path(app.doctreedir) / f"{UNFINISHED}{Path(app.outdir).name}"


def _adapt_theme(app: Sphinx, config: Config) -> None:
    """Remove launch buttons if no repository is set, and announce that pages show the sample."""
    options = config.html_theme_options
    options["collapse_navbar"] = True  # else all reference pages are in every page's sidebar
    if options.get("repository_url", DEFAULT_REPOSITORY) in ("", DEFAULT_REPOSITORY):
        options.pop("launch_buttons", None)
        for button in ("use_repository_button", "use_issues_button", "use_edit_page_button"):
            options[button] = False
        options.pop("repository_url", None)
    project = chapters.find_project(Path(app.srcdir))
    if chapters.read_parameters(project).dataset == "sample":
        options["announcement"] = SAMPLE_NOTICE


def _keep_equipment_apart(app: Sphinx, config: Config) -> None:
    """Keep the `EQUIPMENT` of some pages, which Jupyter Book adds to all pages, off the others."""
    special = {asset for assets in EQUIPMENT.values() for asset in assets}
    for assets in (config.html_css_files, config.html_js_files):
        assets[:] = [asset for asset in assets if asset not in special]


def _leave_out_thebe(app: Sphinx, config: Config) -> None:
    """Remove Thebe, which runs code cells on a server: these pages do not use it."""
    for listeners in app.events.listeners.values():
        listeners[:] = [item for item in listeners if item.handler.__module__ != "sphinx_thebe"]
    styles = app.registry.css_files
    styles[:] = [style for style in styles if style[0] != "sphinx-thebe.css"]


def _add_pdf(app: Sphinx, config: Config) -> None:
    """Copy the PDF that ``make pdf`` wrote beside the pages; the first page links it."""
    pdf = chapters.find_project(Path(app.srcdir)) / "cifarcam.pdf"
    if pdf.is_file():
        config.html_extra_path.append(str(pdf))
        app.tags.add("with_pdf")


def _unpack_files(app: Sphinx) -> None:
    """Write the files in executed chapters to their `FOLDERS`."""
    if app.builder.format != "html":
        return
    for chapter, folder in FOLDERS.items():
        target = Path(app.outdir) / folder
        if target != Path(app.outdir):
            shutil.rmtree(target, ignore_errors=True)
        copy = Path(app.srcdir) / f"{chapter}.ipynb"
        if not copy.is_file():
            continue
        target.mkdir(parents=True, exist_ok=True)
        for cell in nbformat.read(copy, as_version=4).cells:
            for output in cell.get("outputs", []):
                for name, content in output.get("metadata", {}).get(_store.FILES, {}).items():
                    (target / Path(name).name).write_bytes(base64.b64decode(content))


def _show_claims(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put the claims with their verdicts where a page has the mark of `board`."""
    claims = Path(app.outdir) / "claims.json"
    if board.MARK in context.get("body", "") and claims.is_file():
        context["body"] = context["body"].replace(board.MARK, board.board(claims))


def _equip_page(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Load the `EQUIPMENT` that a page needs, on this page only."""
    for mark, assets in EQUIPMENT.items():
        if mark not in context.get("body", ""):
            continue
        for asset in assets:
            if asset.endswith(".css"):
                app.add_css_file(asset)
            else:
                app.add_js_file(asset, loading_method="defer")


def _mend_body(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Correct labels for screen readers."""
    for wrong, right in ROLES.items():
        context["body"] = context.get("body", "").replace(wrong, right)


def _name_toggles(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Name the arrows that open a part of the sidebar, which the theme leaves without a text."""
    generate = context.get("generate_toctree_html")
    if generate is None:
        return

    def named(*args: Any, **kwargs: Any) -> str:
        contents = str(generate(*args, **kwargs))
        return contents.replace("<summary>", '<summary aria-label="Show or hide these pages">')

    context["generate_toctree_html"] = named


def _typeset_minus(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Write a minus instead of Python's hyphen in numbers from the chapters."""
    for number in doctree.findall(nodes.inline):
        if "pasted-text" in number["classes"] and number.astext().startswith("-"):
            number[:] = [nodes.Text("−" + number.astext()[1:])]


def _pages_that_glue(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Pages that show a value of a changed chapter, which Sphinx does not track."""
    fresh = added | changed
    return [
        page
        for page in env.found_docs - fresh
        if {_resolve(page, name) for name in _glued_from(Path(env.doc2path(page)))} & fresh
    ]


def _leave_out_source_maps(app: Sphinx, error: Exception | None) -> None:
    """Leave out the theme's source maps, a sixth of the site, which only its authors need."""
    for path in (Path(app.outdir) / "_static").rglob("*.map"):
        path.unlink()


def _offer_unexecuted(app: Sphinx, error: Exception | None) -> None:
    """Offer notebooks for download without outputs, which makes them ten times smaller."""
    folder = Path(app.outdir) / "_sources" / "notebooks"
    if error is None and folder.is_dir():
        project = chapters.find_project(Path(app.srcdir))
        for copy in folder.glob("*.ipynb"):
            original = project / "notebooks" / copy.name
            if original.is_file():
                shutil.copy(original, copy)
            else:  # the chapter no longer exists
                copy.unlink()


def _glued_from(path: Path) -> set[str]:
    return set(GLUED_FROM.findall(path.read_text()))


def _resolve(page: str, name: str) -> str:
    """The document name for a path in a page."""
    parts = page.split("/")[:-1]
    for part in name.split("/"):
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
