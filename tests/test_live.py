"""The live component's networks: their export, and their arithmetic in a browser beside Keras's."""

import base64
import json
import re
import zlib
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from helpers import ROOT, OpenPage

from cifarcam import data, explain, models, runs
from cifarcam.errors import CifarcamError
from cifarcam.models.custom_cnn import Options, build
from cifarcam.report import live, live_network

SCRIPTS = ROOT / "book" / "_static" / "live"
SMALL = {"filters": (5, 12), "dense": 9, "dropout": 0.5}
FAMILY = {
    "plain": SMALL,
    "one filter": SMALL | {"filters": (1,)},
    "five poolings": SMALL | {"filters": (8, 3, 9, 6, 7)},
    "batch normalisation": SMALL | {"batch_normalization": True},
    "attention": SMALL | {"filters": (8, 17), "attention": "squeeze-and-excitation"},
    "both": SMALL
    | {"filters": (16, 9), "batch_normalization": True, "attention": "squeeze-and-excitation"},
}


@pytest.fixture(scope="module")
def sample():
    return data.load("sample")


@pytest.fixture(scope="module")
def pictures(sample):
    """Pixels as the page has them, 12 x 32 x 32 x 3: of the sample, noise, one colour, an edge."""
    generator = np.random.default_rng(5)
    drawn = generator.integers(0, 256, (2, 32, 32, 3))
    flat = np.full((1, 32, 32, 3), (200, 30, 90))
    half = flat * (np.arange(32) < 17)[None, None, :, None]
    return np.concatenate([sample.test.images[:8], drawn, flat, half]).astype(np.float32)


@pytest.fixture(scope="module")
def many(sample):
    """120 pictures: every tenth of the first 1,000 test images of the sample, and 20 of noise."""
    noise = np.random.default_rng(11).integers(0, 256, (20, 32, 32, 3))
    return np.concatenate([sample.test.images[:1000:10], noise]).astype(np.float32)


def random_network(seed=0, **options):
    """A network of the family with random weights, biases and moving statistics."""
    keras.utils.set_random_seed(seed)
    return with_random_weights(build(Options(**(SMALL | options))), seed)


def with_random_weights(model, seed=0):
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        values = keras.ops.convert_to_numpy(weight)
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(generator.uniform(0.3, 2, values.shape))
        elif values.ndim == 1:
            weight.assign(generator.uniform(-0.2, 0.3, values.shape))
    return model


def logits_of(model, images):
    return keras.Model(model.inputs, model.layers[-1].input).predict(images, verbose=0)


def decoded(packed):
    """The numbers in a script, as the page reads them."""
    width = {"float16": 2, "float32": 4}[packed["format"]]
    planes = zlib.decompress(base64.b64decode(packed["weights"]))
    numbers = np.frombuffer(planes, np.uint8).reshape(width, -1).T.copy()
    return numbers.view(f"<f{width}").ravel()


# ---- export ----


def test_weights_in_a_script_are_the_networks_own():
    model = random_network()
    own = np.concatenate([values.ravel() for values in model.get_weights()])
    assert np.array_equal(decoded(live_network.packed(model, "float32")), own)
    rounded = decoded(live_network.packed(model, "float16"))
    assert rounded.dtype == np.float16
    assert np.array_equal(rounded, own.astype(np.float16))
    assert not np.array_equal(rounded, own)


def test_layers_in_a_script_are_the_networks_steps():
    steps = live_network.packed(random_network(**FAMILY["both"]))["layers"]
    assert [(step["kind"], step["name"]) for step in steps] == [
        ("rescaling", "rescaling"),
        ("convolution", "relu1"),  # with its batch normalisation and its ReLU
        ("attention", "attention1_scale"),
        ("pooling", "pool1"),
        ("convolution", "relu2"),
        ("attention", "attention2_scale"),
        ("pooling", "pool2"),
        ("dense", "dense"),
        ("dense", "logits"),
    ]
    titles = [step["title"] for step in steps if "title" in step]
    assert titles == ["convolution 1", "attention 1", "convolution 2", "attention 2"]


def test_batch_normalisation_is_folded_into_its_convolution(pictures):
    model = random_network(batch_normalization=True)
    numbers = decoded(live_network.packed(model, "float32"))
    kernel, bias = numbers[: 27 * 5].reshape(3, 3, 3, 5), numbers[27 * 5 : 28 * 5]
    folded = keras.layers.Conv2D(5, 3, padding="same")
    folded.build((None, 32, 32, 3))
    folded.set_weights([kernel, bias])
    expected = keras.Model(model.inputs, model.get_layer("bn1").output).predict(pictures, verbose=0)
    assert np.abs(folded(pictures / 255) - expected).max() < 1e-5
    assert np.abs(expected).max() > 0.5


def chain(*layers, shape=(32, 32, 3), end=True):
    image = x = keras.Input(shape)
    for layer in layers:
        x = layer(x)
    if end:
        x = keras.layers.Dense(10)(keras.layers.Flatten()(x))
        x = keras.layers.Softmax()(x)
    return keras.Model(image, x, name="other")


def with_a_shortcut():
    image = keras.Input((32, 32, 3))
    first = keras.layers.Conv2D(3, 3, padding="same")(image)
    x = keras.layers.Flatten()(keras.layers.Add()([image, first]))
    return keras.Model(image, keras.layers.Softmax()(keras.layers.Dense(10)(x)), name="other")


def past_a_layer():
    """A network whose dense layer takes the map before the last one."""
    image = keras.Input((32, 32, 3))
    first = keras.layers.Conv2D(3, 3, padding="same", name="first")(image)
    second = keras.layers.Conv2D(3, 3, padding="same", name="second")(first)
    scores = [keras.layers.Dense(10)(keras.layers.Flatten()(x)) for x in (first, second)]
    return keras.Model(image, keras.layers.Softmax()(keras.layers.Add()(scores)), name="other")


L = keras.layers
SAME = {"filters": 3, "kernel_size": 3, "padding": "same"}
# Layers before a Dense layer and a softmax, of which the last cannot be computed.
ODD = {
    "valid padding": lambda: [L.Conv2D(3, 3, padding="valid")],
    "even kernel": lambda: [L.Conv2D(**SAME | {"kernel_size": 2})],
    "oblong kernel": lambda: [L.Conv2D(**SAME | {"kernel_size": (3, 1)})],
    "stride": lambda: [L.Conv2D(**SAME, strides=2)],
    "dilation": lambda: [L.Conv2D(**SAME, dilation_rate=2)],
    "groups": lambda: [L.Conv2D(**SAME, groups=3)],
    "tanh": lambda: [L.Conv2D(**SAME, activation="tanh")],
    "depthwise": lambda: [L.DepthwiseConv2D(3, padding="same")],
    "normalised pictures": lambda: [L.BatchNormalization()],
    "normalised after ReLU": lambda: [
        L.Conv2D(**SAME, activation="relu"),
        L.BatchNormalization(),
    ],
    "normalised rows": lambda: [L.Conv2D(**SAME), L.BatchNormalization(axis=1)],
    "normalised positions": lambda: [L.Conv2D(**SAME), L.Flatten(), L.BatchNormalization()],
    "ReLU6": lambda: [L.Conv2D(**SAME), L.ReLU(6)],
    "leaky ReLU": lambda: [L.Conv2D(**SAME), L.ReLU(negative_slope=0.1)],
    "ReLU of pictures": lambda: [L.ReLU()],
    "two ReLUs": lambda: [L.Conv2D(**SAME), L.ReLU(), L.ReLU()],
    "mean pooling": lambda: [L.Conv2D(**SAME), L.AveragePooling2D(2)],
    "overlapping pooling": lambda: [L.MaxPooling2D(3, strides=2)],
    "padded pooling": lambda: [L.MaxPooling2D(3, padding="same")],
    "oblong pooling": lambda: [L.MaxPooling2D((2, 1))],
    "scaled channels": lambda: [L.Rescaling([1.0, 2.0, 3.0])],
    "dense map": lambda: [L.Conv2D(**SAME), L.Dense(3)],
    "mean of maps": lambda: [L.Conv2D(**SAME), L.GlobalAveragePooling2D()],
    "sigmoid": lambda: [L.Conv2D(**SAME), L.Flatten(), L.Dense(9, activation="sigmoid")],
    "softmax within": lambda: [L.Conv2D(**SAME), L.Flatten(), L.Softmax(), L.Dense(9)],
}


@pytest.mark.parametrize("layers", ODD.values(), ids=ODD)
def test_a_layer_that_the_page_cannot_compute_is_refused_in_one_sentence(layers):
    layers = layers()
    with pytest.raises(CifarcamError) as refused:
        live_network.packed(chain(*layers))
    assert str(refused.value) == (
        f"other: the page does not compute layer {layers[-1].name!r} ({type(layers[-1]).__name__}) "
        "as it is used here; give a network of the custom_cnn family"
    )


END = "end in a Dense layer and a Softmax layer"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (with_a_shortcut, "does not compute layer"),
        (past_a_layer, "does not compute layer"),
        (lambda: chain(L.Conv2D(**SAME), shape=(28, 28, 3)), "one picture of 32 x 32 x 3"),
        (lambda: chain(L.Conv2D(**SAME), shape=(32, 32, 1)), "one picture of 32 x 32 x 3"),
        (lambda: chain(L.Flatten()), END),  # without a convolution
        (lambda: chain(L.Conv2D(**SAME), L.Flatten(), L.Dense(9), end=False), END),
        (
            lambda: chain(
                L.Conv2D(**SAME), L.Flatten(), L.Dense(9, activation="relu"), L.Softmax(), end=False
            ),
            END,
        ),
        (
            lambda: models.build("resnet18", models.read_options("resnet18", {}, "model")),
            "does not compute layer",
        ),
    ],
)
def test_a_network_of_another_form_is_refused_in_one_sentence(make, message):
    with pytest.raises(CifarcamError, match=message) as refused:
        live_network.packed(make())
    assert "; give " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_weight_beyond_float16_is_refused():
    model = random_network()
    model.get_layer("logits").bias.assign(np.full(10, 1e6))
    with pytest.raises(CifarcamError, match="not finite in float16"):
        live_network.packed(model, "float16")
    assert decoded(live_network.packed(model, "float32")).max() == 1e6


@pytest.mark.parametrize("name", ["baseline", "baseline-early-stopping", "custom-cnn-augmented"])
def test_scripts_of_the_reports_networks_are_small(name):
    assert len(live._script(name, runs.load(name).model(), "float16")) <= live.LARGEST


def test_choice_has_pictures_that_the_network_gets_right_and_wrong():
    labels = np.repeat([0, 1, 2], 100)
    predicted = labels.copy()
    predicted[:50] = 1  # half of class 0
    predicted[100:102] = 0  # two of class 1
    predicted[200:297] = 0  # all but three of class 2
    chosen = live.choose(labels, predicted)
    assert labels[chosen].tolist() == [0] * 10 + [1] * 10 + [2] * 10
    wrong = predicted[chosen] != labels[chosen]
    assert [wrong[:10].sum(), wrong[10:20].sum(), wrong[20:].sum()] == [4, 2, 7]
    assert len(set(chosen.tolist())) == 30
    assert np.array_equal(chosen, live.choose(labels, predicted))
    assert not np.array_equal(chosen, live.choose(labels, predicted, seed=1))
    assert len(live.choose(labels[:204], predicted[:204])) == 24  # the class has only four


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([0, 1], [0]), {}, "one of each"),
        (([0, 1], [0, 1]), {"mistakes": 11}, "give 0 to 10 mistakes"),
        (([0, 1], [0, 1]), {"mistakes": -1}, "give 0 to 10 mistakes"),
    ],
)
def test_choice_refuses_impossible_arguments(arguments, options, message):
    with pytest.raises(CifarcamError, match=message):
        live.choose(*arguments, **options)


class Network:
    """A run with random weights."""

    def __init__(self, name="tiny", seed=0, **options):
        self.name = name
        self.metrics = {"test": {"accuracy": 0.25}}
        self._model = random_network(seed, **options)

    def model(self):
        return self._model


def contents(script):
    """The property that a script sets, and its value."""
    first, second = script.decode().splitlines()
    assert first == "((globalThis.cifarcamLive ??= {}).networks ??= {});"
    name, value = re.fullmatch(r"cifarcamLive\.(.*?) = (.*);", second).groups()
    return name, json.loads(value)


def test_files_hold_pictures_networks_and_what_they_predict(sample):
    runs = {"the first": Network("a"), "the second": Network("b", 1, filters=(4,))}
    places = np.array([3, 500, 999])
    files = live.encode(runs, sample, places, "float32")
    assert list(files) == ["pictures.js", "network-a.js", "network-b.js"]
    name, content = contents(files["pictures.js"])
    assert name == "data"
    assert content["classes"] == list(sample.class_names)
    assert content["places"] == [3, 500, 999]
    assert content["labels"] == sample.test.labels[places].tolist()
    assert len(content["scale"]) == 256
    assert [m["key"] for m in content["methods"]] == list(live.LAYER_METHODS)
    assert content["methods"][0]["title"] == "Grad-CAM"
    for (title, run), listed in zip(runs.items(), content["networks"], strict=True):
        assert (listed["key"], listed["title"]) == (run.name, title)
        script = f"network-{run.name}.js"
        assert listed["script"] == f"{script}?v={zlib.crc32(files[script]):08x}"
        predicted = run.model().predict(sample.test.images[places], verbose=0).argmax(axis=1)
        assert listed["predicted"] == predicted.tolist()
        assert contents(files[script]) == (
            f'networks["{run.name}"]',
            live_network.packed(run.model(), "float32"),
        )


def test_files_refuse_nothing_to_show_other_classes_and_a_large_script(sample, monkeypatch):
    run = Network()
    for networks, places in (({}, [0]), ({"tiny": run}, [])):
        with pytest.raises(CifarcamError, match="a network and a picture"):
            live.encode(networks, sample, np.array(places, int))
    two = SimpleNamespace(test=sample.test, class_names=("cat", "dog"))
    with pytest.raises(CifarcamError, match="tiny: a network of 10 classes for pictures of 2"):
        live.encode({"tiny": run}, two, np.array([0]))
    monkeypatch.setattr(live, "LARGEST", 1000)
    with pytest.raises(CifarcamError, match=r"tiny: its script has .* more than 1,000; leave it"):
        live.encode({"tiny": run}, sample, np.array([0]))


# ---- the arithmetic in a browser ----

# Bytes go to the page and back as base64, which is faster than lists of numbers.
HARNESS = """
window.pixelsOf = (text) =>
  new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
window.textOf = (arrays) => {
  const bytes = new Uint8Array(arrays.reduce((sum, one) => sum + one.byteLength, 0));
  let at = 0;
  for (const one of arrays) {
    bytes.set(new Uint8Array(one.buffer, one.byteOffset, one.byteLength), at);
    at += one.byteLength;
  }
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) {
    text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  }
  return btoa(text);
};
window.nets = {};
window.asked = async ([job, key, network, text, options, keys]) => {
  const kernel = window.cifarcamLive.kernel;
  nets[key] ??= await kernel.network(network);
  const pixels = pixelsOf(text);
  const results = [];
  for (let i = 0; i < pixels.length; i += 3072) {
    results.push(kernel[job](nets[key], pixels.slice(i, i + 3072), options));
  }
  return Object.fromEntries(keys.map((name) => [name, textOf(results.map((one) => one[name]))]));
};
"""


class Kernel:
    """The kernel in a page: asks it about networks and pictures."""

    def __init__(self, page):
        self._page = page
        self._packed = {}

    def ask(self, job, model, pictures, *keys, precision="float32", **options):
        """Arrays by the names of a result's parts, one row for each picture."""
        key = f"{id(model)} {precision}"
        if key not in self._packed:  # which keeps the model, so that its number is its own
            self._packed[key] = (model, live_network.packed(model, precision))
        pixels = np.ascontiguousarray(pictures, np.float32)
        text = base64.b64encode(pixels.tobytes()).decode()
        arguments = [job, key, self._packed[key][1], text, options, list(keys)]
        answer = self._page.evaluate("(all) => asked(all)", arguments)
        return [
            np.frombuffer(base64.b64decode(answer[name]), np.float32).reshape(len(pixels), -1)
            for name in keys
        ]

    def maps(self, model, pictures, **options):
        return self.ask("answer", model, pictures, "maps", **options)[0].reshape(-1, 10, 32, 32)


def page_of(folder, scripts):
    tags = "".join(f'<script defer src="{script}"></script>' for script in scripts)
    path = folder / "page.html"
    path.write_text(f'<!doctype html><meta charset="utf-8"><title>Live</title>{tags}')
    return path


@pytest.fixture(scope="module")
def kernel(chromium, tmp_path_factory):
    scripts = [(SCRIPTS / f"{name}.js").as_uri() for name in ("kernel", "methods")]
    opened = OpenPage(chromium, page_of(tmp_path_factory.mktemp("kernel"), scripts))
    opened.page.add_script_tag(content=HARNESS)
    yield Kernel(opened.page)
    assert opened.errors == []
    opened.context.close()


def check_logits(logits, expected):
    differences = np.abs(logits - expected)
    assert differences.max() < 1e-3
    assert (differences <= 1e-4 * np.abs(expected).max(axis=1, keepdims=True)).all()


def check_maps(maps, expected, *, mostly_positive=True, rounding=1e-12):
    """Equal to a ten thousandth of each map's maximum; most maps have to show something.

    `rounding` is what Keras's float32 leaves of sums that cancel out.
    """
    peaks = expected.max(axis=(-2, -1), keepdims=True)
    assert (np.abs(maps - expected) <= 1e-4 * peaks + rounding).all()
    if mostly_positive:
        assert (peaks > 0).mean() > 0.5


def python_maps(method, model, pictures, layer=None, against=None):
    """Heatmaps of every class, N x 10 x H x W; zero for the class `against`, which has none."""
    explainer = explain.METHODS[method](model, layer)
    maps = np.zeros((len(pictures), 10, 32, 32), np.float32)
    for target in range(10):
        if target != against:
            maps[:, target] = explainer(pictures, target, against=against)
    return maps


@pytest.mark.parametrize("options", FAMILY.values(), ids=FAMILY)
def test_logits_and_heatmaps_of_the_family_are_those_of_keras(kernel, pictures, options):
    model = random_network(3, **options)
    logits, probabilities = kernel.ask("answer", model, pictures, "logits", "probabilities")
    expected = logits_of(model, pictures)
    check_logits(logits, expected)
    assert np.ptp(expected, axis=0).max() > 0.02  # the pictures make a difference
    assert np.abs(probabilities - model.predict(pictures, verbose=0)).max() < 1e-5
    for method in live.LAYER_METHODS:
        check_maps(
            kernel.maps(model, pictures, method=method), python_maps(method, model, pictures)
        )


@pytest.mark.parametrize("options", [FAMILY["both"], FAMILY["five poolings"]], ids=["both", "five"])
def test_heatmaps_of_every_layer_and_contrast_are_those_of_explain(kernel, pictures, options):
    model = random_network(7, **options)
    layers = [step["name"] for step in live_network.packed(model)["layers"] if "title" in step]
    assert len(layers) > 3
    for layer in layers:
        for method in live.LAYER_METHODS:
            check_maps(
                kernel.maps(model, pictures[:4], method=method, layer=layer),
                python_maps(method, model, pictures[:4], layer),
                mostly_positive=False,
                rounding=1e-9,
            )
    for method in live.LAYER_METHODS:
        maps = kernel.maps(model, pictures, method=method, against=4)
        check_maps(maps, python_maps(method, model, pictures, against=4), mostly_positive=False)
        assert not maps[:, 4].any()
        assert not np.allclose(maps, kernel.maps(model, pictures, method=method))


def test_a_changed_part_of_a_picture_is_answered_as_a_whole_new_picture(kernel, pictures):
    """The kernel computes anew what a stroke changed: no trace of the picture before may stay."""
    model = random_network(2, **FAMILY["both"])
    generator = np.random.default_rng(0)
    strokes = [pictures[0]]
    for _ in range(12):
        changed = strokes[-1].copy()
        top, left = generator.integers(-4, 30, 2)
        rows, columns = slice(max(top, 0), top + 6), slice(max(left, 0), left + 6)
        changed[rows, columns] = generator.integers(0, 256, 3)
        strokes.append(changed)
    strokes.append(strokes[-1])  # nothing changed
    strokes = np.stack(strokes)
    check_logits(kernel.ask("answer", model, strokes, "logits")[0], logits_of(model, strokes))
    for method in ("grad-cam", "grad-cam++"):
        check_maps(kernel.maps(model, strokes, method=method), python_maps(method, model, strokes))


@pytest.fixture(scope="module")
def baseline():
    return runs.load("baseline").model()


@pytest.mark.slow
def test_the_baseline_answers_in_the_page_as_in_keras(kernel, baseline, many):
    assert len(many) == 120
    check_logits(kernel.ask("answer", baseline, many, "logits")[0], logits_of(baseline, many))
    for method in live.LAYER_METHODS:
        check_maps(kernel.maps(baseline, many, method=method), python_maps(method, baseline, many))


@pytest.mark.slow
def test_weights_of_16_bits_change_no_more_than_rounding_explains(kernel, baseline, many):
    """The page's network is, to float32's rounding, Keras's network with rounded weights."""
    rounded = keras.models.clone_model(baseline)
    rounded.set_weights([w.astype(np.float16).astype(np.float32) for w in baseline.get_weights()])
    asked = {"precision": "float16"}
    (logits,) = kernel.ask("answer", baseline, many, "logits", **asked)
    check_logits(logits, logits_of(rounded, many))
    maps = kernel.maps(baseline, many, method="grad-cam", **asked)
    check_maps(maps, python_maps("grad-cam", rounded, many))
    (probabilities,) = kernel.ask("answer", baseline, many, "probabilities", **asked)
    differences = np.abs(probabilities - baseline.predict(many, verbose=0))
    assert 0 < differences.max() < 0.02
