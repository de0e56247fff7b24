"""The printed report, made from the sample and read again."""

import re
import shutil

import nbformat
import pypdf
import pytest
from helpers import run

from cifarcam.publish.latex import LEFT_OUT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("latexmk") is None, reason="needs LaTeX, see apt.txt"),
]
CHAPTERS = [
    "The question",
    "The original and its claims",
    "The images",
    "The network and how it was trained",
    "Does it reproduce?",
    "How Grad-CAM works",
    "What it looks at",
    "Can the heatmaps be trusted?",
    "Better networks",
    "What we learnt",
]
APPENDICES = [
    "Four networks",
    "Gallery",
    "Glossary",
    "What the numbers rest on",
]
# Pages that are sections of a chapter.
NESTED = [
    "Whose mistake is it?",
    "What each ingredient buys",
    "Other pictures",
    "The claims and their verdicts",
]


@pytest.fixture(scope="module")
def printed(built):
    """The document, and LaTeX's log."""
    project = built[0]
    run(project, "jupyter-book", "build", "book", "--builder", "pdflatex", "-W")
    latex = project / "book" / "_build" / "latex"
    return pypdf.PdfReader(latex / "cifarcam.pdf"), (latex / "cifarcam.log").read_text("latin-1")


@pytest.fixture(scope="module")
def text(printed):
    """The document's text, a string a page, as one line each."""
    return [re.sub(r"\s+", " ", page.extract_text()) for page in printed[0].pages]


def letters(words):
    """Only letters and digits: line breaks, hyphens and ligatures fall out."""
    return re.sub(r"[^A-Za-z0-9]", "", words.replace("ﬁ", "fi").replace("ﬂ", "fl"))


def outline(entries, depth=0):
    for entry in entries:
        if isinstance(entry, list):
            yield from outline(entry, depth + 1)
        else:
            yield depth, str(entry.title)


def test_chapters_are_in_order_between_contents_and_appendices(printed, text):
    titles = [title for depth, title in outline(printed[0].outline) if depth == 0]
    expected = ["Figures and tables", *CHAPTERS, "Bibliography", *APPENDICES]
    assert [re.sub(r"^(\d+|[A-Z]) ", "", title) for title in titles] == expected
    sections = [title for depth, title in outline(printed[0].outline) if depth == 1]
    assert set(NESTED) <= {re.sub(r"^[\d.]+ ", "", title) for title in sections}
    assert "What a convolutional network looks at" in text[0]
    assert "Abstract" in text[1]
    assert "Contents" in text[1]


def test_document_is_short(printed):
    assert len(printed[0].pages) <= 75


def test_questions_are_printed_without_their_answers(built, text):
    whole = letters("".join(text))
    page = (built[0] / "book" / "conclusion.md").read_text()
    boxes = re.findall(r"\{admonition\} (.*)\n:class: dropdown\n(.*)\n", page)
    assert len(boxes) == 3
    for question, answer in boxes:
        assert letters(question) in whole
        assert letters(answer)[:60] not in whole


def test_folded_tables_and_left_out_sections_are_on_the_pages_alone(built, text):
    whole = letters("".join(text))
    folded = 0
    for path in (built[0] / "book" / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if "folded" in cell.metadata.get("tags", []) and cell.outputs:
                caption = re.search(r"\*\*(.*?)\*\*", cell.outputs[0]["data"]["text/markdown"])[1]
                assert letters(caption) not in whole
                folded += 1
    assert folded > 5
    assert "Onebyone" not in whole


def test_references_to_other_chapters_name_the_page(printed, text):
    reader = printed[0]
    entries = [entry for entry in reader.outline if not isinstance(entry, list)]
    places = {
        re.sub(r"^(\d+|[A-Z]) ", "", str(entry.title)): reader.get_destination_page_number(entry)
        for entry in entries
    }
    first = places[CHAPTERS[0]]
    named = re.findall(r"Chapter (\d+)(?: \(|, )p\. (\d+)", " ".join(text))
    assert len(named) > 10
    for chapter, page in named:
        assert int(page) == places[CHAPTERS[int(chapter) - 1]] - first + 1


def test_figures_and_captions_are_complete(built, printed, text):
    pages = [letters(words) for words in text]
    lists = next(n for n, words in enumerate(text) if "1 The question" in words[:40])
    captions = []
    for path in (built[0] / "book" / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            figure = cell.metadata.get("mystnb", {}).get("figure")
            if figure and cell.outputs:
                captions.append(re.sub(r"\{[\w:]+\}`[^`]*`|\$[^$]*\$", "", figure["caption"]))
    assert len(captions) > 25
    for caption in captions:
        (place,) = (
            n for n, page in enumerate(pages) if n >= lists and letters(caption)[:40] in page
        )
        # Figures are PDF files of their own, which a page includes as objects.
        assert printed[0].pages[place]["/Resources"].get("/XObject"), caption
        # The list of figures names it as well, by its bold first sentence.
        sentence = letters(re.match(r"\*\*(.*?)\*\*", caption)[1])[:40]
        assert any(sentence in page for page in pages[:lists]), caption
    tables = set(re.findall(r"Table ((?:\d+|C)\.\d+)\. ", " ".join(text)))
    assert len(tables) > 20


def test_document_has_nothing_unresolved_missing_or_too_wide(printed, text):
    log = re.sub(r"\n(?=\S)", "", printed[1])
    for complaint in ("Missing character", "undefined", "multiply defined", "LaTeX Error"):
        assert complaint not in log, complaint
    over = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", printed[1])]
    assert max(over, default=0) < 1
    for number, words in enumerate(text):
        assert "??" not in words, number
        assert "{glue" not in words, number


def code_of(built, isfolded):
    """Long lines of code, without texts, of cells that the pages fold or show."""
    for path in (built[0] / "book" / "notebooks").glob("*.ipynb"):
        if f"notebooks/{path.stem}" in LEFT_OUT:
            continue
        for cell in nbformat.read(path, as_version=4).cells:
            tags = set(cell.metadata.get("tags", []))
            if cell.cell_type != "code" or "remove-cell" in tags:
                continue
            if bool({"hide-input", "hide-cell"} & tags) == isfolded:
                lines = map(str.strip, cell.source.splitlines())
                yield from (
                    line for line in lines if len(line) > 30 and not re.search("[\"']", line)
                )


def test_only_open_code_is_printed(built, text):
    whole = letters("".join(text))
    opened, folded = set(code_of(built, False)), set(code_of(built, True))
    assert len(opened) > 10
    assert len(folded) > 100
    for line in opened:
        assert letters(line) in whole, line
    for line in folded - opened:
        assert letters(line) not in whole, line


def test_fonts_are_embedded(printed):
    seen = set()
    for page in printed[0].pages:
        fonts = [page["/Resources"].get("/Font", {})]
        for thing in page["/Resources"].get("/XObject", {}).values():
            fonts.append(thing.get_object().get("/Resources", {}).get("/Font", {}))
        for font in (entry.get_object() for group in fonts for entry in group.values()):
            inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
            if inner["/Subtype"] == "/Type3":
                continue
            descriptor = inner["/FontDescriptor"].get_object()
            assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor), font
            seen.add(str(descriptor["/FontName"]))
    assert any("Pagella" in name for name in seen)
    assert any("DejaVuSans" in name for name in seen)
