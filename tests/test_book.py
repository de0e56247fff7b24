"""The pages of the built book."""

import csv
import json
import re
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, pages, run

from cifarcam.report import claims

SAMPLE_WORDS = "committed sample of 2,000 images"


@pytest.mark.slow
def test_chapters_are_executed_once_and_built_without_warning(built):
    project, said, log = built
    for chapter in (project / "notebooks").glob("*.md"):
        assert f"chapter {chapter.stem}: not executed yet" in said
    assert "executing" not in log
    assert "WARNING" not in log
    assert "WARNING" not in said


@pytest.mark.slow
def test_pages_say_that_they_were_built_from_the_sample(built):
    for name, page in pages(built[0]).items():
        assert SAMPLE_WORDS in page.get_text(), name


@pytest.mark.slow
def test_pages_show_no_unresolved_reference_and_no_local_path(built):
    for name, page in pages(built[0]).items():
        html = str(page)
        assert str(built[0]) not in html, name
        assert str(ROOT) not in html, name
        assert str(Path.home()) + "/" not in html, name
        for code in page.select("article details, article pre"):
            code.decompose()
        text = page.find("article").get_text()
        assert "{glue" not in text, name
        assert "{numref" not in text, name
        assert "{cite" not in text, name
        assert "Traceback" not in text, name
        assert "??" not in text, name
        assert not re.search(r"\bnan\b", text), name


@pytest.mark.slow
def test_figures_are_numbered_captioned_and_have_alternative_text(built):
    seen = 0
    for name, page in pages(built[0]).items():
        for image in page.select("article img"):
            assert len(image.get("alt", "")) > 20, (name, image)
            assert not image["alt"].startswith("../_images"), (name, image)
        for figure in page.select("article figure"):
            caption = figure.find("figcaption")
            assert caption is not None, name
            assert re.match(r"Fig\. \d", caption.get_text().strip()), caption.get_text()
            assert len(caption.get_text()) > 30
            seen += 1
    assert seen >= 15


@pytest.mark.slow
def test_images_and_internal_links_resolve(built):
    html = built[0] / "book" / "_build" / "html"
    for name, page in pages(built[0]).items():
        here = (html / f"{name}.html").parent
        for tag, attribute in (("img", "src"), ("a", "href")):
            for element in page.select(f"article {tag}[{attribute}]"):
                address = element[attribute]
                if re.match(r"[a-z]+:", address):
                    continue
                path, _, anchor = address.partition("#")
                target = (here / path) if path else html / f"{name}.html"
                assert target.exists(), (name, address)
                # An anchor with "=" is a state of the gallery.
                if anchor and "=" not in anchor and target.suffix == ".html":
                    assert f'id="{anchor}"' in target.read_text(), (name, address)


@pytest.mark.slow
def test_abstract_is_short_and_every_glued_sentence_is_on_its_page(built):
    page = pages(built[0])["index"]
    abstract = page.find("section", id="abstract").get_text().removeprefix("Abstract")
    assert len(re.findall(r"\w[^\s]*", abstract)) <= 180
    ledger = json.loads((built[0] / "book/_build/html/claims.json").read_text())["claims"]
    sentences = {entry["condition"].replace(".", "-"): entry["sentence"] for entry in ledger}
    for name in ("index", "conclusion"):
        source = (built[0] / "book" / f"{name}.md").read_text()
        shown = re.sub(r"\s+", " ", pages(built[0])[name].find("article").get_text())
        for condition in re.findall(r"::claims-([\w-]+)-sentence", source):
            assert sentences[condition] in shown, (name, condition)


@pytest.mark.slow
def test_front_page_has_a_square_for_each_verdict(built):
    ledger = json.loads((built[0] / "book/_build/html/claims.json").read_text())["claims"]
    page = pages(built[0])["index"].select_one(".claims-board")
    squares = [
        (one.find_parent("a")["href"].split("#claim-")[1], one["aria-label"], one["class"][1])
        for one in page.select(".claims-list .claims-square")
    ]
    assert squares == [
        (
            entry["claim"],
            f"{entry['label']}: {entry['verdict']}",
            f"claims-{entry['verdict'].replace(' ', '-')}",
        )
        for entry in ledger
    ]
    shown = Counter(one[2].removeprefix("claims-").replace("-", " ") for one in squares)
    legend = [item.get_text()[1:].split(maxsplit=1) for item in page.select(".claims-legend li")]
    assert {verdict: int(count) for count, verdict in legend} == shown


@pytest.mark.slow
def test_every_rule_is_listed_with_its_date_before_its_verdict(built):
    table = pages(built[0])["notebooks/original"].find("table").get_text()
    ledger = json.loads((built[0] / "book/_build/html/claims.json").read_text())["claims"]
    words = re.sub(r"\s+", " ", table)
    for entry in ledger:
        assert entry["rule"].split("`")[0][:60] in words.replace("’", "'"), entry["condition"]
        day = date.fromisoformat(entry["since"])
        timing = entry["timing"].removesuffix(" its result")
        assert f"{day.day} {day:%b %Y}, {timing}" in words


@pytest.mark.slow
def test_every_claim_has_its_address_and_the_ledger_lies_beside_the_pages(built):
    ledger = claims.read(built[0] / "book" / "_build" / "html" / "claims.json")
    page = pages(built[0])["notebooks/claims"]
    assert {entry.claim for entry in ledger} == {claim.id for claim in claims.CLAIMS}
    for entry in ledger:
        assert page.find(id=f"claim-{entry.claim}").get_text() == entry.statement
    assert page.select_one('a[href="../claims.json"]') is not None


@pytest.mark.slow
def test_pages_close_with_what_they_were_computed_from(built):
    for name, page in pages(built[0]).items():
        if name.startswith("notebooks/"):
            footer = page.select_one(".computed-from")
            assert footer is not None, name
            assert "tensorflow" in footer.get_text(), name
    copy = json.loads((built[0] / "book" / "notebooks" / "results.ipynb").read_text())
    used = {run["name"] for run in copy["metadata"]["cifarcam"]["used"]["runs"].values()}
    assert {name for name in used if name.endswith("-sample")} == {
        "tiny-sample",
        "tiny-early-stopping-sample",
    }
    assert {"resnet18-long", "resnet18-long-seed1", "resnet18-long-seed2"} <= used


@pytest.mark.slow
def test_gallery_shows_what_the_networks_predict(built):
    project = built[0]
    html = project / "book" / "_build" / "html"
    files = sorted((html / "_static" / "gallery").iterdir())
    script = (html / "_static" / "gallery" / "data.js").read_text()
    data = json.loads(script.removeprefix("window.cifarcamGallery = ").removesuffix(";\n"))
    places, labels = np.array(data["places"]), np.array(data["labels"])
    truth = json.loads((ROOT / "cifarcam" / "data" / "sample" / "labels.json").read_text())["test"]
    assert np.array_equal(np.array(truth)[places], labels)
    assert np.bincount(labels, minlength=10).min() >= 6
    tiny = project / "cache" / "cifarcam" / "runs" / "tiny-sample" / "predictions.npz"
    with np.load(tiny) as stored:
        predicted = stored["test"][places]
    baseline = data["networks"][0]
    assert np.abs(np.array(baseline["probabilities"]) / data["units"] - predicted).max() < 1e-4
    assert baseline["predicted"] == predicted.argmax(axis=1).tolist()
    accuracy = {n["name"]: np.mean(n["predicted"] == labels) for n in data["networks"]}
    assert accuracy["ResNet-18"] > 0.8
    named = {
        network["heatmaps"][m]["file"] for network in data["networks"] for m in data["methods"]
    }
    assert {name.split("?")[0] for name in named} | {"pictures.webp", "data.js"} == {
        path.name for path in files
    }


@pytest.mark.slow
def test_tables_are_captioned_and_have_header_cells(built):
    seen = 0
    for name, page in pages(built[0]).items():
        for table in page.select("article table:not(.gallery-matrix)"):
            assert re.match(r"Table \d", table.find("caption").get_text()), name
            header = table.select("thead th")
            assert header, name
            assert {len(row.select("td, th")) for row in table.select("tbody tr")} == {len(header)}
            seen += 1
    assert seen >= 20


@pytest.mark.slow
def test_negative_numbers_have_a_minus(built):
    shown = [n.get_text() for page in pages(built[0]).values() for n in page.select(".pasted-text")]
    assert not [number for number in shown if number.startswith("-")]
    assert [number for number in shown if number.startswith("−")]


@pytest.mark.slow
def test_figure_opens_alone_and_download_is_without_outputs(built):
    project = built[0]
    for name, page in pages(project).items():
        for figure in page.select("article figure"):
            assert figure.find("a")["href"] == figure.find("img")["src"], name
    copy = project / "book" / "_build" / "html" / "_sources" / "notebooks" / "results.ipynb"
    assert copy.read_bytes() == (project / "notebooks" / "results.ipynb").read_bytes()


@pytest.mark.slow
def test_figures_and_tables_name_their_data_and_tables_are_csv_files(built):
    count = 0
    for name, page in pages(built[0]).items():
        box = page.select_one("#computed-from")
        for shown in page.select("article .cell_output figure, article .cell_output table[id]"):
            (line,) = shown.find_parent("div", "cell_output").select(".figure-source")
            assert box.select_one("code").get_text().startswith(line.select_one("code").get_text())
            if shown.name == "figure":
                continue
            count += 1
            address = line.find("a", download=True)["href"]
            path = built[0] / "book" / "_build" / "html" / name / ".." / address
            with path.resolve().open(newline="", encoding="utf-8") as file:
                stored = list(csv.reader(file))
            assert stored == [
                [" ".join(cell.get_text().split()) for cell in row.select("th, td")]
                for row in shown.select("tr")
            ], shown["id"]
    assert count > 30


@pytest.mark.slow
def test_changed_number_and_address_change_on_every_page(built):
    """Last here, because the pages are other ones afterwards."""
    project = built[0]
    html = project / "book" / "_build" / "html" / "notebooks" / "results.html"
    assert "colab.research.google.com" not in html.read_text()
    assert "executablebooks/jupyter-book" not in html.read_text()
    source = project / "notebooks" / "results.md"
    text = source.read_text()
    key = "results-test-accuracy"
    showing = [
        name
        for name in ("index", "conclusion")
        if f"results.ipynb::{key}" in (project / "book" / f"{name}.md").read_text()
    ]
    assert showing == ["index", "conclusion"]
    changed = re.sub(rf'report\.glue\("{key}", .*\)', f'report.glue("{key}", 12.3)', text)
    assert changed != text
    source.write_text(changed)
    run(project, "cifarcam", "colab", "someone/fork")
    try:
        log = run(project, "jupyter-book", "build", "book", "-n", "-W", "--keep-going")
    finally:
        run(project, "cifarcam", "colab", "")
    # The address alone makes no chapter stale.
    assert "chapter results: the notebook changed, executing" in log
    assert log.count("executing") == 1
    for name in showing:
        assert "12.3" in pages(project)[name].find("article").get_text(), name
    page = html.read_text()
    address = (
        "https://colab.research.google.com/github/someone/fork/blob/main/notebooks/results.ipynb"
    )
    # Once, by the book's own button: the notebook's badge and install cell are not on the page.
    assert page.count(address) == 1
    assert (
        "https://mybinder.org/v2/gh/someone/fork/main?urlpath=lab/tree/notebooks/results.ipynb"
        in page
    )
    assert "pip install" not in page
    assert (ROOT / "notebooks" / "results.ipynb").is_file()
