"""Every page of the built book, opened from the disk in a browser without a network."""

import io
import json
import re
from collections import Counter

import numpy as np
import pytest
from helpers import PAGES, OpenPage
from PIL import Image

from cifarcam.figures.text import TEXT

MEGABYTE = 1e6
# A reference page of each kind.
REFERENCE = ["reference/methods", "reference/methods/lime", "reference/modules/explain"]


@pytest.fixture(scope="module")
def html(built):
    return built[0] / "book" / "_build" / "html"


@pytest.fixture
def open_page(chromium, html, kept):
    def open_one(name, address="", **options):
        return kept(OpenPage(chromium, html / f"{name}.html", address, **options))

    return open_one


@pytest.mark.slow
def test_pages_are_complete(html):
    names = {
        path.relative_to(html).as_posix().removesuffix(".html") for path in html.rglob("*.html")
    }
    names = {name for name in names if not name.startswith("_")} - {"genindex", "search"}
    folder = html.parents[1] / "reference"
    reference = {path.relative_to(folder.parent).as_posix() for path in folder.rglob("*.md")}
    assert names == {*PAGES, *(name.removesuffix(".md") for name in reference)}
    assert set(REFERENCE) <= names


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PAGES, *REFERENCE, "search"])
def test_page_is_complete_offline_and_free_of_barriers(open_page, html, name):
    opened = open_page(name, color_scheme="dark")
    page = opened.page
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    # Every formula is set, and every image is there, those further down that wait for the reader too.
    page.wait_for_function(
        "[...document.querySelectorAll('.math')].every((f) => f.querySelector('mjx-container'))"
    )
    assert page.locator("mjx-container [data-mml-node=merror]").count() == 0
    missing = page.evaluate(
        """Promise.all([...document.images].map(async (image) => {
             image.loading = 'eager';
             try { await image.decode(); } catch { return image.src; }
             return image.naturalWidth ? null : image.src;
           })).then((all) => all.filter(Boolean))"""
    )
    assert missing == []
    assert opened.barriers() == []
    page.emulate_media(color_scheme="light")
    page.wait_for_function("document.documentElement.dataset.theme === 'light'")
    assert opened.barriers(rule="color-contrast") == []  # all else is as in the dark
    for width in (1440, 768, 375):
        page.set_viewport_size({"width": width, "height": 900})
        seen = page.evaluate("document.documentElement.clientWidth")
        assert page.evaluate("document.documentElement.scrollWidth") <= seen, width
    assert opened.asked_outside(html) == []
    assert opened.errors == []


@pytest.mark.slow
def test_search_finds_airplane(open_page):
    opened = open_page("index")
    page = opened.page
    page.keyboard.press("Control+k")
    page.keyboard.type("airplane")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("search.html"))
    results = page.locator("#search-results ul.search a")
    results.first.wait_for()
    assert results.count() >= 3
    assert "7. What it looks at" in results.all_inner_texts()
    results.first.click()
    page.wait_for_load_state()
    assert "airplane" in page.locator("article").inner_text().lower()
    assert opened.errors == []


@pytest.mark.slow
def test_confusion_matrix_of_the_results_leads_to_its_images_in_the_gallery(open_page):
    page = open_page("notebooks/results").page
    page.get_by_role("link", name="open the matrix in the gallery").click()
    page.wait_for_url(re.compile("gallery.html#class=cat&predicted=dog&matrix=open"))
    table = page.locator(".gallery-matrix")
    table.wait_for()
    assert table.locator("button").count() == 100
    assert "of class cat for dog" in page.locator(".gallery-status").inner_text()


@pytest.mark.slow
def test_cells_of_the_results_open_their_images_in_the_gallery(open_page, html):
    script = (html / "_static" / "gallery" / "data.js").read_text()
    gallery = json.loads(script.removeprefix("window.cifarcamGallery = ").rstrip(";\n"))
    pairs = zip(gallery["labels"], gallery["networks"][0]["predicted"], strict=True)
    held = Counter((gallery["classes"][a], gallery["classes"][b]) for a, b in pairs)
    opened = open_page("notebooks/results", viewport={"width": 375, "height": 800})
    page = opened.page
    page.get_by_text("Open the images of a cell").focus()
    page.keyboard.press("Enter")
    table = page.locator("article .gallery-matrix")
    assert table.locator(".gallery-cell").count() == len(gallery["classes"]) ** 2
    links = table.locator("a")
    words = r"\d+, (\w+) predicted as (\w+): open (\d+) images?"
    named = [re.fullmatch(words, link.get_attribute("aria-label")) for link in links.all()]
    assert {(one[1], one[2]): int(one[3]) for one in named} == held
    assert opened.barriers("article .gallery-confusions") == []
    true_name, predicted = max(held, key=lambda cell: (cell[0] != cell[1], held[cell]))
    page.keyboard.press("Tab")
    table.get_by_role("link", name=f"{true_name} predicted as {predicted}:").press("Enter")
    page.wait_for_url(re.compile("gallery.html"))
    tiles = page.locator(".gallery-grid button")
    tiles.first.wait_for()
    assert tiles.count() == held[true_name, predicted]
    assert page.evaluate("document.activeElement.parentElement.matches('.gallery-grid li')")
    assert page.locator(".gallery-status").bounding_box()["y"] < 800
    assert opened.errors == []


@pytest.mark.slow
def test_one_switch_shows_and_hides_the_code_of_a_page(open_page):
    page = open_page("notebooks/results").page
    folded = page.locator("article details.hide pre")
    switch = page.get_by_role("button", name=re.compile("Show the code|Hide the code"))
    assert folded.count() > 3
    for shown in (False, True, False):
        assert {code.is_visible() for code in folded.all()} == {shown}
        switch.click()
    assert open_page("conclusion").page.locator(".code-switch").count() == 0


@pytest.mark.slow
def test_code_has_folds_where_scripts_are_off(open_page):
    page = open_page("notebooks/results", java_script_enabled=False).page
    fold = page.locator("article details.hide").first
    assert not fold.locator("pre").first.is_visible()
    fold.locator("summary").click()
    assert fold.locator("pre").first.is_visible()


@pytest.mark.slow
def test_figures_stand_on_the_page_in_both_themes_and_pictures_keep_their_colours(open_page):
    equal = {}
    places = {"fig-curves": "notebooks/results", "fig-samples": "notebooks/datasets"}
    for name, place in places.items():
        looks = []
        for scheme in ("light", "dark"):
            page = open_page(place, color_scheme=scheme).page
            picture = page.locator(f"#{name} img.only-{scheme}")
            picture.scroll_into_view_if_needed()
            picture.evaluate("image => image.decode()")
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            look = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB"))
            assert look[2, 2].tolist() == [int(part) for part in re.findall(r"\d+", ground)]
            assert page.locator(f"#{name} img:visible").count() == 1
            looks.append(look.astype(int))
        light, dark = looks
        difference = np.abs(light - dark).max(axis=-1)
        equal[name] = (difference <= 2).mean()
        # Ink and ground lie as far apart in the dark as in the light.
        assert dark.max() > 200
        assert difference.max() > 200
    assert equal["fig-curves"] < 0.05
    assert equal["fig-samples"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("width", "least"), [(1440, 12), (390, 9)])
def test_type_of_figures_is_large_enough(open_page, width, least):
    for name in PAGES:
        page = open_page(name, viewport={"width": width, "height": 900}).page
        shown = page.evaluate(
            """[...document.querySelectorAll('article figure img.only-light')].map((image) =>
                 [image.src, image.getBoundingClientRect().width / image.getAttribute('width')])"""
        )
        small = [(file, scale) for file, scale in shown if TEXT * 96 / 72 * scale < least]
        assert not small, name


@pytest.mark.slow
def test_code_of_a_figure_is_a_click_away(open_page):
    page = open_page("notebooks/results").page
    code = page.locator("#code-fig-curves pre").first
    assert not code.is_visible()
    page.locator("#fig-curves + .figure-source .code-link").click()
    assert code.is_visible()
    assert "training_curves" in code.inner_text()


@pytest.mark.slow
def test_theme_stays_on_the_next_page(open_page):
    page = open_page("index", color_scheme="light").page
    theme = "document.documentElement.dataset.theme"
    button = page.locator(".theme-switch-button").first
    for _ in range(3):
        if page.evaluate(theme) == "dark":
            break
        button.click()
    assert page.evaluate(theme) == "dark"
    with page.expect_navigation():
        page.locator("article a[href*='.html']").first.click()
    page.wait_for_function(f"{theme} === 'dark'")


@pytest.mark.slow
def test_pages_and_site_are_small(html):
    """What belongs to one page; scripts, styles and fonts are shared by all."""
    site = sum(path.stat().st_size for path in html.rglob("*") if path.is_file())
    assert site <= 25 * MEGABYTE
    for name in PAGES:
        path = html / f"{name}.html"
        text = path.read_text()
        own = {
            path,
            *(path.parent / source for source in re.findall(r'src="([^"#]*_images/[^"#]*)', text)),
        }
        if name == "notebooks/gallery":
            own |= {
                *(html / "_static" / "gallery").iterdir(),
                *(html / "_static").glob("gallery.*"),
            }
        if name == "index":  # with the network that it begins with
            live = html / "_static" / "live"
            own |= {part for part in live.iterdir() if part.is_file()}
            own |= {live / "data" / file for file in ("pictures.js", "network-tiny-sample.js")}
        assert sum(part.stat().st_size for part in own) <= 1.5 * MEGABYTE, name
