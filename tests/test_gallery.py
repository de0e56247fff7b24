"""The gallery: which images, what is packed, and the page itself in a browser."""

import io
import json
import re
import shutil

import numpy as np
import pytest
from conftest import HEAD, ROOT, OpenPage, run
from PIL import Image

from cifarcam.errors import CifarcamError
from cifarcam.publish import pairs
from cifarcam.report import gallery

# Executed here and by the chapter of the small book that is built below: twelve pictures of one
# colour each, three classes, two networks. By network a, pictures 1, 4, 7 and 10 are wrong; network
# b is right on all. The map of picture 2 by method "first" of network a is zero.
CODE = """
import numpy as np

from cifarcam.report import gallery

classes = ["cat", "dog", "ship"]
labels = np.repeat([0, 1, 2], 4)
places = 100 + np.arange(12)
colours = np.stack([20 * np.arange(12), 255 - 20 * np.arange(12), np.full(12, 90)], 1)
pictures = np.broadcast_to(colours[:, None, None], (12, 32, 32, 3)).astype(np.uint8)
confidence = np.linspace(0.45, 0.945, 12)
predicted = np.where(np.arange(12) % 3 == 1, (labels + 1) % 3, labels)
probabilities = {
    name: np.where(np.arange(3) == top[:, None], confidence[:, None], (1 - confidence[:, None]) / 2)
    for name, top in (("a", predicted), ("b, second", labels))
}
ramp = np.linspace(0, 7, 32 * 32).reshape(32, 32)
maps = {
    "first": np.stack([(i != 2) * (i + 1) * ramp for i in range(12)]).astype(np.float32),
    "other": np.stack([(i + 1) * ramp[::-1] for i in range(12)]).astype(np.float32),
}
answers = {
    "a": gallery.Answers(probabilities["a"], maps),
    "b, second": gallery.Answers(
        probabilities["b, second"], {"first": maps["other"], "other": maps["first"] + 1}
    ),
}
files = gallery.encode(pictures, labels, places, classes, answers)
"""


@pytest.fixture(scope="module")
def made():
    namespace = {}
    exec(CODE, namespace)
    return namespace


def read_data(content):
    match = re.fullmatch(r"window\.cifarcamGallery = (.*);\n", content.decode())
    return json.loads(match[1])


def tiles(content, count, columns=gallery.COLUMNS):
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    return np.stack(
        [pixels[32 * (k // columns) :, 32 * (k % columns) :][:32, :32] for k in range(count)]
    )


def test_images_are_the_first_of_each_class_and_then_its_surest_other_mistakes():
    labels = np.array([1, 0, 1, 0, 1, 1, 0, 1, 1])
    # Class 0 stands at 1, 3, 6 and class 1 at 0, 2, 4, 5, 7, 8.
    wrong = np.array([0.9, 0.8, 0.2, 0.1, 0.6, 0.7, 0.3, 0.95, 0.7])
    probabilities = np.where(np.arange(2) == labels[:, None], 1 - wrong[:, None], wrong[:, None])
    chosen = gallery.choose(labels, probabilities, first=1, mistakes=3)
    # Of class 0 nothing but the first: the others are right. Of class 1 number 0 is first, though it
    # is a mistake too; then by confidence, the earlier of the equals first, 4 not among the three.
    assert chosen.tolist() == [1, 0, 7, 5, 8]
    assert chosen.dtype == np.int64
    assert gallery.choose(labels, probabilities, first=9, mistakes=3).tolist() == [
        *(1, 3, 6),
        *(0, 2, 4, 5, 7, 8),
    ]
    assert gallery.choose(labels, probabilities, first=0, mistakes=1).tolist() == [1, 7]
    with pytest.raises(CifarcamError, match="-1"):
        gallery.choose(labels, probabilities, first=-1, mistakes=1)
    with pytest.raises(CifarcamError, match="-2"):
        gallery.choose(labels, probabilities, first=1, mistakes=-2)
    for few in (labels[:6], np.append(labels, 0)):
        with pytest.raises(CifarcamError):
            gallery.choose(few, probabilities, first=1, mistakes=1)


def test_pictures_are_packed_without_loss():
    generator = np.random.default_rng(3)
    pictures = generator.integers(0, 256, (23, 32, 32, 3), dtype=np.uint8)
    probabilities = np.full((23, 2), 0.5)
    maps = generator.uniform(0, 9, (23, 32, 32)).astype(np.float32)
    maps[5] = 0
    labels = np.zeros(23, np.int64)
    answers = {"n": gallery.Answers(probabilities, {"m": maps})}
    files = gallery.encode(pictures, labels, np.arange(23), ["x", "y"], answers)
    assert np.array_equal(tiles(files["pictures.webp"], 23), pictures)
    opacity = tiles(files["heatmaps-0-0.webp"], 23)[..., 3].astype(float)
    peaks = np.where(maps.any(axis=(1, 2)), maps.max(axis=(1, 2)), 1)
    assert np.abs(opacity - 255 * maps / peaks[:, None, None]).max() <= 0.5 + 1e-4
    assert not opacity[5].any()
    assert read_data(files["data.js"])["networks"][0]["heatmaps"]["m"]["blank"] == [5]


def test_heatmaps_have_the_colours_of_the_report(made):
    from cifarcam.figures.heatmaps import coloured, scaled_for_display

    found = tiles(made["files"]["heatmaps-0-1.webp"], 12)
    for tile, heatmap in zip(found, made["maps"]["other"], strict=True):
        expected = coloured(scaled_for_display(heatmap))
        visible = tile[..., 3] > 0
        assert np.abs(tile[..., :3].astype(int) - expected)[visible].max() <= 4


def test_data_hold_what_the_networks_said(made):
    data = read_data(made["files"]["data.js"])
    assert data["classes"] == made["classes"]
    assert data["labels"] == made["labels"].tolist()
    assert data["places"] == made["places"].tolist()
    for network, (name, answers) in zip(data["networks"], made["answers"].items(), strict=True):
        assert network["name"] == name
        assert network["predicted"] == answers.probabilities.argmax(axis=1).tolist()
        given = np.array(network["probabilities"]) / data["units"]
        assert np.abs(given - answers.probabilities).max() <= 0.5 / data["units"] + 1e-12
    assert [n["heatmaps"]["first"]["blank"] for n in data["networks"]] == [[2], []]


def test_addresses_of_sprites_change_with_their_content(made):
    data = read_data(made["files"]["data.js"])
    named = [n["heatmaps"][m]["file"] for n in data["networks"] for m in data["methods"]]
    named.append(data["pictures"])
    assert {name.split("?")[0] for name in named} == set(made["files"]) - {"data.js"}
    versions = {name.split("?v=")[1] for name in named}
    assert len(versions) == len({content for n, content in made["files"].items() if n != "data.js"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answers": {}}, "at least one image and one network"),
        ({"labels": np.zeros(3, int)}, "12 images, 3 labels and 12 places"),
        ({"class_names": ["cat", "dog"]}, "a: probabilities of shape"),
        ({"images": np.zeros((12, 16, 32, 3), np.uint8)}, "a, first: heatmaps of shape"),
        ({"images": np.zeros((12, 32, 32, 3))}, "is not N x H x W x 3 uint8"),
    ],
)
def test_what_does_not_fit_together_is_refused(made, change, message):
    given = {
        "images": made["pictures"],
        "labels": made["labels"],
        "places": made["places"],
        "class_names": made["classes"],
        "answers": made["answers"],
    }
    with pytest.raises(CifarcamError, match=message):
        gallery.encode(**given | change)


def test_networks_with_other_methods_or_negative_maps_are_refused(made):
    arguments = (made["pictures"], made["labels"], made["places"], made["classes"])
    probabilities, maps = made["probabilities"]["a"], made["maps"]
    other = gallery.Answers(probabilities, {"first": maps["first"]})
    with pytest.raises(CifarcamError, match="c: not the methods of the others, first, other"):
        gallery.encode(*arguments, {**made["answers"], "c": other})
    negative = gallery.Answers(probabilities, {"first": -maps["first"]})
    with pytest.raises(CifarcamError, match=">= 0"):
        gallery.encode(*arguments, {"c": negative})


# ---- the page in a browser ----

CHAPTER = f"""{HEAD}
(chapter-gallery)=
# Gallery

Words before.

```{{code-cell}} ipython3
:tags: [parameters]

dataset_name = "cifar10"
run_name = "baseline"
```

```{{code-cell}} ipython3
:tags: [hide-input]
{CODE}
gallery.show(files)
```

Words after.
"""
# What the report's first page says of the document, and nothing else.
FRONT = (
    "# Top\n\nThe first page.\n\n"
    + re.search(r"^:::.*?^:::", (ROOT / "book/index.md").read_text(), re.M | re.S)[0]
)
TOC = """format: jb-book
root: index
chapters:
  - file: notebooks/gallery
"""


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """A book of two pages, built as the report is: executed by papermill, set by Jupyter Book."""
    project = tmp_path_factory.mktemp("book")
    for name in ("book", "notebooks"):
        (project / name).mkdir()
    for name in ("_static", "_mathjax", "_templates", "_latex"):
        shutil.copytree(ROOT / "book" / name, project / "book" / name)
    for name in ("_config.yml", "references.bib"):
        shutil.copy(ROOT / "book" / name, project / "book" / name)
    (project / "book" / "_toc.yml").write_text(TOC)
    (project / "book" / "index.md").write_text(FRONT)
    (project / "cifarcam.pdf").write_bytes(b"a report")
    for name in ("_config.yml", "_toc.yml"):
        (project / name).symlink_to(f"book/{name}")
    (project / "requirements.txt").write_text("numpy==1\n")
    (project / "notebooks" / "gallery.md").write_text(CHAPTER)
    pairs.write_pair(project / "notebooks" / "gallery.md")
    for builder in ("html", "latex"):
        assert "WARNING" not in run(project, "jupyter-book", "build", "book", "--builder", builder)
    return project / "book" / "_build" / "html"


class Page(OpenPage):
    """The gallery's page, with words for what a reader does and sees."""

    def __init__(self, browser, html, address="", **options):
        super().__init__(browser, html / "notebooks" / "gallery.html", address, **options)

    def control(self, name):
        return self.page.locator(f".gallery-controls >> nth=0 >> [name={name}]")

    def choose(self, **values):
        for name, value in values.items():
            self.control(name).select_option(value)

    def slide(self, name, value):
        self.control(name).fill(str(value))

    @property
    def shown(self):
        return [
            int(button.get_attribute("data-image")) - 100
            for button in self.page.locator(".gallery-grid button").all()
        ]

    @property
    def status(self):
        return self.page.locator(".gallery-status").inner_text()

    @property
    def hash(self):
        return self.page.evaluate("location.hash")

    def tile(self, image):
        return self.page.locator(f".gallery-grid [data-image='{100 + image}']")

    def name(self, image):
        """What a screen reader calls a tile."""
        snapshot = self.tile(image).aria_snapshot()
        return re.fullmatch(r'- button "(.*?)"', snapshot)[1].replace(" ,", ",")

    @property
    def dialog(self):
        return self.page.locator(".gallery-dialog")

    @property
    def title(self):
        return self.dialog.locator("h2").inner_text()

    def wait_for_focus(self, image):
        test = f"document.activeElement.dataset.image === '{100 + image}'"
        self.page.wait_for_function(test)

    def colours(self, image):
        """What the screen shows in the middle of each of a tile's 32 x 32 pixels."""
        view = self.tile(image).locator(".gallery-view")
        view.scroll_into_view_if_needed()
        box = view.bounding_box()
        assert (box["width"], box["height"]) == (96, 96)
        seen = np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"))
        x, y = (np.floor(box[side] + 3 * np.arange(32) + 1.5).astype(int) for side in "xy")
        return seen[np.ix_(y, x)].astype(int)


@pytest.fixture
def open_page(chromium, html):
    opened = []

    def open_one(address="", place=html, **options):
        opened.append(Page(chromium, place, address, **options))
        return opened[-1]

    yield open_one
    for page in opened:
        page.context.close()


@pytest.mark.slow
def test_the_files_are_beside_the_page_and_loaded_on_it_alone(html, made):
    folder = html / "_static" / "gallery"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == made["files"]
    page = (html / "notebooks" / "gallery.html").read_text()
    for name in ("gallery.css", "gallery/data.js", "gallery.js"):
        assert page.count(f"../_static/{name}?v=") == 1, name
    assert "gallery.js" not in (html / "index.html").read_text()
    assert "gallery.css" not in (html / "index.html").read_text()


@pytest.mark.slow
def test_a_document_that_was_made_before_lies_beside_the_pages(html):
    assert (html / "cifarcam.pdf").read_bytes() == b"a report"
    assert '<a href="cifarcam.pdf">' in (html / "index.html").read_text()


@pytest.mark.slow
def test_print_and_pages_without_scripts_say_where_the_gallery_works(html, open_page):
    sentence = gallery.FALLBACK.split(". ")[0]
    latex = (html.parent / "latex" / "cifarcam.tex").read_text()
    assert latex.count(sentence) == 1
    assert "gallery-app" not in latex
    page = open_page(java_script_enabled=False)
    assert page.page.locator("#gallery-app p").inner_text() == gallery.FALLBACK
    # The words around it stay with the script too.
    text = open_page().page.locator("article").inner_text()
    assert "Words before." in text
    assert "Words after." in text
    assert sentence not in text


@pytest.mark.slow
def test_nothing_is_asked_of_a_server_and_no_script_of_ours_fails(open_page, html):
    page = open_page()
    page.choose(network="b, second", method="other")
    page.tile(3).click()
    page.page.wait_for_timeout(300)
    assert page.asked_outside(html) == []
    loaded = {
        url.split("/gallery/")[1].split("?")[0] for url in page.requests if "/gallery/" in url
    }
    assert loaded == {
        "data.js",
        "pictures.webp",
        *(f"heatmaps-{n}.webp" for n in ("0-0", "1-0", "1-1")),
    }
    assert page.errors == []


@pytest.mark.slow
def test_filters_count_what_they_show(open_page):
    page = open_page()
    assert page.shown == list(range(12))
    assert page.status == "12 of 12 images; the network a is right on 8."
    page.choose(**{"class": "dog"})
    assert page.shown == [4, 5, 6, 7]
    page.choose(outcome="wrong")
    assert page.shown == [4, 7]
    assert page.status == "2 of 12 images; the network a is right on 0."
    page.choose(network="b, second")
    assert page.shown == []
    assert page.status.startswith("No image fits")
    page.choose(outcome="right")
    assert page.shown == [4, 5, 6, 7]
    page.page.get_by_role("button", name="Reset").click()
    assert page.shown == list(range(12))
    assert page.hash == ""


@pytest.mark.slow
def test_confidence_is_filtered_between_two_bounds_that_do_not_cross(open_page, made):
    page = open_page()
    page.slide("from", 60)
    expected = [i for i, c in enumerate(made["confidence"]) if c >= 0.6]
    assert page.shown == expected
    page.slide("to", 80)
    assert page.shown == [i for i in expected if made["confidence"][i] <= 0.8]
    assert page.control("to").get_attribute("aria-valuetext") == "80%"
    page.slide("from", 90)
    assert page.control("to").input_value() == "90"
    assert "from=90" in page.hash
    # By the keyboard as well.
    page.control("from").focus()
    page.page.keyboard.press("ArrowRight")
    assert page.control("from").input_value() == "91"


@pytest.mark.slow
def test_tiles_name_class_answer_and_confidence(open_page):
    page = open_page()
    assert page.name(0) == "cat, recognised with 45%"
    assert page.name(1) == "cat, taken for dog with 50%"
    assert page.name(2) == "cat, recognised with 54%, no positive evidence"
    assert "no positive evidence" in page.tile(2).inner_text()
    page.choose(method="other")
    assert page.name(2) == "cat, recognised with 54%"


@pytest.mark.slow
def test_pixels_on_the_screen_are_those_of_picture_and_overlay(open_page, made):
    from cifarcam.figures.heatmaps import overlaid, scaled_for_display

    page = open_page()
    heat = made["maps"]["other"]
    page.choose(method="other")
    page.page.wait_for_load_state("networkidle")
    for opacity in (0, 65):
        page.slide("opacity", opacity)
        page.page.wait_for_timeout(200)
        for image in (0, 2, 9, 10, 11):
            picture = made["pictures"][image]
            expected = (
                picture if not opacity else overlaid(picture, scaled_for_display(heat[image]))
            )
            difference = np.abs(page.colours(image) - expected)
            assert difference.max() <= 6, (opacity, image, difference.max())


@pytest.mark.slow
def test_an_image_opens_large_and_closes_by_the_keyboard_alone(open_page, made):
    page = open_page()
    page.choose(**{"class": "dog"})
    page.tile(7).focus()
    page.page.keyboard.press("Enter")
    assert page.dialog.is_visible()
    assert page.title == "dog, taken for ship with 77%"
    assert "Image 107 of the test split" in page.dialog.inner_text()
    rows = [row.inner_text().split("\t") for row in page.dialog.locator("tbody tr").all()]
    assert [[cell.strip() for cell in (row[0], row[-1])] for row in rows] == [
        ["cat", "11.8%"],
        ["dog (true)", "11.8%"],
        ["ship (predicted)", "76.5%"],
    ]
    assert "4 of 4" in page.dialog.inner_text()
    page.page.keyboard.press("ArrowRight")  # from the last on to the first
    assert page.title == "dog, taken for ship with 63%"
    page.page.keyboard.press("ArrowLeft")
    page.page.keyboard.press("ArrowLeft")
    assert page.title == "dog, recognised with 72%"
    assert page.hash == "#class=dog&image=106"
    page.page.keyboard.press("Escape")
    assert not page.dialog.is_visible()
    page.wait_for_focus(6)
    assert page.hash == "#class=dog"


@pytest.mark.slow
def test_the_dialog_keeps_the_focus_and_its_controls_their_arrow_keys(open_page):
    page = open_page("#image=104")
    for _ in range(15):
        page.page.keyboard.press("Tab")
        inside = (
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
        assert page.page.evaluate(inside)
    slider = page.dialog.locator("[name=opacity]")
    slider.focus()
    page.page.keyboard.press("ArrowRight")
    assert page.title == "dog, taken for ship with 63%"
    assert slider.input_value() == "66"
    assert page.control("opacity").input_value() == "66"
    page.dialog.locator("[name=network]").select_option("b, second")
    assert page.title == "dog, recognised with 63%"


@pytest.mark.slow
def test_a_click_beside_the_dialog_closes_it_and_one_inside_does_not(open_page):
    page = open_page()
    page.tile(5).click()
    page.dialog.locator("h2").click()
    box = page.dialog.bounding_box()
    page.page.mouse.click(box["x"] + 3, box["y"] + 3)
    assert page.dialog.is_visible()
    page.page.mouse.click(box["x"] - 10, box["y"] + 10)
    assert not page.dialog.is_visible()
    page.wait_for_focus(5)


@pytest.mark.slow
def test_an_address_brings_back_the_view(open_page):
    page = open_page()
    page.choose(**{"class": "ship"}, outcome="right", network="b, second", method="other")
    page.slide("from", 85)
    page.slide("opacity", 30)
    page.tile(10).click()
    again = open_page(page.hash)
    assert again.shown == page.shown == [9, 10, 11]
    assert again.title == page.title == "ship, recognised with 90%"
    assert again.control("opacity").input_value() == "30"
    again.page.keyboard.press("Escape")
    again.wait_for_focus(10)


@pytest.mark.slow
def test_addresses_with_nonsense_or_another_meaning_change_nothing(open_page):
    page = open_page("#class=unicorn&from=-3&to=1e9&image=7&network=b,+second")
    assert page.shown == list(range(12))
    assert not page.dialog.is_visible()
    assert page.control("network").input_value() == "b, second"
    page.page.evaluate("location.hash = '#chapter-gallery'")
    assert page.control("network").input_value() == "b, second"
    page.page.evaluate("location.hash = '#class=cat'")
    page.page.wait_for_function("document.querySelectorAll('.gallery-grid li').length === 4")
    assert page.control("network").input_value() == "a"


@pytest.mark.slow
def test_an_image_outside_of_the_choice_can_be_linked_and_left(open_page):
    page = open_page("#class=cat&image=105")
    assert "outside of the choice" in page.dialog.inner_text()
    page.page.get_by_role("button", name="Next").click()
    assert page.title == "cat, recognised with 45%"
    page = open_page("#class=cat&image=105")
    page.page.get_by_role("button", name="Previous").click()
    assert page.title == "cat, recognised with 59%"


@pytest.mark.slow
def test_a_sprite_that_is_missing_is_said_not_shown_as_no_evidence(html, open_page, tmp_path):
    copy = tmp_path / "html"
    shutil.copytree(html, copy)
    (copy / "_static" / "gallery" / "heatmaps-0-1.webp").unlink()
    page = open_page(place=copy)
    failure = page.page.locator(".gallery-failure")
    assert not failure.is_visible()
    page.choose(method="other")
    failure.wait_for(state="visible")
    assert "heatmaps-0-1.webp cannot be loaded" in failure.inner_text()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 768, 1440])
def test_every_width_and_theme_is_readable_and_free_of_barriers(open_page, width, scheme):
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.page.evaluate("document.documentElement.dataset.theme") == scheme
    for opened in (False, True):
        if opened:
            page.tile(1).click()
        wide = "[document.documentElement, document.querySelector('.gallery-dialog')]"
        assert page.page.evaluate(f"{wide}.every((e) => e.scrollWidth <= e.clientWidth)")
        assert page.barriers("article") == []
