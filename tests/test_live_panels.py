"""The panels below the live picture: what adds up to a heatmap, removed pixels, covered parts."""

import re
import shutil
from types import SimpleNamespace
from urllib.parse import quote

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import LivePage

from cifarcam import data, explain
from cifarcam.explain import metrics
from cifarcam.models.custom_cnn import Options, build
from cifarcam.report import live

MAPS = 30  # feature maps of the last layer
STEPS = 16
KEYS = ("first", "other")
pytestmark = pytest.mark.slow


def network(seed):
    """A small network with random weights, whose feature maps speak for and against each class."""
    keras.utils.set_random_seed(seed)
    model = build(Options(filters=(6, MAPS), dense=20, dropout=0.1))
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(generator.uniform(-0.2, 0.2, weight.shape))
        elif weight.path.startswith("logits"):
            weight.assign(8 * weight)  # else all probabilities were near a tenth
    return model


@pytest.fixture(scope="module")
def models():
    return {key: network(seed) for seed, key in enumerate(KEYS)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, live_html, models):
    """The pages of the live component with the networks of this module and ten pictures."""
    copy = tmp_path_factory.mktemp("panels") / "html"
    shutil.copytree(live_html, copy)
    scripts = copy / "_static" / "live" / "data"
    shutil.rmtree(scripts)
    scripts.mkdir()
    dataset = data.load("sample")
    networks = {
        f"the {key} network": SimpleNamespace(
            name=key, model=lambda key=key: models[key], metrics={"test": {"accuracy": 0.1}}
        )
        for key in KEYS
    }
    for name, content in live.encode(networks, dataset, np.arange(10), "float32").items():
        (scripts / name).write_bytes(content)
    return copy


COUNT = """(() => {
  const { engine } = cifarcamLive;
  window.calls = [];
  for (const [job, ask] of Object.entries(engine)) {
    engine[job] = (key, pixels, options, ...rest) => {
      window.calls.push({ job, key, options });
      return ask(key, pixels, options, ...rest);
    };
  }
})()"""
SHOWN = {
    "inside": "cifarcamLive.inside.viewOf(app)",
    "deletion": "cifarcamLive.questions.viewOf('deletion', app)",
    "occlusion": "cifarcamLive.questions.viewOf('occlusion', app)",
}


class Page(LivePage):
    """The page, with words for its panels."""

    def __init__(self, browser, path, address="", **options):
        super().__init__(browser, path, address, **options)
        self.page.evaluate(COUNT)

    def panel(self, name):
        """A panel, opened if it was closed, whose answer is that for the newest picture."""
        words = {"inside": "Look inside", "deletion": "the map marks", "occlusion": "is covered"}
        node = self.app.locator(".live-panel").filter(has_text=words[name]).last
        if not node.evaluate("(node) => node.open"):
            node.locator("> summary").click()
        self.wait(name)
        return node

    def wait(self, name):
        self.settle()
        self.page.wait_for_timeout(250)  # a question waits for a hand at rest
        self.page.wait_for_function(
            f"""() => {{
              const app = cifarcamLive.apps[0];
              const view = {SHOWN[name]};
              const isOld = view.body?.classList.contains("live-ask-old") ?? false;
              return !isOld && view.found?.pixels === app.pixels;
            }}"""
        )

    def view(self, name, expression):
        return self.now(f"((view) => {expression})({SHOWN[name]})")

    def array(self, name, expression):
        return np.array(self.view(name, f"[...{expression}]"))

    @property
    def jobs(self):
        return [call["job"] for call in self.page.evaluate("window.calls")]

    def asked(self, job):
        """The options of the last call of a job, typed arrays as lists."""
        return self.page.evaluate(
            """(job) => {
              const { options } = window.calls.findLast((call) => call.job === job);
              return { ...options, orders: options.orders?.map((order) => [...order]) };
            }""",
            job,
        )

    @property
    def target(self):
        return self.now("app.target()")

    @property
    def image(self):
        return self.pixels[np.newaxis].astype(np.float32)


@pytest.fixture
def open_page(chromium, folder, kept):
    def open_one(address="", page="index", **options):
        return kept(Page(chromium, folder / f"{page}.html", address, **options))

    return open_one


def percent(share):
    value = 100 * share
    return "<1%" if 0 < value < 0.5 else f"{int(value + 0.5)}%"


# ---- look inside ----


def maps_and_gradients(model, image, target, layer="conv2"):
    part = keras.Model(
        model.inputs, [model.get_layer(layer).output, model.get_layer("logits").output]
    )
    with tf.GradientTape() as tape:
        maps, logits = part([image])
        score = logits[0, target]
    return maps.numpy()[0], tape.gradient(score, maps).numpy()[0]


def expected_order(parts):
    """Numbers of feature maps by the sum of what they add: h x w x maps."""
    return np.argsort(-parts.sum(axis=(0, 1)), kind="stable")


def test_feature_maps_come_in_the_order_of_what_they_add(open_page, models):
    page = open_page()
    panel = page.panel("inside")
    maps, gradients = maps_and_gradients(models["first"], page.image, page.target)
    weights = gradients.mean(axis=(0, 1))
    sums = (maps * weights).sum(axis=(0, 1))
    order = expected_order(maps * weights)
    assert (sums > 0).sum() > 3
    assert (sums < 0).sum() > 3
    assert page.array("inside", "view.found.order").tolist() == order.tolist()
    tiles = panel.locator(".live-in-tile")
    assert tiles.count() == 24
    panel.get_by_role("button", name=f"Show all {MAPS} feature maps").click()
    assert tiles.count() == MAPS
    shown = tiles.evaluate_all(
        "(tiles) => tiles.map((tile) => [tile.dataset.map, tile.dataset.added])"
    )
    assert [int(number) for number, _ in shown] == order.tolist()
    assert np.allclose([float(added) for _, added in shown], sums[order], rtol=1e-4, atol=1e-5)
    for rank in (0, MAPS - 1):
        name = tiles.nth(rank).inner_text().split("\n")
        number = order[rank]
        share = 100 * sums[number] / np.abs(sums).sum()
        assert name[0] == f"{rank + 1} of {MAPS}: feature map {number + 1}"
        assert float(name[1].replace("× ", "").replace("−", "-")) == pytest.approx(
            weights[number], rel=0.06
        )
        assert float(name[2].replace("−", "-").strip("%")) == pytest.approx(share, rel=0.06)
    panel.get_by_role("button", name="Show the first 24 only").click()
    assert tiles.count() == 24


def test_slider_shows_the_sum_of_the_first_feature_maps(open_page, models):
    page = open_page()
    panel = page.panel("inside")
    maps, gradients = maps_and_gradients(models["first"], page.image, page.target)
    parts = maps * gradients.mean(axis=(0, 1))
    order = expected_order(parts)
    for count in (0, 1, 12, MAPS):
        page.slide("Feature maps added", count)
        partial = parts[..., order[:count]].sum(axis=-1)
        shown = page.array("inside", "view.shown.sum").reshape(16, 16)
        assert np.abs(shown - partial).max() < 1e-4 * np.abs(parts).max()
        heat = tf.image.resize(np.maximum(partial, 0)[..., np.newaxis], (32, 32)).numpy()[..., 0]
        shown = page.array("inside", "view.shown.heat").reshape(32, 32)
        assert np.abs(shown - heat).max() < 1e-4 * np.abs(parts).max()
        assert panel.locator(".live-value").inner_text() == f"{count} of {MAPS}"
        faded = panel.locator(".live-in-tile.live-in-later").count()
        assert faded == max(0, 24 - count)
    page.slide("Feature maps added", 12)
    number = order[11]
    text = panel.locator(".live-in-equation").inner_text()
    assert f"One feature map: 12 of {MAPS}, by what it adds" in text
    assert "Added up: the first 12" in text
    assert f"feature map {number + 1}\n" in text
    assert panel.locator("[aria-current=step]").get_attribute("data-map") == str(number)
    # A tile adds up to itself, and the slider's buttons take one step.
    panel.locator(".live-in-tile").nth(4).click()
    assert page.view("inside", "view.shown.count") == 5
    panel.get_by_role("button", name="One step on").click()
    assert page.view("inside", "view.shown.count") == 6
    page.page.keyboard.press("Shift+Tab")
    page.page.keyboard.press("ArrowLeft")
    assert page.view("inside", "view.shown.count") == 5


@pytest.mark.parametrize("against", [None, "dog"])
@pytest.mark.parametrize("method", ["grad-cam", "hires-cam", "layer-cam", "grad-cam++"])
def test_sum_of_all_is_the_heatmap_of_every_method(open_page, models, method, against):
    page = open_page(
        f"#method={quote(method)}&class=cat" + (f"&against={against}" if against else "")
    )
    page.panel("inside")
    heat = page.array("inside", "view.shown.heat").reshape(32, 32)
    assert heat.max() > 0
    assert np.abs(heat - page.map).max() <= 1e-6 * heat.max()
    if against is None:
        explainer = explain.METHODS[method](models["first"])
        expected = explainer(page.image, targets=[page.target])[0]
        assert np.abs(heat - expected).max() <= 1e-4 * expected.max()
    parts = page.array("inside", "view.found.parts").reshape(MAPS, -1)
    whole = page.array("inside", "view.shown.sum")
    assert np.abs(parts.sum(axis=0) - whole).max() <= 1e-5 * np.abs(whole).max()
    # What is drawn last is what lies over the large picture.
    large, last = (
        page.page.evaluate(
            """(selector) => {
              const canvas = document.querySelector(selector);
              return [...canvas.getContext("2d").getImageData(0, 0, 32, 32).data];
            }""",
            selector,
        )
        for selector in (
            ".live-stage canvas",
            ".live-in-equation .live-in-group:last-child figure:last-child canvas",
        )
    )
    assert np.abs(np.subtract(large, last)).max() <= 1


def test_other_layers_have_their_own_heatmaps(open_page, models):
    page = open_page()
    panel = page.panel("inside")
    panel.get_by_label("Layer").select_option(label="convolution 1")
    page.page.wait_for_function(
        f"(() => {{ const app = cifarcamLive.apps[0]; return {SHOWN['inside']}.found.layer === 'conv1'; }})()"
    )
    heat = page.array("inside", "view.shown.heat").reshape(32, 32)
    expected = explain.GradCAM(models["first"], "conv1")(page.image, targets=[page.target])[0]
    assert np.abs(heat - expected).max() <= 1e-4 * expected.max()
    assert panel.locator(".live-in-tile").count() == 6
    assert not panel.get_by_role("button", name=re.compile("Show")).is_visible()
    assert "the heatmap of convolution 1" in panel.inner_text()
    # The other network begins with its last layer again.
    page.app.get_by_label("Network", exact=True).select_option("other")
    page.wait("inside")
    assert page.view("inside", "view.found.layer") == "conv2"
    expected = explain.GradCAM(models["other"])(page.image, targets=[page.target])[0]
    heat = page.array("inside", "view.shown.heat").reshape(32, 32)
    assert np.abs(heat - expected).max() <= 1e-4 * expected.max()


def test_finding_counts_what_speaks_for_and_against(open_page, models):
    page = open_page()
    panel = page.panel("inside")
    maps, gradients = maps_and_gradients(models["first"], page.image, page.target)
    sums = (maps * gradients.mean(axis=(0, 1))).sum(axis=(0, 1))
    name = data.load("sample").class_names[page.target]
    ten = np.sort(sums)[::-1][:10].clip(0).sum() / np.abs(sums).sum()
    few = min(10, (sums > 0).sum())
    silent = (sums == 0).sum()
    assert (
        f"Of the {MAPS} feature maps of convolution 2, {(sums > 0).sum()} speak for {name}, "
        f"{(sums < 0).sum()} against, and {silent} add nothing. The first {few} make up "
        f"{percent(ten)} of all that is added or taken away."
    ) in panel.inner_text()


def test_words_of_an_empty_heatmap_and_of_one_that_speaks(open_page):
    page = open_page()
    words = page.page.evaluate(
        """() => {
          const { finding, namesOf } = cifarcamLive.insideWords;
          const names = namesOf(3, null);
          const about = { count: 3, hasHeat: false, order: [0, 1, 2], title: "convolution 2", names };
          return [
            finding({ ...about, added: [0, -1, 0], shares: [0, -1, 0] }),
            finding({ ...about, added: [1, -3, 0], shares: [0.25, -0.75, 0] }),
            namesOf(3, 5),
          ];
        }"""
    )
    assert words[0] == "None of the 3 feature maps of convolution 2 speaks for cat."
    assert words[1] == (
        "Of the 3 feature maps of convolution 2, 1 speaks for cat, 1 against, and 1 add nothing. "
        "The first 1 make up 25% of all that is added or taken away. At every position more is taken "
        "away than added, so that the heatmap is empty."
    )
    assert words[2] == {
        "name": "cat rather than dog",
        "contrary": "for dog rather than cat",
        "score": "the lead of cat over dog",
    }


def test_play_adds_the_rest_and_pauses_and_nothing_moves_by_itself(open_page):
    page = open_page()
    panel = page.panel("inside")
    button = panel.locator(".live-primary")
    assert page.view("inside", "view.shown.count") == MAPS
    page.page.wait_for_timeout(1000)
    assert page.view("inside", "view.shown.count") == MAPS
    page.slide("Feature maps added", MAPS - 4)
    button.click()
    assert button.inner_text() == "Pause"
    page.page.wait_for_function(
        f"cifarcamLive.inside.viewOf(cifarcamLive.apps[0]).shown.count === {MAPS}"
    )
    page.page.wait_for_timeout(200)
    assert button.inner_text() == "Add them up one by one"
    # At the end it begins anew, and a second press stops it.
    button.click()
    page.page.wait_for_function(
        "cifarcamLive.inside.viewOf(cifarcamLive.apps[0]).shown.count === 1"
    )
    button.click()
    count = page.view("inside", "view.shown.count")
    page.page.wait_for_timeout(1000)
    assert page.view("inside", "view.shown.count") == count < 3
    assert page.errors == []


def test_chapter_explains_the_sum_in_five_sentences(open_page):
    page = open_page(page="notebooks/heatmaps")
    page.wait("inside")
    panel = page.panel("inside")
    assert page.jobs.count("inside") <= 1  # the panel was open before the calls were counted
    sentences = panel.locator(".live-in-steps li").all_inner_texts()
    assert len(sentences) == 5
    assert panel.get_by_label("Layer").count() == 0
    assert "Its mean over all positions is the weight" in sentences[1]
    assert "times weight" in sentences[2]
    assert "cut off" in sentences[4]
    page.app.get_by_label("Method").select_option("layer-cam")
    page.wait("inside")
    sentences = panel.locator(".live-in-steps li").all_inner_texts()
    assert "takes no mean" in sentences[1]
    assert "Blue" not in " ".join(sentences)
    assert "times gradient" in sentences[2]
    assert page.app.locator(".live-panel").count() == 1
    assert page.hash == ""


# ---- removed pixels ----


def ranked(order):
    """A heatmap whose order of pixels is given."""
    heatmap = np.empty(1024)
    heatmap[order] = np.arange(1024, 0, -1)
    return heatmap.reshape(1, 32, 32)


def test_curves_are_those_of_the_metric_and_the_sentence_states_their_areas(open_page, models):
    page = open_page()
    panel = page.panel("deletion")
    orders = [np.array(order) for order in page.asked("deletion")["orders"]]
    assert len(orders) == 7
    assert all(np.array_equal(np.sort(order), np.arange(1024)) for order in orders)
    assert len({tuple(order) for order in orders}) == 7
    # The map's order and the centre's go downhill; the random ones have nothing to do with either.
    blob = explain.CentreBlob(models["first"])(page.image)[0].ravel()
    assert (np.diff(page.map.ravel()[orders[0]]) <= 0).all()
    assert (np.diff(blob[orders[-1]]) <= 1e-6).all()
    assert max(abs(np.corrcoef(order, np.arange(1024))[0, 1]) for order in orders[1:6]) < 0.15
    classifier, targets = explain.Classifier(models["first"]), [page.target]
    expected = [
        metrics.deletion(classifier, page.image, ranked(order), targets, steps=STEPS)
        for order in orders
    ]
    curves = np.concatenate([one.probabilities for one in expected])
    curves = np.stack([curves[0], curves[1:6].mean(axis=0), curves[6]])
    areas = [
        expected[0].areas[0],
        np.mean([one.areas[0] for one in expected[1:6]]),
        expected[6].areas[0],
    ]
    shown = np.array(page.view("deletion", "view.found.curves.map((curve) => [...curve])"))
    assert np.abs(shown - curves).max() < 1e-5
    assert np.abs(shown[:, 0] - page.probabilities[page.target]).max() < 1e-6
    assert np.ptp(shown, axis=1).min() > 0.05
    rows = panel.locator("tbody tr")
    assert rows.evaluate_all("(rows) => rows.map((row) => row.cells[2].textContent)") == [
        percent(area) for area in areas
    ]
    name = data.load("sample").class_names[page.target]
    assert (
        f"Averaged over the curve, {name} keeps {percent(areas[0])} in the map's order, "
        f"{percent(areas[1])} in random order and {percent(areas[2])} from the centre outwards."
    ) in panel.inner_text()
    for step in (0, 5, STEPS):
        page.slide("Pixels removed", step)
        share = f"{round(100 * step / STEPS)}%"
        assert rows.evaluate_all("(rows) => rows.map((row) => row.cells[1].textContent)") == [
            percent(value) for value in curves[:, step]
        ]
        assert panel.locator("thead th").nth(1).inner_text() == f"at {share}"
        drawn = panel.locator("figure canvas").first.evaluate(
            "(canvas) => [...canvas.getContext('2d').getImageData(0, 0, 32, 32).data]"
        )
        altered = page.image[0].reshape(1024, 3).copy()
        altered[orders[0][: 64 * step]] = altered.mean(axis=0)
        assert np.abs(np.reshape(drawn, (1024, 4))[:, :3] - altered).max() <= 1


VERDICTS = {
    (0.1, 0.3, 0.3): "The map finds what the network needs better than chance and the centre blob.",
    (0.3, 0.3, 0.3): "The map does as well as chance and the centre blob.",
    (0.5, 0.3, 0.3): "The map does worse than chance and the centre blob.",
    (
        0.1,
        0.3,
        0.1,
    ): "The map finds what the network needs better than chance, and does as well as the centre blob.",
    (
        0.2,
        0.3,
        0.1,
    ): "The map finds what the network needs better than chance, but does worse than the centre blob.",
    (0.3, 0.3, 0.1): "The map does as well as chance, and does worse than the centre blob.",
    (
        0.3,
        0.3,
        0.5,
    ): "The map does as well as chance, and finds what the network needs better than the centre blob.",
    (
        0.4,
        0.3,
        0.5,
    ): "The map does worse than chance, but finds what the network needs better than the centre blob.",
    (0.4, 0.3, 0.4): "The map does worse than chance, and does as well as the centre blob.",
}


def test_verdict_is_a_whole_sentence_in_every_case(open_page):
    page = open_page().page
    for areas, sentence in VERDICTS.items():
        said = page.evaluate("(areas) => cifarcamLive.questions.verdictOf(...areas)", areas)
        assert said == sentence


def test_class_with_little_to_lose_gets_no_verdict(open_page):
    page = open_page()
    shown = page.now("[...Array(10).keys()].map((k) => Math.max(...app.mapOf(app.answer, k)))")
    is_low = (page.probabilities < 0.05) & (np.array(shown) > 0)
    page.app.locator(".live-answer").nth(int(is_low.argmax())).click()
    text = page.panel("deletion").inner_text()
    assert "to begin with, so that there is little to lose" in text
    assert "than chance" not in text


def test_empty_map_has_a_random_order_and_no_verdict(open_page):
    page = open_page()
    shown = page.now("[...Array(10).keys()].map((k) => Math.max(...app.mapOf(app.answer, k)))")
    page.app.locator(".live-answer").nth(shown.index(0)).click()
    text = page.panel("deletion").inner_text()
    assert "The map is empty, so that its order is chance." in text
    assert abs(np.corrcoef(page.asked("deletion")["orders"][0], np.arange(1024))[0, 1]) < 0.15


# ---- covered parts ----


@pytest.mark.parametrize("size", [8, 16])
def test_occlusion_is_the_fall_under_a_grey_square(open_page, models, size):
    page = open_page()
    panel = page.panel("occlusion")
    if size != 8:
        panel.get_by_label("Square", exact=True).select_option(str(size))
        page.page.wait_for_function(
            f"(() => {{ const app = cifarcamLive.apps[0]; return {SHOWN['occlusion']}.found.size === {size}; }})()"
        )
    target = page.target
    places = range(0, 32 - size + 1, size // 2)
    pictures = []
    for top in places:
        for left in places:
            covered = page.image[0].copy()
            covered[top : top + size, left : left + size] = 128
            pictures.append(covered)
    whole = models["first"].predict(page.image, verbose=0)[0, target]
    values = models["first"].predict(np.stack(pictures), verbose=0)[:, target]
    falls = page.array("occlusion", "view.found.falls")
    assert np.abs(falls - (whole - values)).max() < 1e-5
    counts, sums = np.zeros((32, 32)), np.zeros((32, 32))
    corners = [(top, left) for top in places for left in places]
    for (top, left), fall in zip(corners, whole - values, strict=True):
        sums[top : top + size, left : left + size] += fall
        counts[top : top + size, left : left + size] += 1
    shown = page.array("occlusion", "view.found.map").reshape(32, 32)
    assert np.abs(shown - sums / counts).max() < 1e-5
    name = data.load("sample").class_names[target]
    text = panel.inner_text()
    assert f"Without the square, {name} has {percent(whole)}." in text
    lowest, highest = values.argmin(), values.argmax()
    for word, at, change in (
        ("falls", lowest, whole - values[lowest]),
        ("rises", highest, values[highest] - whole),
    ):
        top, left = corners[at]
        sentence = (
            f"It {word} furthest, to {percent(values[at])}, when rows {top + 1} to {top + size}, "
            f"columns {left + 1} to {left + size} are covered."
        )
        assert (sentence in text) == (change > 0.005)
    # The square lies first where it matters most, and then where the reader wants it.
    assert panel.locator(".live-value").inner_text() == f"{lowest + 1} of {len(corners)}"
    page.slide("Position of the square", 3)
    drawn = panel.locator("figure canvas").first.evaluate(
        "(canvas) => [...canvas.getContext('2d').getImageData(0, 0, 32, 32).data]"
    )
    assert np.abs(np.reshape(drawn, (32, 32, 4))[..., :3] - pictures[2]).max() <= 1
    assert f"{name}: {percent(values[2])} with the square" in panel.inner_text()


# ---- all of them ----


def test_closed_panels_ask_nothing(open_page):
    page = open_page()
    page.app.locator(".live-tile").nth(3).click()
    page.settle()
    page.app.get_by_label("Method").select_option("hires-cam")
    page.settle()
    page.page.wait_for_timeout(600)
    assert set(page.jobs) <= {"answer", "load"}
    for name in SHOWN:
        page.panel(name)
        assert set(page.jobs) <= {"answer", "load", name}
        assert page.jobs.count(name) == 1
        # Neither for a question that still waits when its panel is closed.
        page.now(
            f"{SHOWN[name]}.update(), document.querySelectorAll('.live-panel').forEach((one) => (one.open = false))"
        )
        page.app.get_by_label("Method").select_option("grad-cam")
        page.settle()
        page.page.wait_for_timeout(600)
        assert page.jobs.count(name) == 1
        page.app.get_by_label("Method").select_option("hires-cam")
        page.settle()
        page.page.evaluate("window.calls.length = 0")
    assert page.errors == []


def test_panels_follow_the_newest_picture(open_page, models):
    page = open_page()
    for name in SHOWN:
        page.panel(name)
    for number in (1, 2, 3):  # faster than the questions are answered
        page.app.locator(".live-tile").nth(number).click()
    for name in SHOWN:
        page.wait(name)
    target = page.target
    whole = models["first"].predict(page.image, verbose=0)[0, target]
    assert page.view("deletion", "view.found.curves[0][0]") == pytest.approx(whole, abs=1e-5)
    assert page.view("occlusion", "view.found.whole") == pytest.approx(whole, abs=1e-5)
    heat = page.array("inside", "view.shown.heat")
    assert np.abs(heat - page.map.ravel()).max() <= 1e-6 * heat.max()
    assert page.errors == []


@pytest.mark.parametrize(
    ("page_name", "width", "scheme"),
    [("index", 1440, "light"), ("index", 375, "dark"), ("notebooks/heatmaps", 375, "light")],
)
def test_panels_are_free_of_barriers(open_page, folder, page_name, width, scheme):
    page = open_page(page=page_name, viewport={"width": width, "height": 900}, color_scheme=scheme)
    for name in SHOWN if page_name == "index" else ["inside"]:
        page.panel(name)
    page.page.evaluate(
        "document.querySelectorAll('.live-app details').forEach((one) => (one.open = true))"
    )
    page.slide("Feature maps added", 5)
    assert page.barriers(".live-panel") == []
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    low = page.page.evaluate(
        """[...document.querySelectorAll('.live-panel :is(button, select, input, summary)')]
             .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 39.5)
             .map((one) => one.outerHTML)"""
    )
    assert low == []
    unnamed = page.page.evaluate(
        """[...document.querySelectorAll('.live-panel :is(canvas, svg[role=img])')]
             .filter((one) => !one.closest('[aria-hidden=true]') && !one.getAttribute('aria-label'))
             .length"""
    )
    assert unnamed == 0
    assert page.errors == []
    assert page.asked_outside(folder) == []
