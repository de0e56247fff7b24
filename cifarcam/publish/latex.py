"""The printed report: the pages of the book as a document of chapters and appendices.

Typography is in ``book/_latex/cifarcam.sty``.
"""

from __future__ import annotations

import re
import subprocess
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx_jupyterbook_latex.nodes import RootHeader

from cifarcam.publish.screens import BOX, FOLDED, containers

ADDRESS = re.compile(r"(https?://[^\s)]+)")
LONG_TABLE = 1400  # letters; a longer table may break over pages
LINE = 482  # points of a line of text
LETTER = 4.7  # points of a letter in a table, about 0.585 em
WORDS = 104  # points that a column of words needs beside others
SEPARATION = 9  # points between two columns
LONGEST = 70  # letters that a column of long texts counts for, so that it leaves room for others
INTERVAL = re.compile(r" (\[[^\]]+\])")
NO_BREAK = "\u00a0"
HERO = "fig-trust-hero"  # the figure that is on the title page too
BIBLIOGRAPHY = "bibliography"
APPENDICES = ("notebooks/literature", "notebooks/gallery", "glossary", "notebooks/provenance")
# Pages about the library, which the printed report leaves out.
LEFT_OUT = ("reference/", "notebooks/symptoms")
# Sections that the printed report leaves out by the label before them.
LEFT_OUT_SECTIONS = (
    "section-draw",
    "section-energy",
    "sec-claims-entries",
    "sec-provenance-runs",
    "sec-provenance-records",
    "sec-provenance-software",
)


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    for transform in (
        *(WithoutReference, PageNumbers, Typesetting, WithoutFoldedCode, MarginNotes, Questions),
        Arrangement,
    ):
        app.add_post_transform(transform)
    # After sphinx-jupyterbook-latex, whose document class needs a gigabyte of fonts.
    app.connect("config-inited", _use_the_plain_class, priority=900)


def _use_the_plain_class(app: Sphinx, config: Config) -> None:
    config["latex_theme"] = "manual"


class WithoutReference(SphinxPostTransform):
    """Leaves out the pages about the library, some sections, and tables that the pages fold."""

    default_priority = 1
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        """Change the document in place."""
        for page in list(self.document.findall(addnodes.start_of_file)):
            if page["docname"].startswith(LEFT_OUT):
                page.parent.remove(page)
        sections = [
            section
            for section in self.document.findall(nodes.section)
            if any(label in section["ids"] for label in LEFT_OUT_SECTIONS)
        ]
        for part in [*sections, *containers(self.document, FOLDED)]:
            part.parent.remove(part)
            self.document.setdefault("left_out", []).extend(
                identity for node in part.findall(nodes.Element) for identity in node["ids"]
            )


class PageNumbers(SphinxPostTransform):
    """Adds the page to a page's first reference to a chapter, figure or table of another page."""

    default_priority = 340
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        """Change the document in place."""
        done: set[int] = set()  # references of the pages that are nested in a page
        for page in reversed(list(self.document.findall(addnodes.start_of_file))):
            targets = {""}
            for reference in list(page.findall(addnodes.number_reference)):
                target = reference.get("refuri", "").removeprefix("%").replace("#", ":")
                is_done = id(reference) in done
                done.add(id(reference))
                if is_done or target in targets or target.startswith(f"{page['docname']}:"):
                    continue
                targets.add(target)
                place = reference.parent.index(reference)
                before = reference.parent[place - 1].astext() if place else ""
                number = rf"p.~\pageref{{\detokenize{{{target}}}}}"
                text = f", {number}" if before.endswith("(") else f" ({number})"
                reference.parent.insert(place + 1, _latex(text))


class Typesetting(SphinxPostTransform):
    """Shortens captions in the lists of figures and tables, and fits the columns of tables."""

    default_priority = 350
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        """Change the document in place."""
        for reference in list(self.document.findall(nodes.reference)):
            if reference.get("refuri", "").rpartition("#")[2] in self.document.get("left_out", []):
                reference.replace_self(reference.children)
        for figure in self.document.findall(nodes.figure):
            for caption in figure.findall(nodes.caption):
                _mark_rest(caption)
        for table in list(self.document.findall(nodes.table)):
            for title in table.findall(nodes.title):
                _mark_rest(title)
            _set_columns(table)
        for text in list(self.document.findall(nodes.Text)):
            if isinstance(text.parent, nodes.paragraph) and "://" in text:
                parts = ADDRESS.split(str(text))
                text.parent.replace(
                    text,
                    [
                        _latex(rf"\nolinkurl{{{part}}}") if index % 2 else nodes.Text(part)
                        for index, part in enumerate(parts)
                    ],
                )


class WithoutFoldedCode(SphinxPostTransform):
    """Leaves out code that the pages fold; what it shows, and open code, stay in place."""

    default_priority = 390  # before hidden cells are dropped
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        """Change the document in place."""
        for cell in containers(self.document, "cell"):
            kinds = ["cell_output"]
            if not any(name.startswith("tag_hide") for name in cell["classes"]):
                kinds.insert(0, "cell_input")
            parts = [
                node for kind in kinds for part in containers(cell, kind) for node in part.children
            ]
            cell.parent[cell.parent.index(cell) : cell.parent.index(cell) + 1] = parts


class MarginNotes(SphinxPostTransform):
    """Sets notes that stand in the pages' margin as footnotes of the paragraph after them."""

    default_priority = 395
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        """Change the document in place."""
        for note in list(self.document.findall(nodes.sidebar)):
            title, *paragraphs = note.children
            words = [node for paragraph in paragraphs for node in paragraph.children]
            later = note.parent.children[note.parent.index(note) + 1 :]
            paragraph = next(node for node in later if isinstance(node, nodes.paragraph))
            paragraph += [
                _latex(r"\footnote{\textit{"),
                *title.children,
                _latex("}: "),
                *words,
                _latex("}"),
            ]
            note.parent.remove(note)


class Questions(SphinxPostTransform):
    """Lists the questions that the pages fold. Their answers are on the pages alone."""

    default_priority = 395
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        """Change the document in place."""
        for section in self.document.findall(nodes.section):
            boxes = [
                box
                for box in section.children
                if isinstance(box, nodes.admonition)
                and "dropdown" in box["classes"]
                and BOX not in box["classes"]
            ]
            if not boxes:
                continue
            questions = [
                nodes.list_item("", nodes.paragraph("", "", *box[0].children)) for box in boxes
            ]
            place = section.index(boxes[0])
            for box in boxes:
                section.remove(box)
            section.insert(place, nodes.bullet_list("", *questions))


class Arrangement(SphinxPostTransform):
    """Puts the parts in order: title page, abstract, contents, chapters, bibliography, appendices."""

    default_priority = 760  # after the theme's and Sphinx's own moves
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        """Change the document in place."""
        document = self.document
        front = next(document.findall(nodes.section))
        subtitle = next(front.findall(nodes.paragraph))
        title = [_latex(r"\reporttitle{"), *subtitle.children, _latex("}{"), *self._picture()]
        front.replace(subtitle, [*title, _latex("}{"), nodes.Text(self._source()), _latex("}")])
        for heading in list(front.findall(RootHeader)):
            heading.replace_self(_latex(rf"\frontheading{{{heading.astext()}}}"))
        front += _latex(r"\reportcontents")
        closing = [n for n in document.findall(nodes.Admonition) if BOX in n["classes"]]
        pages = {page["docname"]: page for page in document.findall(addnodes.start_of_file)}
        appendices = [pages[name] for name in APPENDICES if name in pages]
        cited = [pages[BIBLIOGRAPHY]] if BIBLIOGRAPHY in pages else []
        for node in (*closing, *cited, *appendices):
            node.parent.remove(node)
        # Sphinx has already put the bibliography, with its own heading, at the end.
        document += [_latex(r"\reportappendix"), *appendices]

    def _picture(self) -> list[nodes.Node]:
        """The picture of the title page, a copy of `HERO`."""
        figures = [node for node in self.document.findall(nodes.figure) if HERO in node["ids"]]
        pictures = [next(figure.findall(nodes.image)).deepcopy() for figure in figures]
        for picture in pictures:
            picture["width"] = "78%"
        return pictures

    def _source(self) -> str:
        """Where the code is: the repository's address, if it is set, and the commit."""
        address = self.config.html_theme_options.get("repository_url", "")
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=self.env.srcdir,
            capture_output=True,
            text=True,
            check=False,
        )
        commit = f"commit {described.stdout.strip()}" if described.returncode == 0 else ""
        return ", ".join(part for part in (address, commit) if part)


def _mark_rest(caption: nodes.Element) -> None:
    r"""Wrap a caption after its bold first sentence in ``\captionrest``, which the lists leave out."""
    bold = next((child for child in caption.children if isinstance(child, nodes.strong)), None)
    if bold is not None:
        after = caption.index(bold) + 1
        rest = caption.children[after:]
        caption[after:] = [_latex(r"\captionrest{"), *rest, _latex("}")]


def _latex(text: str) -> nodes.raw:
    return nodes.raw("", text, format="latex")


def _set_columns(table: nodes.table) -> None:
    """Align numbers right and words left, and let a long table break over pages."""
    rows = [list(row.findall(nodes.entry)) for row in table.findall(nodes.row)]
    columns = list(zip(*rows, strict=True))
    is_number = [
        all(not entry.astext() or _is_number(entry) for entry in column[1:]) for column in columns
    ]
    longest = [
        max(len(word) for entry in column for word in entry.astext().split() or [""])
        for column in columns
    ]
    widths = _widths(columns, longest)
    wide = sum(
        SEPARATION + (LETTER * width if number else WORDS)
        for number, width in zip(is_number, widths, strict=True)
    )
    if wide > LINE:
        for text in list(table.findall(nodes.Text)):
            if INTERVAL.search(text):
                text.parent.replace(text, nodes.Text(INTERVAL.sub(_on_two_lines, text)))
        widths = _widths(columns, longest)
    if len(table.astext()) < LONG_TABLE:
        opening, closing = r"\begin{table}[htbp]", r"\end{table}"
        spec = "".join(
            rf">{{\raggedleft\arraybackslash}}p{{{0.585 * width:.2f}em}}" if number else "L"
            for number, width in zip(is_number, widths, strict=True)
        )
    else:
        opening, closing = r"\begingroup", r"\endgroup"
        table["classes"].append("longtable")
        shares = [
            5 + (width if number else max(word, min(LONGEST, _mean_length(column))))
            for number, width, word, column in zip(is_number, widths, longest, columns, strict=True)
        ]
        spec = "".join(
            rf">{{\{'raggedleft' if number else 'raggedright'}\arraybackslash}}"
            rf"\X{{{share}}}{{{sum(shares)}}}"
            for number, share in zip(is_number, shares, strict=True)
        )
    note = addnodes.tabular_col_spec()
    note["spec"] = f"{{{spec}}}"
    size = r"\widetable" if len(columns) > 5 else r"\narrowtable"
    place = table.parent.index(table)
    table.parent[place : place + 1] = [_latex(opening + size), note, table, _latex(closing)]


def _widths(columns: list[tuple[nodes.entry, ...]], longest: list[int]) -> list[int]:
    """Letters of the longest line by column: a line of a cell's own, or a word of the header."""
    return [
        max(word, *(len(line) for entry in column[1:] for line in _lines(entry.astext())))
        for column, word in zip(columns, longest, strict=True)
    ]


def _mean_length(column: tuple[nodes.entry, ...]) -> int:
    return sum(len(entry.astext()) for entry in column) // len(column)


def _on_two_lines(match: re.Match[str]) -> str:
    """An interval that may start a line and does not break within."""
    return " " + match[1].replace(" ", NO_BREAK)


def _lines(text: str) -> list[str]:
    """The narrowest lines that a cell's text may be set in."""
    return text.split(" ") if NO_BREAK in text else [text]


def _is_number(entry: nodes.entry) -> bool:
    return any("number" in node["classes"] for node in entry.findall(nodes.inline))
