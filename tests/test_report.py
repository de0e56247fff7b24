"""What chapters show: glued values, tables in Markdown and in HTML, machine, provenance."""

import importlib.metadata
import re
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.core import publish_doctree
from myst_parser.parsers.docutils_ import Parser

from cifarcam import _store, report
from cifarcam.errors import CifarcamError
from cifarcam.report import page, provenance
from cifarcam.studies.claims import Finding, Verdict
from cifarcam.studies.inference import Effect

ROWS = [
    ["plain | pipe", 0.5, "–"],
    ["1 < 2 & 3 > 2", "-12", ""],
    ["two\nlines", "1,234 ± 5", "`a|b`"],
    ["*star* and [brackets]", "[0.1, 0.2]", "&amp; <x"],
    ["", 7, "Grad-CAM"],
]
HEADER = ["Name & kind", "Number", "Text"]


@pytest.fixture
def displayed(monkeypatch):
    """What `display` is called with: data by MIME type, and metadata."""
    calls = []

    def display(data, raw, metadata=None):
        assert raw
        calls.append((data, metadata))

    monkeypatch.setattr(page, "display", display)
    monkeypatch.setattr(provenance, "display", display)
    return calls


def parsed(markdown):
    extensions = ["attrs_inline", "colon_fence"]
    settings = {"myst_enable_extensions": extensions, "halt_level": 2, "report_level": 2}
    return publish_doctree(markdown, parser=Parser(), settings_overrides=settings)


def cells(table):
    """The rows of a document's table as nodes."""
    return [
        [entry for entry in row.children if isinstance(entry, nodes.entry)]
        for row in table.findall(nodes.row)
    ]


def test_table_in_markdown_has_the_cells_in_their_order(displayed):
    report.table(ROWS, header=HEADER, caption="A caption & more", name="tab-test")
    (data, _), = displayed  # fmt: skip
    document = parsed(data["text/markdown"])
    (table,) = document.findall(nodes.table)
    assert "tab-test" in table["names"]
    assert next(table.findall(nodes.title)).astext() == "A caption & more"
    assert len(next(iter(table.findall(nodes.thead))).children) == 1
    texts = [[entry.astext() for entry in row] for row in cells(table)]
    assert texts == [
        HEADER,
        ["plain | pipe", "0.5", "–"],
        ["1 < 2 & 3 > 2", "-12", ""],
        ["two\nlines", "1,234 ± 5", "a|b"],
        ["star and [brackets]", "[0.1, 0.2]", "& <x"],
        ["", "7", "Grad-CAM"],
    ]
    (literal,) = table.findall(nodes.literal)
    assert literal.astext() == "a|b"


def test_table_shows_a_cell_that_begins_with_a_percent_sign(displayed):
    report.table([["10.0", "% of the mistakes"]], header=["Effect", "Unit"], caption="c", name="n")
    ((data, _),) = displayed
    cells = [entry.astext() for entry in parsed(data["text/markdown"]).findall(nodes.entry)]
    assert cells == ["Effect", "Unit", "10.0", "% of the mistakes"]


def test_table_marks_the_cells_of_columns_without_letters_as_numbers(displayed):
    report.table([["a", 1, "2"], ["b", "3 ± 1", "x"]], header=HEADER, caption="c", name="n")
    document = parsed(displayed[0][0]["text/markdown"])
    classes = [
        [any("number" in node["classes"] for node in entry.findall(nodes.inline)) for entry in row]
        for row in cells(document)
    ]
    assert classes == [[False, True, False]] * 3


def test_table_in_html_shows_its_cells_as_they_are(displayed):
    report.table(ROWS, header=HEADER, caption="**B.** <A> & more", name="tab-test")
    table = BeautifulSoup(displayed[0][0]["text/html"], "html.parser").table
    assert table.caption.text == "B. <A> & more"
    rows = [[cell.text for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]
    assert rows == [HEADER, *([str(cell) for cell in row] for row in ROWS)]
    assert {tag.name for tag in table.find_all()} == {"caption", "strong", "tr", "th", "td"}


@pytest.mark.parametrize("row", [["a", 1], ["a", 1, 2, 3]])
def test_table_refuses_a_row_of_another_length(displayed, row):
    with pytest.raises(CifarcamError, match=r"table 'tab-test': row .* give 3 cells"):
        report.table([["a", 1, 2], row], header=HEADER, caption="c", name="tab-test")
    assert displayed == []


def test_glue_passes_on_numbers_and_texts_and_refuses_the_rest(monkeypatch):
    glued = {}
    monkeypatch.setattr(
        page, "myst_glue", lambda name, value, display: glued.update({name: (value, display)})
    )
    for value in (1, 0.5, "a", np.float32(0.25), np.int64(3)):
        report.glue(f"test-{value}", value)
    assert glued == {f"test-{value}": (value, False) for value in (1, 0.5, "a", 0.25, 3)}
    assert {type(value) for value, _ in glued.values()} == {int, float, str}
    for value in (True, np.bool_(True), None, np.zeros(2), [1]):
        with pytest.raises(CifarcamError, match=r"glue 'test-bad'.*give a number or a text"):
            report.glue("test-bad", value)


NAN = float("nan")
EFFECT = Effect(1.24, 0.81, 1.52, "points", "seeds", 4, "paired t", 0.01)


@pytest.mark.parametrize(
    ("effect", "options", "text"),
    [
        (EFFECT, {}, "+1.2 [0.8, 1.5]"),
        (EFFECT, {"signed": False}, "1.2 [0.8, 1.5]"),
        (EFFECT, {"digits": 2}, "+1.24 [0.81, 1.52]"),
        (replace(EFFECT, value=-0.26, low=-0.61, high=0.09), {}, "−0.3 [−0.6, 0.1]"),
        (replace(EFFECT, value=-0.12, low=-0.226, high=-0.016), {}, "−0.12 [−0.23, −0.02]"),
        (replace(EFFECT, value=0.033, low=0.021, high=0.045), {}, "+0.033 [0.021, 0.045]"),
        (replace(EFFECT, value=-0.01, low=-0.52, high=0.5), {}, "+0.0 [−0.5, 0.5]"),
        (replace(EFFECT, value=0.033, low=0.03299, high=0.03301), {}, "+0.033 [0.033, 0.033]"),
        (replace(EFFECT, value=3.0, low=3.0, high=3.0), {}, "+3.0 [3.0, 3.0]"),
        (replace(EFFECT, low=NAN, high=NAN), {}, "+1.2"),
        (replace(EFFECT, high=NAN), {}, "+1.2"),
    ],
)
def test_interval_shows_value_and_ends_with_a_typeset_minus(effect, options, text):
    assert report.interval(effect, **options) == text


@pytest.fixture
def glued(monkeypatch):
    """What is glued, by name."""
    names = {}
    monkeypatch.setattr(page, "myst_glue", lambda name, value, display: names.update({name: value}))
    return names


def test_findings_name_every_field_and_the_interval_by_condition(glued):
    finding = Finding(Verdict.REPRODUCED, "It stays level.", "4 seeds", EFFECT, (1.0, 2.0))
    report.findings("results", {"plateau.level": finding})
    assert glued == {
        "results-plateau-level-verdict": "reproduced",
        "results-plateau-level-sentence": "It stays level.",
        "results-plateau-level-basis": "4 seeds",
        "results-plateau-level-interval": "+1.2 [0.8, 1.5]",
        "results-plateau-level-effect-value": 1.24,
        "results-plateau-level-effect-low": 0.81,
        "results-plateau-level-effect-high": 1.52,
        "results-plateau-level-effect-unit": "points",
        "results-plateau-level-effect-over": "seeds",
        "results-plateau-level-effect-count": 4,
        "results-plateau-level-effect-test": "paired t",
        "results-plateau-level-effect-p": 0.01,
        "results-plateau-level-effect-null": 0.0,
    }
    assert type(glued["results-plateau-level-verdict"]) is str  # not the enumeration's own repr


def test_values_name_nested_results_and_leave_out_what_is_no_number_or_text(glued):
    @dataclass(frozen=True)
    class Inner:
        seeds_used: np.int64

    @dataclass(frozen=True)
    class Result:
        drop: Effect
        inner: Inner
        none: None
        certain: bool
        by_class: tuple
        array: np.ndarray

    level = replace(EFFECT, null=2.0)
    report.values("x", Result(level, Inner(np.int64(3)), None, True, (1.0,), np.zeros(2)))
    assert glued["x-drop-interval"] == "1.2 [0.8, 1.5]"  # unsigned: compared with 2, not with 0
    assert glued["x-drop-null"] == 2.0
    assert glued["x-inner-seeds-used"] == 3
    assert {name for name in glued if not name.startswith("x-drop")} == {"x-inner-seeds-used"}


def test_values_of_a_finding_without_an_effect_have_a_dash_for_its_interval(glued):
    report.values("x", Finding(Verdict.NOT_TESTED, "No.", "nothing"))
    assert glued == {
        "x-verdict": "not tested",
        "x-sentence": "No.",
        "x-basis": "nothing",
        "x-interval": "–",
    }


@pytest.mark.parametrize("value", [3, {"a": 1}, Finding])
def test_values_refuse_what_is_no_dataclass(glued, value):
    with pytest.raises(CifarcamError, match=r"values 'x': .*give an instance of a dataclass"):
        report.values("x", value)
    assert glued == {}


def test_machine_names_the_versions_of_this_environment():
    machine = report.machine()
    for package in ("tensorflow", "keras", "numpy"):
        assert machine[package] == importlib.metadata.version(package)
    assert machine["python"] == ".".join(map(str, sys.version_info[:3]))
    assert machine["kind"] in ("CPU", "GPU")
    assert machine["threads"] >= 1
    assert machine["device"]


def test_computed_from_lists_what_was_handed_out(displayed, monkeypatch):
    monkeypatch.setattr(_store, "_handed_out", {})
    _store.hand_out("datasets", "sample", digest="d" * 64)
    _store.hand_out("runs", "f" * 64, name="baseline", trained="2026-01-02")
    _store.hand_out("records", "people", fingerprint="a" * 64, outdated_by=None)
    _store.hand_out("records", "ablation", fingerprint="b" * 64, outdated_by="other code")
    _store.hand_out("cached", "weights.h5", digest="c" * 64)
    _store.hand_out("cached", "absent.h5", digest=None)
    report.computed_from()
    (data, metadata), = displayed  # fmt: skip
    (admonition,) = parsed(data["text/markdown"]).findall(nodes.admonition)
    digest, *lines = [item.astext() for item in admonition.findall(nodes.list_item)]
    assert re.fullmatch("Digest of all that follows: [0-9a-f]{16}", digest)
    assert lines[:5] == [
        f"Dataset: sample (the committed sample, not the whole dataset), SHA-256 {'d' * 16}",
        f"Run baseline: fingerprint {'f' * 16}, trained 2026-01-02",
        f"Record people: fingerprint {'a' * 16}",
        f"Record ablation: fingerprint {'b' * 16}, made by other code",
        f"Published file weights.h5: SHA-256 {'c' * 16}",
    ]
    assert [line.split(":")[0] for line in lines[5:]] == ["Software", "Device", "Executed"]
    assert metadata[_store.USED]["cached"]["absent.h5"] == {"digest": None}
    assert set(metadata[_store.USED]) == set(_store.KINDS)
