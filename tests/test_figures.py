"""Figures show their numbers where and as they are, in readable text."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from cifarcam import data, evaluation, figures
from cifarcam.errors import CifarcamError
from cifarcam.explain import Explanation
from cifarcam.figures import style, text
from cifarcam.figures.heatmaps import coloured, scaled_for_display
from cifarcam.models import summary

GENERATOR_SEED = 11
NAMES = data.CLASS_NAMES


@pytest.fixture(scope="module")
def drawn():
    return draw()


@pytest.fixture(scope="module")
def once():
    return draw()


@pytest.fixture(scope="module")
def drawn_again():
    return draw()


def draw():
    """One of each figure, drawn from seeded numbers."""
    generator = np.random.default_rng(GENERATOR_SEED)
    images = generator.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(30) % 10
    heat = generator.uniform(0, 3, (30, 32, 32)).astype(np.float32)
    heat[1] = 0
    logits = generator.normal(0, 2, (500, 10))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = generator.integers(0, 10, 500)
    metrics = evaluation.evaluate(probabilities, truth, NAMES)
    other = evaluation.evaluate(probabilities[::-1], truth, NAMES)
    history = {
        "epoch": np.arange(1, 5),
        "train_loss": np.array([2.0, 1.5, 1.2, 1.0]),
        "validation_loss": np.array([1.9, 1.6, 1.5, 1.6]),
        "train_accuracy": np.array([0.3, 0.4, 0.5, 0.6]),
        "validation_accuracy": np.array([0.35, 0.42, 0.47, 0.46]),
    }
    blocks = [
        summary.Block("input", "input", "", (32, 32, 3), 0),
        summary.Block("convolution", "conv1", "3×3, 32", (32, 32, 32), 896),
        summary.Block("pooling", "pool1", "max 2×2", (16, 16, 32), 0),
        summary.Block("block", "conv2", "1×1 + 3×3", (8, 8, 64), 1234567, 6),
        summary.Block("dense", "logits", "10 units", (10,), 650),
    ]
    return (
        {
            "ablation": figures.ablation(
                ["baseline", "a longer ingredient", "third"],
                [[60, 61], [64, 66], [70, 70]],
                [(59, 62), (62, 68), (69, 71)],
                [60, 90, 200],
            ),
            "accuracy_by_cost": figures.accuracy_by_cost(
                {f"network {index}": 70.0 + 2 * index for index in range(9)},
                {
                    label: {f"network {index}": 10.0**index for index in range(9)}
                    for label in ("parameters, million", "operations, million", "minutes")
                },
            ),
            "accuracy_by_price": figures.accuracy_by_price(
                {
                    f"network {index}": dict.fromkeys(("float32", "float16", "int8"), 70.0 + index)
                    for index in range(7)
                },
                {
                    label: {
                        f"network {index}": {"float32": 4.0**index, "float16": 3.0, "int8": 2.0}
                        for index in range(7)
                    }
                    for label in ("size of the file (MB)", "processor time of an image (ms)")
                },
            ),
            "accuracy_by_seed": figures.accuracy_by_seed(
                {"a long name of a network": [94.5, 95.0, 95.1], "single": [88.0]},
                {"a long name of a network": (94.1, 95.6), "single": (np.nan, np.nan)},
                90,
            ),
            "architecture": figures.architecture(blocks),
            "class_histogram": figures.class_histogram(
                {"training": list(range(100, 110)), "test": [20] * 10}, NAMES
            ),
            "confusion": figures.confusion(metrics["confusion"], NAMES),
            "confusions_by_accuracy": figures.confusions_by_accuracy(
                [72.5, 88.0, 95.0, 97.0],
                {"cat – dog": [310, 150, 90, 80], "automobile – truck": [159, 90, 40, 20]},
                [5, 8, np.nan, 164],
                [True, True, False, False],
            ),
            "contact_sheet": figures.contact_sheet(
                images, heat, labels, (labels + np.arange(30) % 2) % 10, NAMES
            ),
            "correlations": figures.correlations(
                np.array([[1.0, -0.25], [np.nan, 0.5]]), ["one", "two"], ["a", "b"], "value"
            ),
            "dots_by_seed": figures.dots_by_seed(
                {name: np.linspace(-9, 5, 30).reshape(3, 10) for name in ("last epoch", "stopped")},
                NAMES,
                "energy on the background minus its area (points), by true class",
                reference=0,
                reference_label="as much as its area",
            ),
            "explanations": figures.explanations(
                [Explanation("a.png", images[0], heat[0], "cat", [("cat", 0.75), ("dog", 0.25)])]
            ),
            "heatmaps": figures.heatmaps(images[:4], heat[:4], ["a long title of a picture"] * 4),
            "image_pairs": figures.image_pairs(images[:3], images[3:6], ["a", "b", "c"]),
            "learning_curves": figures.learning_curves(
                {
                    f"network {index}": history | {"seconds": np.full(4, 9.0**index)}
                    for index in range(6)
                }
            ),
            "mean_heatmaps": figures.mean_heatmaps(heat[:10], NAMES),
            "method_grid": figures.method_grid(
                images[:3], heat[:6].reshape(2, 3, 32, 32), ["first", "second"], ["a", "b", "c"]
            ),
            "per_class": figures.per_class([metrics["per_class"], other["per_class"]]),
            "pipeline": figures.pipeline(
                images[0], [heat[:8].transpose(1, 2, 0)] * 3, heat[2], probabilities[0], NAMES
            ),
            "predictions": figures.predictions(images[:7], ["cat as dog\n99.0%"] * 7),
            "reliability": figures.reliability(
                {
                    "baseline": (evaluation.calibration(probabilities, truth),) * 2,
                    "another": (evaluation.calibration(probabilities, truth, 5),) * 2,
                }
            ),
            "samples": figures.samples(images, labels, NAMES, per_class=3),
            "training_curves": figures.training_curves({"a": [history, history], "b": [history]}),
        },
        (metrics, other),
        evaluation.calibration(probabilities, truth),
        history,
    )


def saved(figure, path):
    figures.save(figure, path)
    return path.read_bytes()


def texts(figure):
    return [artist for artist in figure.findobj(Text) if artist.get_text().strip()]


FIGURES = [
    "ablation",
    "accuracy_by_cost",
    "accuracy_by_price",
    "accuracy_by_seed",
    "architecture",
    "class_histogram",
    "confusion",
    "confusions_by_accuracy",
    "contact_sheet",
    "correlations",
    "dots_by_seed",
    "explanations",
    "heatmaps",
    "image_pairs",
    "learning_curves",
    "mean_heatmaps",
    "method_grid",
    "per_class",
    "pipeline",
    "predictions",
    "reliability",
    "samples",
    "training_curves",
]


@pytest.mark.parametrize("name", FIGURES)
def test_figure_has_no_text_under_eight_points_and_keeps_to_the_column(drawn, name):
    figure = drawn[0][name]
    small = [text for text in texts(figure) if text.get_fontsize() < 8]
    assert [(text.get_text(), text.get_fontsize()) for text in small] == []
    assert figure.get_figwidth() <= 6.5


@pytest.mark.parametrize("name", FIGURES)
def test_figure_cuts_no_text_at_its_edge(drawn, name):
    figure = drawn[0][name]
    figure.draw_without_rendering()
    whole = figure.get_tightbbox().width
    assert whole <= figure.get_figwidth() + 0.35


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_save_writes_the_same_figure_as_the_same_small_file(name, drawn_again, tmp_path, once):
    first, second = (saved(drawing[0][name], tmp_path / "a.svg") for drawing in (once, drawn_again))
    assert first == second
    assert len(first) < 400_000


@pytest.mark.parametrize(
    "kind", ["svg", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("png", "pdf"))]
)
def test_save_gives_the_same_bytes_for_the_same_confusion_matrix(tmp_path, kind):
    first, second = (
        saved(figures.confusion([[8, 2], [1, 9]], ["cat", "dog"]), tmp_path / f"a.{kind}")
        for _ in range(2)
    )
    assert first == second


def test_class_histogram_has_bars_as_high_as_the_counts(drawn):
    axes = drawn[0]["class_histogram"].axes[0]
    assert [bar.get_height() for bar in axes.patches] == [*range(100, 110), *[20] * 10]
    assert [bar.get_y() for bar in axes.patches][10:] == list(range(100, 110))


def test_confusion_writes_the_counts_on_the_shares_of_their_rows(drawn):
    (cells,) = drawn[0]["confusion"].axes[0].collections
    counts = np.array(drawn[1][0]["confusion"])
    written = [int(t.get_text()) for t in drawn[0]["confusion"].axes[0].texts]
    assert written == np.ravel(counts).tolist()
    shares = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.ravel(cells.get_array()), np.ravel(shares))


def test_training_curves_follow_the_histories(drawn):
    panels = drawn[0]["training_curves"].axes
    assert len(panels[0].lines) == 4
    np.testing.assert_array_equal(panels[0].lines[0].get_ydata(), drawn[3]["train_accuracy"])
    assert {tuple(line.get_xdata()) for line in panels[0].lines} == {(1, 2, 3, 4)}
    np.testing.assert_array_equal(panels[3].lines[1].get_ydata(), drawn[3]["validation_loss"])


def test_training_curves_mark_the_kept_epoch_of_each_seed(drawn):
    history = drawn[3]
    figure = figures.training_curves({"a": [history, history]}, kept=[2, 4])
    for axes, measure in zip(figure.axes, ("accuracy", "loss"), strict=True):
        marks = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines[4:]]
        values = history[f"validation_{measure}"]
        assert marks == [(2, values[1]), (4, values[3])]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["weights kept by stopping early"]
    assert not figures.training_curves({"a": [history]}).legends
    with pytest.raises(CifarcamError, match="epoch 5 of 4"):
        figures.training_curves({"a": [history]}, kept=[5])


def test_reliability_draws_the_bins_as_large_as_their_share(drawn):
    calibration = drawn[2]
    full = calibration.count > 0
    panels = drawn[0]["reliability"].axes
    error = f"error {100 * calibration.error:.1f} points"
    assert [axes.get_title("left").split("\n") for axes in panels[:2]] == [
        ["baseline", "as trained", error],
        ["baseline", "scaled", error],
    ]
    assert panels[3].get_title("left").startswith("another\nscaled")
    discs = panels[0].collections[-1]
    points = np.stack([calibration.confidence, calibration.accuracy], axis=1)[full]
    np.testing.assert_array_equal(discs.get_offsets(), points)
    sizes = discs.get_sizes() - discs.get_sizes().min()
    counts = calibration.count[full] - calibration.count[full].min()
    np.testing.assert_allclose(sizes * counts.max(), counts * sizes.max())
    with pytest.raises(CifarcamError, match="no network"):
        figures.reliability({})


def test_per_class_shows_each_seed_and_the_mean_where_the_scores_are(drawn):
    axes = drawn[0]["per_class"].axes[0]
    seeds = [metrics["per_class"] for metrics in drawn[1]]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(NAMES)
    for index, key in enumerate(("precision", "recall", "f1")):
        scores = np.array([[seed[name][key] for seed in seeds] for name in NAMES])
        marks = axes.lines[index]
        np.testing.assert_allclose(marks.get_xdata(), scores.mean(axis=1), rtol=1e-12)
        dots = np.array([axes.collections[3 * row + index].get_offsets() for row in range(10)])
        np.testing.assert_array_equal(dots[..., 0], scores)
        # Mean and seeds are on one line, in the row of their class.
        np.testing.assert_allclose(dots[..., 1], np.tile(marks.get_ydata(), (2, 1)).T, atol=1e-12)
        assert np.rint(marks.get_ydata()).tolist() == list(range(10))


def test_per_class_of_one_seed_has_no_dots(drawn):
    figure = figures.per_class([drawn[1][0]["per_class"]])
    assert not figure.axes[0].collections
    assert figure.legends[0].get_title().get_text() == ""


def test_explanations_write_probabilities_and_draw_them_to_scale(drawn):
    axes = drawn[0]["explanations"].axes[0]
    written = {t.get_text() for t in axes.texts}
    assert {"cat", "75.0%", "dog", "25.0%"} <= written
    widths = [bar.get_width() for bar in axes.patches]
    assert widths[1] / widths[0] == pytest.approx(0.75)
    assert widths[3] / widths[2] == pytest.approx(0.25)


def test_heatmap_is_scaled_by_its_maximum_and_zero_stays_zero():
    heat = np.array([[0.0, 2.0], [1.0, 4.0]])
    np.testing.assert_array_equal(scaled_for_display(heat), heat / 4)
    np.testing.assert_array_equal(scaled_for_display(heat * 0), heat * 0)
    with pytest.raises(CifarcamError, match=">= 0"):
        scaled_for_display(-heat)


def test_heatmap_of_zeros_is_labelled(drawn):
    labels = [t.get_text() for t in drawn[0]["heatmaps"].axes[0].texts]
    assert sum("no positive" in text for text in labels) == 1


def test_correlations_are_written_and_unknown_ones_are_blank(drawn):
    (cells,) = drawn[0]["correlations"].axes[0].collections
    assert cells.get_array().compressed().tolist() == [1.0, -0.25, 0.5]
    assert cells.get_clim() == (-1, 1)
    written = [t.get_text() for t in drawn[0]["correlations"].axes[0].texts]
    assert written == ["1.00", "−.25", ".50"]
    with pytest.raises(CifarcamError, match="2 rows x 1 columns"):
        figures.correlations(np.zeros((2, 2)), ["a", "b"], ["c"], "value")


def test_method_grid_scales_each_heatmap_by_its_own_maximum(drawn):
    shown = [i.get_array() for i in drawn[0]["method_grid"].axes[0].images]
    assert len(shown) == 3 + 6 + 1  # pictures, maps, scale
    with pytest.raises(CifarcamError, match="one title an image"):
        figures.method_grid(np.zeros((2, 4, 4, 3), np.uint8), np.zeros((1, 3, 4, 4)), ["a"], "bc")


def test_contact_sheet_puts_right_predictions_first_and_names_the_class_of_wrong_ones():
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.full((4, 4, 3), 40, np.uint8)
    heat = np.ones((5, 4, 4))
    heat[4] = 0
    labels, predicted = np.array([1, 0, 1, 2, 1]), np.array([0, 0, 1, 2, 2])
    names = ["cat", "dog", "ship"]
    axes = figures.contact_sheet(pictures, heat, labels, predicted, names).axes[0]
    tiles = [image.get_array()[0, 0].tolist() for image in axes.images]
    # Cat: picture 1. Dog: picture 2, then pictures 0 and 4, taken for cat and for ship. Ship: 3.
    covered = coloured(np.ones((1, 1)))[0, 0]
    for place, index in enumerate((1, 2, 0, None, 3)):
        seen = 160 if index is None else 0.35 * pictures[index, 0, 0] + 0.65 * covered
        assert tiles[place] == (np.zeros(3) + np.rint(seen)).tolist()
    left = [image.get_extent()[0] for image in axes.images]
    written = [(text.get_text(), text.get_position()[0]) for text in axes.texts]
    width = axes.images[0].get_extent()[1]
    assert [name for name, _ in written] == ["cat", "dog", "cat", "ship", "ship"]
    places = [left[0], left[1], left[2] + width / 2, left[3] + width / 2, left[4]]
    assert [x for _, x in written] == pytest.approx(places)
    nobody = (pictures[:0], heat[:0], labels[:0], predicted[:0], names)
    assert not figures.contact_sheet(*nobody).axes[0].images
    with pytest.raises(CifarcamError, match="5 images, 5 heatmaps, 5 labels and 4 predictions"):
        figures.contact_sheet(pictures, heat, labels, predicted[:4], names)


def test_architecture_names_shapes_and_parameters(drawn):
    written = " ".join(t.get_text() for t in texts(drawn[0]["architecture"]))
    for words in ("32×32×3", "896", "1,234,567", "×6", "650"):
        assert words in written


def test_samples_keep_their_pixels(drawn):
    generator = np.random.default_rng(GENERATOR_SEED)
    images = generator.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    shown = drawn[0]["samples"].axes[0].images[0].get_array()
    factor = shown.shape[1] // (3 * 34 - 2)
    np.testing.assert_array_equal(shown[::factor, ::factor][:32, :32], images[0])


def test_save_refuses_an_unknown_ending(drawn, tmp_path):
    with pytest.raises(CifarcamError, match="give a name that ends in"):
        figures.save(drawn[0]["samples"], tmp_path / "figure.bmp")


def test_save_writes_no_date_into_svg(drawn, tmp_path):
    figures.save(drawn[0]["per_class"], tmp_path / "figure.svg")
    assert "dc:date" not in (tmp_path / "figure.svg").read_text()


def test_accuracy_by_cost_puts_networks_where_their_numbers_are():
    accuracy = {"small": 72.0, "large": 94.5}
    drawn = figures.accuracy_by_cost(accuracy, {"parameters": {"small": 2e5, "large": 1e7}})
    (axes,) = drawn.axes
    assert axes.collections[0].get_offsets().tolist() == [[2e5, 72.0], [1e7, 94.5]]
    with pytest.raises(CifarcamError, match="large has no minutes above 0"):
        figures.accuracy_by_cost(accuracy, {"minutes": {"small": 1.0, "large": 0.0}})


def test_accuracy_by_price_joins_the_precisions_of_a_network():
    accuracy = {"small": {"float32": 72.0, "int8": 71.0}, "large": {"float32": 94.0}}
    price = {"small": {"float32": 4.0, "int8": 1.0}, "large": {"float32": 40.0}}
    (axes,) = figures.accuracy_by_price(accuracy, {"MB": price}).axes
    lines = [line.get_xydata().tolist() for line in axes.lines]
    assert [[4, 72], [1, 71]] in lines and [[40, 94]] in lines
    marks = {
        tuple(line.get_xydata()[0]): line.get_marker()
        for line in axes.lines
        if line.get_marker() != "None" and len(line.get_xydata()) == 1
    }
    assert marks[4, 72] == marks[40, 94] != marks[1, 71]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["float32", "int8"]
    price["small"]["int8"] = 0.0
    with pytest.raises(CifarcamError, match="small in int8 has no MB above 0; give one for each"):
        figures.accuracy_by_price(accuracy, {"MB": price})
    figures.accuracy_by_price({}, {"MB": {}})  # nothing is measured yet


def test_learning_curves_run_over_the_training_time():
    history = {
        "seconds": np.array([60.0, 120.0]),
        "train_accuracy": np.array([0.4, 0.5]),
        "validation_accuracy": np.array([np.nan, np.nan]),
    }
    left, right = figures.learning_curves({"one": history}).axes
    assert left.lines[0].get_xydata().tolist() == [[1.0, 40.0], [3.0, 50.0]]
    assert not right.lines


def test_ablation_shows_every_seed_and_refuses_steps_that_do_not_match():
    drawn = figures.ablation(
        ["start", "more"], [[60, 62], [70, 72]], [(58, 64), (69, 73)], [60, 120]
    )
    left, right = drawn.axes
    assert [dots.get_offsets().tolist() for dots in left.collections] == [
        [[60, 0], [62, 0]],
        [[70, 1], [72, 1]],
    ]
    *intervals, means = [line.get_xydata().tolist() for line in left.lines]
    assert intervals == [[[58, 0], [64, 0]], [[69, 1], [73, 1]]]
    assert means == [[61, 0], [71, 1]]
    assert [bar.get_width() for bar in right.patches] == [1, 2]
    assert [text.get_text() for text in left.get_yticklabels()] == ["start", "more"]
    with pytest.raises(CifarcamError, match="1 ingredients, 0 accuracies"):
        figures.ablation(["start"], [], [], [])


def test_accuracy_by_seed_shows_seeds_intervals_and_the_level():
    drawn = figures.accuracy_by_seed(
        {"one": [94.0, 96.0], "two": [88.0]}, {"one": (93.0, 97.0), "two": (np.nan, np.nan)}, 90
    )
    (axes,) = drawn.axes
    assert [dots.get_offsets().tolist() for dots in axes.collections] == [
        [[94, 0], [96, 0]],
        [[88, 1]],
    ]
    interval, _, level = axes.lines
    assert interval.get_xydata().tolist() == [[93, 0], [97, 0]]
    assert list(level.get_xdata()) == [90, 90]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["one", "two"]


def test_confusions_by_accuracy_puts_networks_where_their_numbers_are():
    counts = {"cat – dog": [90, 30, 40], "car – truck": [40, 9, 8]}
    drawn = figures.confusions_by_accuracy(
        [70, 95, 96], counts, [5, 110, np.nan], [True, False, False]
    )
    first, second = drawn.axes[:2]
    places = [dots.get_offsets().tolist() for dots in first.collections]
    assert [place for place in places if place] == [[[96, 40]], [[95, 30]], [[70, 90]]]
    assert second.get_title() == "car – truck"
    assert not first.lines
    with pytest.raises(CifarcamError, match="numbers of networks differ"):
        figures.confusions_by_accuracy([70, 95], counts, [5, 110], [True, False])
    with pytest.raises(CifarcamError, match="no depth is known"):
        figures.confusions_by_accuracy([70], {"a": [1]}, [np.nan], [True])


def explained(height, width, name="picture.png", target="cat", top=(("cat", 0.7), ("dog", 0.3))):
    heat = np.linspace(0.1, 1, height * width, dtype=np.float32).reshape(height, width)
    picture = np.full((height, width, 3), 90, np.uint8)
    return Explanation(name, picture, heat, target, list(top))


def boxes(figure):
    """Where texts, bars and pictures are, in inches from the lower left corner: x0, y0, x1, y1."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (axes,) = figure.axes
    artists = [*texts(figure), *axes.patches, *axes.images]
    return [
        (artist, np.array(artist.get_window_extent(canvas.get_renderer()).extents) / figure.dpi)
        for artist in artists
    ]


@pytest.mark.parametrize(
    "sizes",
    [
        [(32, 32)],
        [(160, 90)],
        [(90, 160)],
        [(96, 32), (12, 300), (1, 1)],
        pytest.param([(160, 90)] * 6, marks=pytest.mark.slow),
        pytest.param(
            [(96, 32), (12, 300), (300, 20), (32, 32), (1, 1), (40, 160)], marks=pytest.mark.slow
        ),
    ],
    ids=["square", "portrait", "landscape", "three", "six", "mixed"],
)
@pytest.mark.parametrize("long", [False, True])
def test_explanations_show_pictures_of_any_shape_whole_and_side_by_side(sizes, long):
    name = "a file's name that goes on and on " * 6 if long else "picture.png"
    top = [(f"class {k} {name}", share) for k, share in enumerate((0.5, 0.3, 0.2))]
    items = [explained(*size, name, top[0][0], top) for size in sizes]
    figure = figures.explanations(items)
    placed = boxes(figure)
    for artist, (left, low, right, high) in placed:
        assert left > -0.06, artist
        assert low > -0.06, artist
        assert right < figure.get_figwidth() + 0.06, artist
        assert high < figure.get_figheight() + 0.06, artist
    for index, (first, one) in enumerate(placed):
        for second, other in placed[index + 1 :]:
            if isinstance(first, Rectangle) and isinstance(second, Rectangle):
                continue  # a bar lies on its ground
            apart = (one[2:] <= other[:2] + 0.02) | (other[2:] <= one[:2] + 0.02)
            assert apart.any(), (first, second)
    shown = figure.axes[0].images[:-1]  # the last is the colours' scale
    assert len(shown) == 3 * len(sizes)
    for image, (height, width) in zip(shown, np.repeat(sizes, 3, axis=0), strict=True):
        left, right, bottom, top_edge = image.get_extent()
        assert (bottom - top_edge) / (right - left) == pytest.approx(height / width)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "kind", ["svg", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("png", "pdf"))]
)
def test_explanations_draw_names_letter_by_letter(tmp_path, kind):
    names = [
        "5$ or 6$.png",
        "x_$$_y",
        "$\\frac$",
        "back\\slash",
        "caf\udce9",
        "a\nb",
        "\ufdd0\U0001fae0",
    ]
    items = [explained(8, 8, name, name, [(name, 0.5)]) for name in names]
    figure = figures.explanations(items)
    figures.save(figure, tmp_path / f"figure.{kind}")
    written = [text.get_text() for text in texts(figure)]
    for name in (*names[:4], "caf\ufffd", "a b", "\ufffd\\U0001fae0"):
        assert f"{name}: map for {name}" in written
        assert name in written
    titled = figures.heatmaps(items[0].picture[None], items[0].heatmap[None], ["US$ \u732b $"])
    figures.save(titled, tmp_path / f"titled.{kind}")


def test_fallback_serves_letters_that_the_typeface_lacks(monkeypatch):
    frown = "\u2322"  # in a typeface that comes with Matplotlib, and not in the usual one
    assert text.literal(f"a{frown}") == "a\\u2322"
    monkeypatch.setattr(text, "FAMILY", (text.TYPEFACE, "STIXGeneral"))
    assert text.literal(f"a{frown}") == f"a{frown}"


def test_fallback_without_bold_type_is_used_without_a_log_entry(monkeypatch, caplog, tmp_path):
    family = (text.TYPEFACE, "cmr10")
    monkeypatch.setattr(text, "FAMILY", family)
    monkeypatch.setattr(style, "STYLE", {**style.STYLE, "font.family": family})
    figures.save(figures.explanations([explained(4, 4)]), tmp_path / "figure.png")
    assert caplog.text == ""


def test_shortened_text_is_no_shorter_than_it_must_be():
    name = "abcdefghij" * 8
    for width in (0.5, 1.0, 3.0):
        short = text.shortened(name, width)
        assert width - 0.2 < text.text_width(short) <= width
        first, last = short.split("…")
        assert name.startswith(first)
        assert name.endswith(last)
        assert len(first) - len(last) in (0, 1)
    assert text.shortened(name, 100.0) == name
    assert text.shortened(name, 0.0) == "…"


def test_explanations_refuse_more_pictures_than_a_figure_holds():
    with pytest.raises(CifarcamError, match="101 pictures"):
        figures.explanations([explained(4, 4)] * 101)
