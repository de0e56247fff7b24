"""Figures and tables on the pages: dark colours, sizes, sources, and tables as CSV files."""

from __future__ import annotations

import csv
import html
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

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
FOLDED = "tag_folded"  # class of a cell with this tag: a table that repeats a figure's numbers
OPENING = '<details class="folded-table"><summary>The numbers as a table</summary>'
BOX = "computed-from"  # class of the box that lists what a page was computed from


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.connect("doctree-resolved", _add_sources)
    app.connect("html-page-context", _adapt_figures)
    app.connect("build-finished", _darken_figures)


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
        size = SIZE.search(sources[Path(address).name].read_text()[:2000])
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
    up = "../" * page.count("/")
    for cell in document.findall(nodes.container):
        if "cell" not in cell["classes"]:
            continue
        for shown in [*cell.findall(nodes.figure), *cell.findall(nodes.table)]:
            if not shown["ids"]:
                continue
            parts = [data]
            place = shown.parent.index(shown)
            is_folded = FOLDED in cell["classes"]
            if isinstance(shown, nodes.table):
                name = f"{TABLES}/{shown['ids'][0]}.csv"
                _write_csv(shown, Path(app.outdir) / name)
                parts.insert(0, f'<a href="{up}{name}" download>CSV</a>')
            if any("cell_input" in part["classes"] for part in cell.findall(nodes.container)):
                identity = f"code-{shown['ids'][0]}"
                cell["ids"].append(identity)
                parts.insert(0, f'<a class="code-link" href="#{identity}">Code</a>')
            line = f'<p class="figure-source">{" ".join(parts)}</p>'
            shown.parent[place : place + 1] = [
                *([_html(OPENING)] if is_folded else []),
                shown,
                _html(line + ("</details>" if is_folded else "")),
            ]


def _html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def _write_csv(table: nodes.table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [" ".join(entry.astext().split()) for entry in row.findall(nodes.entry)]
            for row in table.findall(nodes.row)
        )
