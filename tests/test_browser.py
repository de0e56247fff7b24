"""Every page of the built book, opened from the disk in a browser without a network."""

import re

import pytest
from helpers import PAGES, OpenPage

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
    page.get_by_role("link", name="open the images of a cell").click()
    page.wait_for_url(re.compile("gallery.html#class=cat&predicted=dog&matrix=open"))
    table = page.locator(".gallery-matrix")
    table.wait_for()
    assert table.locator("button").count() == 100
    assert "of class cat for dog" in page.locator(".gallery-status").inner_text()


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
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_drawings_are_inverted_in_the_dark_theme_and_pictures_are_not(open_page, html, scheme):
    for name in ("notebooks/results", "notebooks/datasets"):
        page = open_page(name, color_scheme=scheme).page
        seen = page.evaluate(
            """[...document.querySelectorAll('article figure img')].map((image) =>
                 [image.src.split('/').pop(), getComputedStyle(image).filter])"""
        )
        assert len(seen) > 1
        for file, look in seen:
            drawing = "<image" not in (html / "_images" / file).read_text()
            assert ("invert" in look) == (drawing and scheme == "dark"), file


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
            *(path.parent / source for source in re.findall(r'src="([^"]*_images/[^"]*)"', text)),
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
