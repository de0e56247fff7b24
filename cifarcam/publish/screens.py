"""What the pages show otherwise than paper does.

Figures have dark colours, sizes and sources, tables are CSV files too, some of them folded, and cells for
print are left out.
"""

from __future__ import annotations

import csv
import html
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# A light colour becomes dark and a dark one light; the hue stays. In CSS, because every browser
# knows this colour space.
INVERTED = "oklch(from {colour} calc(1.14 - 0.82 * l) c h)"
GROUND = "#ffffff"  # of figures and axes in Matplotlib's files; in the dark the page shows through
COLOUR = re.compile(r"(fill|stroke): (#[0-9a-f]{6})")
SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt"')
DARK = "dark"  # the fragment of a figure's address that makes it dark
PIXELS = 96 / 72  # of CSS in a point
NARROW = 384  # pixels; figures below this width do not fill the column
FIGURE = re.compile(r'(<figure[^>]*>\s*)(<img [^>]*src="([^"]+\.svg)"[^>]*>)')
TABLES = "_static/tables"
# Classes of cells with these tags: a table that repeats a figure's numbers, and what only paper shows.
FOLDED = "tag_folded"
PRINT_ONLY = "tag_print-only"
OPENING = '<details class="folded-table"><summary>The numbers as a table</summary>'
BOX = "computed-from"  # class of the box that lists what a page was computed from


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.add_post_transform(WithoutPrintOnly)
    app.connect("doctree-resolved", _add_sources)
    app.connect("html-page-context", _adapt_figures)
    app.connect("build-finished", _darken_figures)


class WithoutPrintOnly(SphinxPostTransform):
    """Leaves cells with the tag `print-only` out of the HTML pages, with what they show."""

    default_priority = 1
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Change the document in place."""
        for cell in containers(self.document, PRINT_ONLY):
            cell.parent.remove(cell)


def containers(parent: nodes.Element, kind: str) -> list[nodes.container]:
    """The containers of this class."""
    return [node for node in parent.findall(nodes.container) if kind in node["classes"]]


def darkened(svg: str) -> str:
    """A figure of Matplotlib's with a second set of colours, for the fragment ``#dark``.

    Pictures and the cells of matrices keep their colours, and so do the numbers in these cells.
    """
    if f'id="{DARK}"' in svg:
        return svg
    is_matrix = 'id="QuadMesh' in svg
    rules = ["{fill: #e8e8e8}"]
    for name, colour in sorted(set(COLOUR.findall(svg))):
        inverted = INVERTED.format(colour=colour)
        if colour == GROUND:
            inverted = "none" if name == "fill" else "#121212"
        elements = "path" if is_matrix and name == "fill" else ""
        outside = ":not([id^=QuadMesh] *)" if is_matrix else ""
        selector = f'{elements}[style*="{name}: {colour}"]{outside}'
        rules.append(f" {selector} {{{name}: {inverted} !important}}")
    style = "".join(f"#{DARK}:target{rule}\n" for rule in rules)
    head, tail = svg.split("<svg ", 1)
    return head + f'<svg id="{DARK}" ' + tail.replace("</style>", f"\n{style}</style>", 1)


def _darken_figures(app: Sphinx, error: Exception | None) -> None:
    """Add the dark colours to the figures beside the pages."""
    if error is None and app.builder.format == "html":
        for path in (Path(app.outdir) / app.builder.imagedir).glob("*.svg"):
            before = path.read_text()
            after = darkened(before)
            if after != before:
                path.write_text(after)


def _adapt_figures(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Show each figure in the colours of the theme, as wide as the column, and link it to its file.

    On a phone a figure whose type would be too small moves sideways under its caption.
    """
    sources = {name: Path(app.srcdir) / path for path, name in app.builder.images.items()}

    def shown(match: re.Match[str]) -> str:
        opening, picture, address = match.groups()
        with sources[Path(address).name].open() as file:
            size = SIZE.search(file.read(2000))
        if size is None:
            return match[0]
        width, height = (round(float(length) * PIXELS) for length in size.groups())
        kind = "figure-narrow" if width < NARROW else "figure-wide"
        sized = f'width="{width}" height="{height}" style="--natural: {width}px"'
        light = picture.replace("<img ", f'<img class="only-light" {sized} ', 1)
        dark = picture.replace("<img ", f'<img class="only-dark" loading="lazy" {sized} ', 1)
        dark = dark.replace(address, f"{address}#{DARK}")
        return (
            f'{opening}<a class="{kind}" href="{address}" title="Open the figure alone">'
            f"{light}{dark}</a>"
        )

    if "body" in context:
        context["body"] = FIGURE.sub(shown, context["body"])


def _add_sources(app: Sphinx, document: nodes.document, page: str) -> None:
    """Under each figure and table of a chapter: its code, its data, and a table's CSV file."""
    if app.builder.format != "html":
        return
    box = next((n for n in document.findall(nodes.Admonition) if BOX in n["classes"]), None)
    if box is None:
        return
    box["ids"].append(BOX)
    digest = next(box.findall(nodes.literal)).astext()
    data = f'<a href="#{BOX}">Data <code>{html.escape(digest[:8])}</code></a>'
    for cell in containers(document, "cell"):
        is_folded = FOLDED in cell["classes"]
        for shown in [*cell.findall(nodes.figure), *cell.findall(nodes.table)]:
            if not shown["ids"]:
                continue
            links = [_code_link(cell, shown), _csv_link(app, page, shown), data]
            line = f'<p class="figure-source">{" ".join(filter(None, links))}</p>'
            place = shown.parent.index(shown)
            shown.parent[place : place + 1] = [
                *([_html(OPENING)] if is_folded else []),
                shown,
                _html(line + ("</details>" if is_folded else "")),
            ]


def _code_link(cell: nodes.container, shown: nodes.Element) -> str:
    """A link to the cell's code, where the page has it."""
    if not containers(cell, "cell_input"):
        return ""
    identity = f"code-{shown['ids'][0]}"
    cell["ids"].append(identity)
    return f'<a class="code-link" href="#{identity}">Code</a>'


def _csv_link(app: Sphinx, page: str, shown: nodes.Element) -> str:
    """A link to a table's CSV file, which this writes."""
    if not isinstance(shown, nodes.table):
        return ""
    name = f"{TABLES}/{shown['ids'][0]}.csv"
    _write_csv(shown, Path(app.outdir) / name)
    return f'<a href="{"../" * page.count("/")}{name}" download>CSV</a>'


def _html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def _write_csv(table: nodes.table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [" ".join(entry.astext().split()) for entry in row.findall(nodes.entry)]
            for row in table.findall(nodes.row)
        )
