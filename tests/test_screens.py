"""Figures on the pages: their dark colours."""

import io
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from cifarcam.publish.screens import darkened


def svg_of(figure):
    file = io.StringIO()
    figure.savefig(file, format="svg")
    return file.getvalue()


@pytest.fixture
def chart():
    figure = Figure(figsize=(3, 2))
    axes = figure.add_subplot()
    axes.bar(["a"], [1.0], color="#0072b2", edgecolor="#ffffff")
    return svg_of(figure)


@pytest.fixture
def matrix():
    figure = Figure(figsize=(3, 2))
    axes = figure.add_subplot()
    axes.pcolormesh(np.arange(4.0).reshape(2, 2), cmap="Blues")
    axes.text(0.5, 0.5, "7", color="#ffffff")
    return svg_of(figure)


def rules(svg):
    """Selector and colour of each rule for the dark."""
    return dict(re.findall(r"#dark:target (\S.*?) \{\w+: (.*?) !important\}", darkened(svg)))


def test_every_colour_has_a_dark_one_and_the_ground_has_none(chart):
    dark = rules(chart)
    assert dark['[style*="fill: #ffffff"]'] == "none"
    assert dark['[style*="stroke: #ffffff"]'] == "#121212"
    assert dark['[style*="fill: #0072b2"]'].startswith("oklch(from #0072b2 ")
    colours = set(re.findall(r"(?:fill|stroke): #[0-9a-f]{6}", chart))
    assert {re.search(r'"(.*)"', selector)[1] for selector in dark} == colours


def test_cells_of_a_matrix_and_their_numbers_keep_their_colours(matrix):
    for selector in rules(matrix):
        assert selector.endswith(":not([id^=QuadMesh] *)")
        assert selector.startswith("path") or "stroke" in selector


def test_figure_in_the_light_is_as_drawn_and_twice_changes_nothing(chart):
    once = darkened(chart)
    body = once.split("</style>", 1)[1]
    assert body == chart.split("</style>", 1)[1]
    assert darkened(once) == once
