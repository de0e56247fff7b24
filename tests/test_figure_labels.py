"""Names of lines stand in order at the lines' ends, apart from each other and legible."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from cifarcam import figures
from cifarcam.figures.labels import End, contrast_on_white, label_ends, legible, spread
from cifarcam.figures.networks import COLOURS


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([], []),
        ([3.0], [3.0]),
        ([0.0, 5.0, 2.0], [0.0, 5.0, 2.0]),  # apart already
        ([2.0, 2.0], [1.5, 2.5]),
        ([4.2, 4.0, 0.0], [4.6, 3.6, 0.0]),
        ([2.0, 2.5, 3.2], [1.5666667, 2.5666667, 3.5666667]),  # the mean stays
        ([0.1, 0.2, 5.0], [0.0, 1.0, 5.0]),  # at the lower limit
        ([5.9, 5.8, 5.7], [6.0, 5.0, 4.0]),  # at the upper limit
    ],
)
def test_spread_moves_labels_as_little_as_possible(wanted, expected):
    np.testing.assert_allclose(spread(wanted, 1.0, 0.0, 6.0), expected, atol=1e-6)


def test_spread_is_the_least_sum_of_squared_moves():
    generator = np.random.default_rng(0)
    wanted = generator.uniform(0, 1, 6)
    places = spread(wanted, 0.1)
    order = np.argsort(wanted)
    assert np.diff(places[order]).min() >= 0.1 - 1e-9
    least = np.sum((places - wanted) ** 2)
    for _ in range(2000):
        other = places + generator.normal(0, 0.05, 6)
        if np.diff(other[order]).min() >= 0.1:
            assert np.sum((other - wanted) ** 2) >= least


def test_colours_of_names_are_legible_on_white_and_dark_colours_stay():
    assert contrast_on_white((0, 0, 0)) == pytest.approx(21)
    assert contrast_on_white((1, 1, 1)) == pytest.approx(1)
    assert to_hex(legible("#0072B2")) == "#0072b2"
    assert all(contrast_on_white(legible(colour)) >= 4.5 for colour in COLOURS)


def test_names_of_lines_that_end_together_do_not_overlap():
    figure = Figure(figsize=(4, 2), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    ends = [End(str(k), 1.0, 0.5 + 0.01 * k, "#000000") for k in range(6)]
    label_ends(axes, ends)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(boxes) == 6
    for lower, upper in itertools.pairwise(boxes):
        assert lower.y1 < upper.y0
    assert min(box.x0 for box in boxes) > axes.get_window_extent().x1
    assert max(box.x1 for box in boxes) <= figure.bbox.x1


def test_networks_are_named_at_the_height_of_their_accuracy():
    accuracy = {"low": 60.0, "middle": 75.0, "high": 90.0}
    figure = figures.accuracy_by_cost(accuracy, {"parameters": dict.fromkeys(accuracy, 1e6)})
    figure.draw_without_rendering()
    (axes,) = figure.axes
    names = {text.get_text(): text for text in axes.texts if text.get_text()}
    for name, percent in accuracy.items():
        height = axes.transData.inverted().transform(
            names[name].get_transform().transform(names[name].get_position())
        )[1]
        assert height == pytest.approx(percent, abs=0.5)


def test_names_of_removal_curves_go_from_the_highest_to_the_lowest():
    falls = {"fast": [0.9, 0.2, 0.1], "slow": [0.9, 0.8, 0.1], "random map": [0.9, 0.5, 0.1]}
    figure = figures.removal_curves([0, 0.5, 1], falls, falls)
    written = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert written == ["slow", "random map", "fast"]
