"""Overlays and comparisons as plain pixels: colours, opacity, and the methods side by side."""

import re

import keras
import matplotlib
import numpy as np
import pytest

from cifarcam import explain, figures
from cifarcam.errors import CifarcamError
from cifarcam.explain import comparison, overlays
from cifarcam.figures.heatmaps import coloured, overlaid, scaled_for_display
from cifarcam.figures.style import WIDTH
from cifarcam.figures.text import text_width

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (12, 9, 3)).astype(np.uint8)
HEATMAP = RNG.random((12, 9)).astype(np.float32)


def test_overlay_is_the_opaque_mean_of_picture_and_colour():
    heatmap = np.zeros((12, 9))
    heatmap[3, 4], heatmap[5, 6] = 8, 4
    shown = explain.overlay(PICTURE, heatmap)
    yellow, teal = (np.array(colour) for colour in ((253, 231, 36), (32, 144, 140)))
    expected = PICTURE.copy()
    expected[3, 4] = np.rint(0.35 * PICTURE[3, 4] + 0.65 * yellow)
    expected[5, 6] = np.rint(0.675 * PICTURE[5, 6] + 0.325 * teal)
    np.testing.assert_array_equal(shown, expected)
    assert shown.dtype == np.uint8


def test_overlay_of_a_zero_map_is_the_picture():
    np.testing.assert_array_equal(explain.overlay(PICTURE, np.zeros((12, 9))), PICTURE)
    np.testing.assert_array_equal(explain.overlay(PICTURE, HEATMAP, opacity=0), PICTURE)


def test_overlay_does_not_change_with_the_scale_of_the_heatmap():
    shown = explain.overlay(PICTURE, HEATMAP)
    for factor in (1e-30, 2.0**-9, 1e30):
        np.testing.assert_array_equal(explain.overlay(PICTURE, factor * HEATMAP), shown)


def test_opaque_overlay_shows_the_colours_alone():
    ramp = np.linspace(0, 1, 108).reshape(12, 9)
    shown = explain.overlay(PICTURE, ramp, opacity=1)
    assert np.abs(shown[-1, -1].astype(int) - [253, 231, 36]).max() == 0
    np.testing.assert_array_equal(shown[0, 0], PICTURE[0, 0])


def test_figures_and_explainer_show_the_same_colours():
    values = np.linspace(0, 1, 10_001)
    np.testing.assert_array_equal(overlays.coloured(values), coloured(values))
    scaled = scaled_for_display(HEATMAP)
    np.testing.assert_array_equal(explain.overlay(PICTURE, HEATMAP), overlaid(PICTURE, scaled))
    table = matplotlib.colormaps["viridis"](np.arange(256), bytes=True)[:, :3]
    assert np.abs(overlays.coloured(np.arange(256) / 255).astype(int) - table).max() <= 1


def test_colours_grow_evenly_in_lightness():
    linear = (overlays.coloured(np.linspace(0, 1, 64)) / 255.0) ** 2.2
    lightness = np.cbrt(linear @ [0.2126, 0.7152, 0.0722])
    steps = np.diff(lightness)
    assert (steps > 0).all()
    assert steps.max() < 2.5 * steps.min()


def test_grey_picture_is_taken_as_colour():
    grey = PICTURE[..., 0]
    expected = explain.overlay(np.repeat(grey[..., None], 3, axis=2), HEATMAP)
    np.testing.assert_array_equal(explain.overlay(grey, HEATMAP), expected)
    np.testing.assert_array_equal(explain.overlay(grey[..., None], HEATMAP), expected)


@pytest.mark.parametrize(
    ("picture", "heatmap", "opacity", "words"),
    [
        (PICTURE / 255, HEATMAP, 0.5, "float64 of shape"),
        (PICTURE[..., :2], HEATMAP, 0.5, "give uint8 pixels"),
        (PICTURE, HEATMAP.T, 0.5, "height and width"),
        (PICTURE, -HEATMAP, 0.5, "negative"),
        (PICTURE, HEATMAP * np.nan, 0.5, "not finite"),
        (PICTURE, HEATMAP, 1.5, "opacity is 1.5"),
    ],
)
def test_overlay_refuses_what_does_not_fit(picture, heatmap, opacity, words):
    with pytest.raises(CifarcamError, match=words):
        explain.overlay(picture, heatmap, opacity=opacity)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu", name="first"),
            layers.Conv2D(4, 3, activation="relu", name="last"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    return explain.Classifier(model)


def test_fast_methods_are_those_of_few_passes():
    fast = {name for name, method in explain.METHODS.items() if method.is_fast}
    for name in fast:  # the text of the cost has the numbers, beside the eigenvector
        cost = explain.METHODS[name].cost.removesuffix(", 1 eigenvector")
        assert 1 <= sum(map(int, re.findall(r"\d+", cost))) <= 4
    assert {"grad-cam", "hires-cam", "layer-cam", "eigen-cam", "saliency"} <= fast
    slow = {"score-cam", "ablation-cam", "smoothgrad", "integrated-gradients", "lime", "shap"}
    assert not fast & (slow | {"random", "centre"})


@pytest.mark.slow
def test_comparison_shows_each_method_s_overlay_and_heatmap(classifier):
    picture = RNG.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    names = ["grad-cam", "eigen-cam", "saliency"]
    sheet = explain.compare(classifier, picture, 1, methods=names, columns=2)
    side, factor = 16, comparison.TILE // 16
    gap, head = comparison.GAP, comparison.FONT + comparison.GAP
    tile = (2 * side * factor, side * factor)
    assert sheet.shape == (2 * (head + tile[0] + gap) + gap, 2 * (tile[1] + gap) + gap, 3)
    for index, name in enumerate([None, *names]):
        row, column = divmod(index, 2)
        top = gap + row * (head + tile[0] + gap) + head
        left = gap + column * (tile[1] + gap)
        shown = sheet[top : top + tile[0] : factor, left : left + tile[1] : factor]
        if name is None:
            np.testing.assert_array_equal(shown[:side], picture)
            continue
        heatmap = explain.METHODS[name](classifier)(picture[None], 1)[0]
        np.testing.assert_array_equal(shown[:side], explain.overlay(picture, heatmap))
        assert (sheet[top - head : top, left : left + tile[1]] < 100).any()  # its title
    other = explain.compare(classifier, picture, 2, methods=names, columns=2)
    assert (other != sheet).any()
    rival = explain.compare(classifier, picture, 1, against=2, methods=names, columns=2)
    assert (rival != sheet).any()
    earlier = explain.compare(classifier, picture, 1, methods=["grad-cam"], layer="first")
    later = explain.compare(classifier, picture, 1, methods=["grad-cam"], layer="last")
    assert (earlier != later).any()


def test_comparison_of_a_large_picture_is_a_small_sheet():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(1, 1, use_bias=False, name="red"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, use_bias=False, activation="softmax"),
        ]
    )
    red = np.zeros((1, 1, 3, 1))
    red[0, 0, 0] = 1
    model.set_weights([red, np.array([[1.0, -1.0]])])
    picture = np.full((400, 1000, 3), 200, np.uint8)
    picture[:, :500, 0] = 0
    sheet = explain.compare(model, picture, 0, methods=["grad-cam"])
    gap, head = comparison.GAP, comparison.FONT + comparison.GAP
    height = round(800 * comparison.TILE / 1000)  # of the overlay and the heatmap below it
    assert sheet.shape == (head + height + 2 * gap, 2 * (comparison.TILE + gap) + gap, 3)
    tile = sheet[head + gap :][:height]
    shown = tile[: height // 2 - 1, gap : gap + comparison.TILE]
    assert (shown[:, :111] == [0, 200, 200]).all() and (shown[:, 113:] == 200).all()
    heatmap = tile[height // 2 + 1 :, 2 * gap + comparison.TILE :][:, : comparison.TILE]
    dark, bright = overlays.coloured(np.array([0.0, 1.0]))
    assert (heatmap[:, :111] == dark).all() and (heatmap[:, 113:] == bright).all()


@pytest.mark.slow
def test_default_method_that_refuses_the_model_is_shown_with_its_reason(classifier, monkeypatch):
    picture = RNG.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    able = {name: explain.METHODS[name] for name in ("grad-cam", "eigen-cam")}

    class Refusing(explain.GradCAM):
        title = "refusing method"

        def __call__(self, *_, **__):
            raise CifarcamError("it takes no such model; give another")

    class Attending(Refusing):
        needs_attention = True

    def sheet(*refusing):
        methods = able | {str(number): method for number, method in enumerate(refusing)}
        monkeypatch.setattr(explain, "METHODS", methods)
        return explain.compare(classifier, picture, 1, columns=1)

    plain = sheet()
    np.testing.assert_array_equal(sheet(Attending), plain)
    with_reason = sheet(Refusing)
    row = (plain.shape[0] - comparison.GAP) // 3
    assert with_reason.shape[0] == plain.shape[0] + row
    np.testing.assert_array_equal(with_reason[: 3 * row], plain[: 3 * row])
    tile = with_reason[3 * row + comparison.FONT + 2 * comparison.GAP :]
    assert (tile < 100).any() and (tile == 255).mean() > 0.9  # a text on white
    able.clear()
    assert sheet(Refusing, Attending).shape[0] == plain.shape[0] - row


def test_layer_that_does_not_exist_is_refused_for_the_default_methods(classifier):
    picture = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(CifarcamError, match="no layer 'nosuch'"):
        explain.compare(classifier, picture, layer="nosuch")


@pytest.mark.slow
def test_comparison_by_default_shows_every_fast_method_that_explains_the_model(classifier):
    picture = RNG.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    sheet = explain.compare(classifier, picture, columns=1)
    able = 0
    for name, method in explain.METHODS.items():
        if method.is_fast:
            try:
                explain.compare(classifier, picture, methods=[name])
            except CifarcamError:
                assert method.needs_attention
                continue
            able += 1
    row = comparison.FONT + 2 * comparison.GAP + 2 * comparison.TILE
    assert sheet.shape[0] == (1 + able) * row + comparison.GAP
    assert able >= 7


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"methods": ["magic"]}, "'magic' is not one of grad-cam"),
        ({"methods": ["grad-cam"], "layer": "nosuch"}, "no layer 'nosuch'"),
        ({"methods": ["grad-cam"], "target": 3}, "target 3 is no class"),
        ({"methods": ["grad-cam"], "columns": 0}, "columns is 0"),
    ],
)
def test_comparison_refuses_what_does_not_fit(classifier, options, words):
    with pytest.raises(CifarcamError, match=words):
        explain.compare(classifier, np.zeros((16, 16, 3), np.uint8), **options)


def test_picture_and_class_are_refused_before_a_method_is_built(classifier, monkeypatch):
    def fail(*_):
        raise AssertionError("a method was built")

    monkeypatch.setattr(explain.GradCAM, "__init__", fail)
    picture = np.zeros((16, 16, 3), np.uint8)
    predicted = int(classifier.scores(picture[None])[0].argmax())
    for wrong, options, words in (
        (PICTURE, {}, "the model takes N x 16 x 16 x 3"),
        (picture, {"target": 3}, "3 is no class"),
        (picture, {"against": 3}, "3 is no class"),
        (picture, {"against": predicted}, "against itself"),
    ):
        with pytest.raises(CifarcamError, match=words):
            explain.compare(classifier, wrong, **options)


def test_sheet_says_against_which_class_a_map_is():
    picture = np.full((8, 8, 3), 90, np.uint8)
    items = [
        explain.Explanation("a.png", picture, HEATMAP[:8, :8], "cat", [("cat", 0.7)], against)
        for against in (None, "dog", "a very long name of a class " * 9)
    ]
    figure = figures.explanations(items)
    written = [text.get_text() for text in figure.axes[0].texts]
    assert "a.png: map for cat" in written
    assert "a.png: map for cat rather than dog" in written
    (long,) = [line for line in written if "rather than a very" in line]
    assert text_width(long, "bold") <= WIDTH
