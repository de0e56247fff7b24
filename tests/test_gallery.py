"""The gallery: the choice of images, its files, and the page in a browser."""

import io
import json
import re
import shutil
from collections import Counter
from types import SimpleNamespace
from urllib.parse import parse_qs

import keras
import numpy as np
import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document
from helpers import HEAD, ROOT, OpenPage, run, write_small_book
from PIL import Image

from cifarcam.errors import CifarcamError
from cifarcam.publish import screens
from cifarcam.report import confusion_links, gallery
from cifarcam.studies import gallery_images
from cifarcam.studies.image_facts import ImageFacts

# Executed here and by the chapter of the small book below: twelve pictures of one colour each, three
# classes, two networks. Network a classifies pictures 1, 4, 7 and 10 wrongly, network b none. The
# heatmap of picture 2 by method "first" for network a is zero. Network a was tested on 1,200 images,
# network b only on these.
CODE = """
import numpy as np

from cifarcam.report import gallery
from cifarcam.studies.image_facts import ImageFacts

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
    "a": gallery.Answers(
        probabilities["a"], maps, np.array([[300, 95, 5], [0, 350, 50], [7, 0, 393]])
    ),
    "b, second": gallery.Answers(
        probabilities["b, second"], {"first": maps["other"], "other": maps["first"] + 1}
    ),
}
numbers = np.arange(120)
facts = ImageFacts(
    twins=np.isin(numbers, [7, 101, 103]),
    doubtful=np.isin(numbers, [108, 111]),
    missed=np.isin(numbers, [8, 101, 107, 111]),
    people=numbers % 4,
    sentences=tuple((f"First of {n}.", f"Second of {n}.") for n in numbers),
)
files = gallery.encode(pictures, labels, places, classes, answers, facts)
"""


@pytest.fixture(scope="module")
def small_gallery():
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


def test_choose_takes_the_first_of_each_class_and_then_its_surest_other_mistakes():
    labels = np.array([1, 0, 1, 0, 1, 1, 0, 1, 1])
    # Class 0 stands at 1, 3, 6 and class 1 at 0, 2, 4, 5, 7, 8.
    wrong = np.array([0.9, 0.8, 0.2, 0.1, 0.6, 0.7, 0.3, 0.95, 0.7])
    probabilities = np.where(np.arange(2) == labels[:, None], 1 - wrong[:, None], wrong[:, None])
    indices = gallery_images.choose(labels, probabilities, first=1, mistakes=3)
    # Class 0 gives only its first image: the others are right. Class 1 gives number 0 as its first,
    # although it is a mistake too, then three mistakes by confidence, the earlier of equals first.
    assert indices.tolist() == [1, 0, 7, 5, 8]
    assert indices.dtype == np.int64
    assert gallery_images.choose(labels, probabilities, first=9, mistakes=3).tolist() == [
        *(1, 3, 6),
        *(0, 2, 4, 5, 7, 8),
    ]
    assert gallery_images.choose(labels, probabilities, first=0, mistakes=1).tolist() == [1, 7]
    with pytest.raises(CifarcamError, match="-1"):
        gallery_images.choose(labels, probabilities, first=-1, mistakes=1)
    with pytest.raises(CifarcamError, match="-2"):
        gallery_images.choose(labels, probabilities, first=1, mistakes=-2)
    for few in (labels[:6], np.append(labels, 0)):
        with pytest.raises(CifarcamError):
            gallery_images.choose(few, probabilities, first=1, mistakes=1)


def facts_of(count, doubtful, twins, missed):
    masks = [np.isin(np.arange(count), which) for which in (twins, doubtful, missed)]
    return ImageFacts(*masks, np.zeros(count, np.int64), ((),) * count)


def test_add_known_takes_the_first_of_each_kind_that_are_not_there_yet():
    facts = facts_of(20, doubtful=[4, 6, 9], twins=[2, 6, 7, 11], missed=[1, 4, 15])
    indices = np.array([12, 4, 3])
    # Of two each: 4 and 6, 2 and 6, 1 and 4.
    added = gallery_images.add_known(indices, facts, each=2)
    assert added.tolist() == [12, 4, 3, 6, 2, 1]
    assert added.dtype == np.int64
    assert gallery_images.add_known(indices, facts, each=9).tolist() == [
        12,
        4,
        3,
        6,
        9,
        2,
        7,
        11,
        1,
        15,
    ]
    assert gallery_images.add_known(indices, facts, each=0).tolist() == [12, 4, 3]
    assert gallery_images.add_known(indices, None, each=5).tolist() == [12, 4, 3]
    with pytest.raises(CifarcamError, match="-1"):
        gallery_images.add_known(indices, facts, each=-1)


def test_the_gallery_of_a_run_follows_the_rules():
    labels = np.repeat([0, 1], 20)
    wrong = np.linspace(0.4, 0.9, 40)  # the later, the surer of the other class
    predictions = np.where(np.arange(2) == labels[:, None], 1 - wrong[:, None], wrong[:, None])
    run, split = SimpleNamespace(predictions=predictions), SimpleNamespace(labels=labels)
    facts = facts_of(40, doubtful=range(2, 30), twins=[], missed=[])
    indices = gallery_images.of_run(run, SimpleNamespace(test=split), facts)
    # Six first images and five mistakes of each class, then of the first 15 in doubt the others.
    assert indices.tolist() == [
        *(0, 1, 2, 3, 4, 5, 19, 18, 17, 16, 15),
        *(20, 21, 22, 23, 24, 25, 39, 38, 37, 36, 35),
        *range(6, 15),
    ]
    # Up to image 7 the network is right.
    assert gallery_images.count_cells(labels, predictions, indices).tolist() == [[8, 12], [11, 0]]


def test_links_of_the_matrix_lead_to_cells_that_the_gallery_holds(small_gallery):
    counts = np.array([[300, 95, 5], [0, 350, 50], [7, 0, 393]])
    data = read_data(small_gallery["files"]["data.js"])
    pairs = list(zip(data["labels"], data["networks"][0]["predicted"], strict=True))
    held = gallery_images.count_cells(
        small_gallery["labels"], small_gallery["probabilities"]["a"], np.arange(12)
    )
    page = BeautifulSoup(
        confusion_links.table(counts, held, small_gallery["classes"]), "html.parser"
    )
    cells = page.select("td > .gallery-cell")
    assert [int(cell.get_text()) for cell in cells] == counts.ravel().tolist()
    opened = {}
    for link in page.find_all("a"):
        state = parse_qs(link["href"].removeprefix("gallery.html#"))
        (truth,), (predicted,) = state["class"], state["predicted"]
        cell = data["classes"].index(truth), data["classes"].index(predicted)
        shown = str(counts[cell])
        number = int(re.search(r"open (\d+) image", link["aria-label"])[1])
        assert link["aria-label"].startswith(f"{shown}, {truth} predicted as {predicted}: ")
        assert link.get_text() == shown
        opened[cell] = number
    assert opened == Counter(pairs)
    assert "holds 12 test images" in page.find("p").get_text()
    # The root of 95 of 400 images, and of all 400 at 40 percent.
    shades = [float(re.search(r"[\d.]+", cell["style"])[0]) for cell in cells]
    assert shades[:2] == pytest.approx([40 * 0.75**0.5, 40 * (95 / 400) ** 0.5], abs=0.05)


def test_pages_leave_out_what_only_print_shows():
    document = new_document("page")
    text, kept, left_out = nodes.paragraph("", "a"), nodes.container(), nodes.container()
    kept["classes"] += ["cell", "tag_hide-input"]
    left_out["classes"] += ["cell", "tag_hide-input", "tag_print-only"]
    document += [text, nodes.section("", left_out), kept]
    screens.WithoutPrintOnly(document).run()
    assert list(document.findall(nodes.container)) == [kept]
    assert screens.WithoutPrintOnly.formats == ("html",)


class Network:
    """A run whose network says the same of every image: 20% class 0 and 80% class 1."""

    def __init__(self, name="tiny", seed=0, dataset="d"):
        training = SimpleNamespace(seed=seed)
        self.experiment = SimpleNamespace(name=name, training=training)
        self.provenance = {"dataset_digest": dataset}
        self.metrics = {"test": {"confusion": [[3, 1], [2, 4]]}}

    def model(self):
        picture = keras.Input((4, 4, 3))
        maps = keras.layers.Conv2D(1, 1, kernel_initializer="ones")(picture)
        logits = keras.layers.Dense(2, kernel_initializer="zeros", name="logits")
        scores = logits(keras.layers.Flatten()(maps))
        logits.bias.assign([0, np.log(4)])
        return keras.Model(picture, keras.layers.Softmax()(scores))


def test_temperature_is_that_of_the_run_in_the_record_or_one():
    record = {
        "inputs": {"datasets": {"cifar10": "d"}},
        "runs": [
            {"experiment": "tiny", "seed": 0, "temperature": 3.5},
            {"experiment": "tiny", "seed": 1, "temperature": 2.5},
            {"experiment": "wide", "seed": 0, "temperature": 0.5},
        ],
    }
    assert gallery.temperature_of(Network(), record) == 3.5
    assert gallery.temperature_of(Network(seed=1), record) == 2.5
    assert gallery.temperature_of(Network("wide"), record) == 0.5
    assert gallery.temperature_of(Network(seed=2), record) == 1
    assert gallery.temperature_of(Network("other"), record) == 1
    assert gallery.temperature_of(Network(dataset="sample"), record) == 1


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (1, [1 / 5, 4 / 5]),  # odds of 4 to 1
        (2, [1 / 3, 2 / 3]),  # their square root, 2 to 1
        (0.5, [1 / 17, 16 / 17]),  # their square, 16 to 1
    ],
)
def test_answer_divides_the_scores_by_the_temperature_and_keeps_the_heatmaps(temperature, expected):
    dataset = dataset_of(np.full((5, 4, 4, 3), 7, np.uint8))
    answer = gallery.answer(Network(), dataset, np.array([1, 3]), ["random"], temperature)
    assert np.allclose(answer.probabilities, [expected] * 2, atol=1e-6)
    plain = gallery.answer(Network(), dataset, np.array([1, 3]), ["random"], 1)
    assert np.array_equal(answer.heatmaps["random"], plain.heatmaps["random"])
    assert list(answer.heatmaps) == ["random"]


def dataset_of(images, digest="d"):
    return SimpleNamespace(test=SimpleNamespace(images=images), digest=digest)


def test_answer_counts_test_images_only_where_the_network_was_tested_on_them():
    images, first = np.zeros((2, 4, 4, 3), np.uint8), np.array([0])
    own = gallery.answer(Network(), dataset_of(images), first, ["random"], 1)
    assert own.confusion.tolist() == [[3, 1], [2, 4]]
    other = gallery.answer(Network(), dataset_of(images, "other"), first, ["random"], 1)
    assert other.confusion is None


def test_encode_packs_pictures_without_loss():
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


def test_encode_gives_heatmaps_the_colours_of_the_report(small_gallery):
    from cifarcam.figures.heatmaps import coloured, scaled_for_display

    sprites = tiles(small_gallery["files"]["heatmaps-0-1.webp"], 12)
    for tile, heatmap in zip(sprites, small_gallery["maps"]["other"], strict=True):
        expected = coloured(scaled_for_display(heatmap))
        visible = tile[..., 3] > 0
        assert np.abs(tile[..., :3].astype(int) - expected)[visible].max() <= 4


def test_encode_keeps_heatmaps_to_256_colours_which_makes_small_files():
    maps = np.tile(np.linspace(0, 1, 256).reshape(16, 16), (11, 2, 2))  # the last row is not full
    answers = {"n": gallery.Answers(np.full((11, 2), 0.5), {"m": maps})}
    pictures, labels = np.zeros((11, 32, 32, 3), np.uint8), np.zeros(11, np.int64)
    files = gallery.encode(pictures, labels, np.arange(11), ["x", "y"], answers)
    pixels = np.asarray(Image.open(io.BytesIO(files["heatmaps-0-0.webp"])))
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) == 256


def test_encode_stores_the_predictions_of_the_networks(small_gallery):
    data = read_data(small_gallery["files"]["data.js"])
    assert data["classes"] == small_gallery["classes"]
    assert data["labels"] == small_gallery["labels"].tolist()
    assert data["places"] == small_gallery["places"].tolist()
    for network, (name, answers) in zip(
        data["networks"], small_gallery["answers"].items(), strict=True
    ):
        assert network["name"] == name
        assert network["predicted"] == answers.probabilities.argmax(axis=1).tolist()
        stored = np.array(network["probabilities"]) / data["units"]
        assert np.abs(stored - answers.probabilities).max() <= 0.5 / data["units"] + 1e-12
    assert [n["heatmaps"]["first"]["blank"] for n in data["networks"]] == [[2], []]
    counts = [[300, 95, 5], [0, 350, 50], [7, 0, 393]]
    assert [n["confusion"] for n in data["networks"]] == [counts, None]


def test_encode_stores_what_is_known_of_the_gallerys_images(small_gallery):
    facts = read_data(small_gallery["files"]["data.js"])["facts"]
    # Their places in the gallery, which holds images 100 to 111 of the split.
    assert {name: facts[name] for name in ("twin", "doubtful", "missed")} == {
        "twin": [1, 3],
        "doubtful": [8, 11],
        "missed": [1, 7, 11],
    }
    assert facts["people"] == [0, 1, 2, 3] * 3
    assert facts["sentences"][11] == ["First of 111.", "Second of 111."]
    arguments = ("pictures", "labels", "places", "classes", "answers")
    without = gallery.encode(*(small_gallery[name] for name in arguments))
    assert read_data(without["data.js"])["facts"] is None


def test_encode_gives_sprites_addresses_that_change_with_their_content(small_gallery):
    data = read_data(small_gallery["files"]["data.js"])
    names = [n["heatmaps"][m]["file"] for n in data["networks"] for m in data["methods"]]
    names.append(data["pictures"])
    assert {name.split("?")[0] for name in names} == set(small_gallery["files"]) - {"data.js"}
    versions = {name.split("?v=")[1] for name in names}
    assert len(versions) == len(
        {content for n, content in small_gallery["files"].items() if n != "data.js"}
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answers": {}}, "at least one image and one network"),
        ({"labels": np.zeros(3, int)}, "12 images, 3 labels and 12 places"),
        ({"class_names": ["cat", "dog"]}, "a: probabilities of shape"),
        ({"images": np.zeros((12, 16, 32, 3), np.uint8)}, "a, first: heatmaps of shape"),
        ({"images": np.zeros((12, 32, 32, 3))}, "give N x H x W x 3 uint8"),
    ],
)
def test_encode_refuses_arguments_that_do_not_fit_together(small_gallery, change, message):
    arguments = {
        "images": small_gallery["pictures"],
        "labels": small_gallery["labels"],
        "places": small_gallery["places"],
        "class_names": small_gallery["classes"],
        "answers": small_gallery["answers"],
    }
    with pytest.raises(CifarcamError, match=message):
        gallery.encode(**arguments | change)


def test_encode_refuses_other_methods_and_negative_heatmaps(small_gallery):
    arguments = (
        small_gallery["pictures"],
        small_gallery["labels"],
        small_gallery["places"],
        small_gallery["classes"],
    )
    probabilities, maps = small_gallery["probabilities"]["a"], small_gallery["maps"]
    other = gallery.Answers(probabilities, {"first": maps["first"]})
    with pytest.raises(CifarcamError, match="c: methods first; give the methods of the other"):
        gallery.encode(*arguments, {**small_gallery["answers"], "c": other})
    counted = gallery.Answers(probabilities, maps, np.zeros((3, 2)))
    with pytest.raises(CifarcamError, match=r"c: counts of shape \(3, 2\)"):
        gallery.encode(*arguments, {"c": counted})
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
    + re.search(
        r"^:::\{only\} html and with_pdf.*?^:::", (ROOT / "book/index.md").read_text(), re.M | re.S
    )[0]
)


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """A book of two pages, built as the report is: executed by papermill, set by Jupyter Book."""
    project = tmp_path_factory.mktemp("book")
    write_small_book(project, FRONT, {"gallery": CHAPTER})
    (project / "cifarcam.pdf").write_bytes(b"a report")
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
def open_page(chromium, html, kept):
    def open_one(address="", place=html, **options):
        return kept(Page(chromium, place, address, **options))

    return open_one


@pytest.mark.slow
def test_gallery_files_are_beside_the_page_and_only_it_loads_them(html, small_gallery):
    folder = html / "_static" / "gallery"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == small_gallery["files"]
    page = (html / "notebooks" / "gallery.html").read_text()
    for name in ("gallery.css", "gallery/data.js", "gallery.js"):
        assert page.count(f"../_static/{name}?v=") == 1, name
    assert "gallery.js" not in (html / "index.html").read_text()
    assert "gallery.css" not in (html / "index.html").read_text()


@pytest.mark.slow
def test_pdf_that_exists_is_copied_beside_the_pages(html):
    assert (html / "cifarcam.pdf").read_bytes() == b"a report"
    assert '<a href="cifarcam.pdf">' in (html / "index.html").read_text()


@pytest.mark.slow
def test_gallery_in_print_and_without_scripts_says_where_it_works(html, open_page):
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
def test_gallery_asks_no_server_and_its_script_does_not_fail(open_page, html):
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
def test_gallery_filters_count_what_they_show(open_page):
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


def open_matrix(page):
    page.page.get_by_text("Confusion matrix: open").click()
    return page.page.locator(".gallery-matrix")


@pytest.mark.slow
def test_gallery_filters_by_what_is_known_of_images(open_page):
    page = open_page()
    labels = page.page.locator(".gallery-checks label").all_inner_texts()
    assert [label.strip() for label in labels] == [
        "no network here is right (0)",
        "no published network is right (3)",
        "the label is in doubt (2)",
        "a near twin is a training image (2)",
    ]
    page.control("missed").check()
    assert page.shown == [1, 7, 11]
    page.control("doubtful").check()
    assert page.shown == [11]
    assert page.hash == "#missed=only&doubtful=only"
    page.control("missed").uncheck()
    assert page.shown == [8, 11]
    page.control("doubtful").uncheck()
    page.control("twin").check()
    assert page.shown == [1, 3]
    page.choose(people="most")
    assert page.shown == [1]
    page.control("twin").uncheck()
    assert page.shown == [1, 5, 9]
    page.choose(people="fewer")
    assert page.shown == [3, 7, 11]
    page.control("unrecognised").check()
    assert page.shown == []
    again = open_page("#people=half&twin=perhaps")
    assert again.shown == [2, 6, 10]


@pytest.mark.slow
def test_gallery_says_what_is_known_of_an_image(open_page):
    page = open_page("#image=111")
    assert page.title == "ship, recognised with 95%; label in doubt"
    known = page.dialog.locator(".gallery-known li")
    assert known.all_inner_texts() == ["First of 111.", "Second of 111."]
    page.page.keyboard.press("ArrowLeft")
    assert known.all_inner_texts() == ["First of 110.", "Second of 110."]
    page.page.keyboard.press("Escape")
    assert page.name(8) == "ship, recognised with 81%, label in doubt"
    assert "label in doubt" in page.tile(8).inner_text()
    assert page.name(9) == "ship, recognised with 86%"


@pytest.mark.slow
def test_gallery_without_facts_does_not_ask_for_them(html, open_page, tmp_path, small_gallery):
    copy = tmp_path / "html"
    shutil.copytree(html, copy)
    arguments = ("pictures", "labels", "places", "classes", "answers")
    files = gallery.encode(*(small_gallery[name] for name in arguments))
    (copy / "_static" / "gallery" / "data.js").write_bytes(files["data.js"])
    page = open_page("#people=fewer&twin=only&image=111", place=copy)
    assert page.page.locator(".gallery-checks input").count() == 1
    assert page.page.locator("[name=people]").count() == 0
    assert page.title == "ship, recognised with 95%"
    page.page.keyboard.press("Escape")
    assert page.shown == list(range(12))
    assert page.hash == ""
    assert page.errors == []


@pytest.mark.slow
def test_gallery_opens_the_images_of_a_cell_of_the_confusion_matrix(open_page):
    page = open_page()
    table = page.page.locator(".gallery-matrix")
    assert not table.is_visible()
    open_matrix(page)
    rows = [row.inner_text().split("\t") for row in table.locator("tbody tr").all()]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["cat", "300", "95", "5"],
        ["dog", "0", "350", "50"],
        ["ship", "7", "0", "393"],
    ]
    cells = table.locator("button")
    page.choose(outcome="right")
    cells.nth(5).click()  # a cell shows all of its images, whatever was chosen before
    assert page.shown == [4, 7]
    assert page.hash == "#class=dog&predicted=ship&matrix=open"
    assert page.status == (
        "2 of 12 images; the network a is right on 0. "
        "The network takes 50 test images of class dog for ship; 2 of them are here."
    )
    assert cells.nth(5).get_attribute("aria-pressed") == "true"
    assert cells.nth(5).get_attribute("aria-label") == (
        "dog, taken for ship: 50 test images, 2 of them here"
    )
    cells.nth(2).click()
    assert page.shown == []
    assert page.status == (
        "No image fits this choice. Widen it, or reset it. "
        "The network takes 5 test images of class cat for ship; none of them is here."
    )
    cells.nth(3).click()
    assert page.status.endswith("The network takes no test image of class dog for cat.")
    cells.nth(4).click()
    assert page.status.endswith(
        "The network recognises 350 test images of class dog; 2 of them are here."
    )
    cells.nth(4).click()  # again: all images
    assert page.shown == list(range(12))
    assert page.hash == "#matrix=open"


@pytest.mark.slow
def test_gallery_counts_its_own_images_for_a_network_tested_on_others(open_page):
    page = open_page("#network=b,+second&class=dog&predicted=dog&matrix=open")
    table = page.page.locator(".gallery-matrix")
    assert table.is_visible()
    assert table.locator("button").all_inner_texts() == [
        "4",
        "0",
        "0",
        "0",
        "4",
        "0",
        "0",
        "0",
        "4",
    ]
    assert "for the images of the gallery" in table.locator("caption").inner_text()
    assert page.shown == [4, 5, 6, 7]
    assert page.status == "4 of 12 images; the network b, second is right on 4."
    page.choose(network="a")
    assert table.locator("button").first.inner_text() == "300"
    assert "for all test images" in table.locator("caption").inner_text()


@pytest.mark.slow
def test_gallery_confusion_matrix_is_used_by_the_keyboard_alone(open_page):
    page = open_page()
    keyboard = page.page.keyboard
    page.page.locator(".gallery-confusions summary").focus()
    keyboard.press("Enter")
    keyboard.press("Tab")
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowRight", "Enter"):
        keyboard.press(key)  # the last arrow leads nowhere: the row has an end
    assert page.status.endswith("of class dog for ship; 2 of them are here.")
    keyboard.press("Shift+Tab")
    keyboard.press("Tab")  # back to the same cell
    keyboard.press("ArrowLeft")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.page.evaluate(focused) == "dog, recognised: 350 test images, 2 of them here"
    keyboard.press("Tab")  # past the matrix
    assert page.page.evaluate("!document.activeElement.closest('.gallery-matrix')")


@pytest.mark.slow
def test_gallery_confidence_has_two_bounds_that_do_not_cross(open_page, small_gallery):
    page = open_page()
    page.slide("from", 60)
    expected = [i for i, c in enumerate(small_gallery["confidence"]) if c >= 0.6]
    assert page.shown == expected
    page.slide("to", 80)
    assert page.shown == [i for i in expected if small_gallery["confidence"][i] <= 0.8]
    assert page.control("to").get_attribute("aria-valuetext") == "80%"
    page.slide("from", 90)
    assert page.control("to").input_value() == "90"
    assert "from=90" in page.hash
    # By the keyboard as well.
    page.control("from").focus()
    page.page.keyboard.press("ArrowRight")
    assert page.control("from").input_value() == "91"


@pytest.mark.slow
def test_gallery_tiles_name_class_prediction_and_confidence(open_page):
    page = open_page()
    assert page.name(0) == "cat, recognised with 45%"
    assert page.name(1) == "cat, taken for dog with 50%"
    assert page.name(2) == "cat, recognised with 54%, no positive evidence"
    assert "no positive evidence" in page.tile(2).inner_text()
    page.choose(method="other")
    assert page.name(2) == "cat, recognised with 54%"


@pytest.mark.slow
def test_gallery_shows_the_pixels_of_picture_and_overlay(open_page, small_gallery):
    from cifarcam.figures.heatmaps import overlaid, scaled_for_display

    page = open_page()
    heat = small_gallery["maps"]["other"]
    page.choose(method="other")
    page.page.wait_for_load_state("networkidle")
    for opacity in (0, 65):
        page.slide("opacity", opacity)
        page.page.wait_for_timeout(200)
        for image in (0, 2, 9, 10, 11):
            picture = small_gallery["pictures"][image]
            expected = (
                picture if not opacity else overlaid(picture, scaled_for_display(heat[image]))
            )
            difference = np.abs(page.colours(image) - expected)
            assert difference.max() <= 6, (opacity, image, difference.max())


@pytest.mark.slow
def test_gallery_image_opens_large_and_closes_by_the_keyboard_alone(open_page, small_gallery):
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
def test_gallery_dialog_keeps_the_focus_and_its_controls_their_arrow_keys(open_page):
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
def test_gallery_dialog_closes_on_a_click_beside_it_only(open_page):
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
def test_gallery_address_brings_back_the_view(open_page):
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
def test_gallery_ignores_nonsense_in_its_address(open_page):
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
def test_gallery_image_outside_of_the_filter_can_be_linked_and_left(open_page):
    page = open_page("#class=cat&image=105")
    assert "outside of the choice" in page.dialog.inner_text()
    page.page.get_by_role("button", name="Next").click()
    assert page.title == "cat, recognised with 45%"
    page = open_page("#class=cat&image=105")
    page.page.get_by_role("button", name="Previous").click()
    assert page.title == "cat, recognised with 59%"


@pytest.mark.slow
def test_gallery_reports_a_missing_sprite(html, open_page, tmp_path):
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
def test_gallery_is_readable_and_free_of_barriers_at_every_width(open_page, width, scheme):
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.page.evaluate("document.documentElement.dataset.theme") == scheme
    for opened in ("", "matrix", "image"):
        if opened == "matrix":
            open_matrix(page).locator("button").nth(1).click()
        elif opened == "image":
            page.tile(1).click()
        wide = "[document.documentElement, document.querySelector('.gallery-dialog')]"
        assert page.page.evaluate(f"{wide}.every((e) => e.scrollWidth <= e.clientWidth)")
        assert page.barriers("article") == []
