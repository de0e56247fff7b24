"""Figures and table rows of the chapter on trust in the heatmaps, from a small hand-made record."""

import numpy as np
import pytest
from matplotlib import colors

from cifarcam import explain, figures
from cifarcam.errors import CifarcamError
from cifarcam.report import trust
from cifarcam.studies import comparison, faithfulness, maps, rankings, road_check
from cifarcam.studies.claims import explanations
from cifarcam.studies.packing import packed

METHODS = ("hires-cam", "grad-cam", "smoothgrad", "lime", "shap", "random", "centre")
NOISE = np.random.default_rng(0).normal(0, 0.05, 30)


def network(seed):
    entries = {}
    for name in (*METHODS, "smoothgrad-blurred", "grad-cam+lime", "grad-cam+shap"):
        value = {"hires-cam": 0.3, "smoothgrad": 0.4, "random": 0.0}.get(name, 0.2) + 0.01 * seed
        entries[name] = {
            "values": {metric: packed(value + NOISE) for metric in comparison.METRICS},
            "curves": {"shares": [0, 1], "deletion": [0.8, value], "insertion": [0.1, 0.8]},
            "cpu_milliseconds": 1.0,
            "redrawn": 0.5,
        }
    return {
        "experiment": "baseline",
        "seed": seed,
        "name": f"baseline-seed{seed}",
        "maps": entries,
        "agreement": [[1.0 if a == b else None for b in METHODS] for a in METHODS],
    }


@pytest.fixture
def record():
    return {"device": "a processor", "networks": [network(0), network(1), network(2)]}


@pytest.fixture(autouse=True)
def few_methods(monkeypatch):
    monkeypatch.setattr(faithfulness, "METHODS", {name: explain.METHODS[name] for name in METHODS})


def test_dots_are_means_by_seed_in_the_order_of_road(record):
    values, controls, better = trust.dots(record, ["road", "deletion"])
    assert list(values) == ["ROAD", "deletion"]
    assert list(values["ROAD"])[:2] == ["SmoothGrad", "HiResCAM"]
    expected = 0.4 + NOISE.mean() + np.array([0, 0.01, 0.02])
    np.testing.assert_allclose(values["ROAD"]["SmoothGrad"], expected, atol=1e-4)
    assert controls["ROAD"]["random map"] == pytest.approx(NOISE.mean() + 0.01, abs=1e-4)
    assert better == {"ROAD": "higher is better", "deletion": "lower is better"}


def test_method_dots_draws_every_seed_and_both_controls(record):
    values, controls, better = trust.dots(record, ["road", "deletion"])
    figure = figures.method_dots(values, controls, better, columns=2)
    axes = figure.axes[0]
    drawn = [tuple(p) for points in axes.collections for p in points.get_offsets()]
    assert len(drawn) == 15
    for row, dots in enumerate(values["ROAD"].values()):
        assert sorted(x for x, y in drawn if y == row) == pytest.approx(sorted(dots))
    lines = {
        line.get_label(): line.get_xdata()[0] for line in axes.lines if line.get_label()[0] != "_"
    }
    assert lines == pytest.approx(controls["ROAD"])
    assert figure.axes[1].get_xlabel() == "deletion\n(lower is better)"
    with pytest.raises(CifarcamError, match="no values"):
        figures.method_dots({}, {}, {})


def test_removal_curves_are_those_of_the_record(record):
    figure = figures.removal_curves(*trust.curves(record, ["grad-cam", "smoothgrad", "centre"]))
    left, right = figure.axes
    assert [line.get_label() for line in left.lines] == ["Grad-CAM", "SmoothGrad", "centre blob"]
    np.testing.assert_allclose(left.lines[1].get_ydata(), [0.8, 0.4])
    np.testing.assert_allclose(right.lines[0].get_xdata(), [0, 100])
    shades = {colors.to_hex(line.get_color()) for line in left.lines}
    assert len(shades) == 3


def test_rows_mark_differences_beyond_chance(record):
    rows = trust.control_rows(record)
    assert [row[0] for row in rows][:2] == ["SmoothGrad", "HiResCAM"]
    by_name = {row[0]: row for row in rows}
    assert by_name["SmoothGrad"][4].endswith("*") and by_name["Grad-CAM"][4] == "–"
    assert not by_name["Grad-CAM"][3].endswith("*")  # equal to the blob
    assert [len(row) for row in rows] == [len(trust.CONTROL_HEADER)] * 5
    assert trust.method_rows(record)[1][0] == "Grad-CAM"


def test_network_rows_count_the_methods_that_beat_each_control(record):
    rows = trust.network_rows(record)
    assert [len(row) for row in rows] == [len(trust.NETWORK_HEADER)] * 3
    assert rows[0][:5] == ["baseline, seed 0", "30", "5 of 5", "2 of 5", "1 of 1"]
    assert not rows[0][5].endswith("*")


def test_summaries_read_the_record(record):
    headline = comparison.headline_values(record)
    assert comparison.against_blob(headline).open == 9
    assert comparison.control_findings(record)["road.centre"].better == 2
    assert rankings.common_methods(record) == list(METHODS[:5])
    assert rankings.primary_means(record).shape == (3, 5)
    assert rankings.milliseconds(record)["lime"] == 1.0
    found = maps.agreements(record)
    assert np.isnan(found.grad_cam_lime) and found.redrawn_lime == 0.5
    names, table = maps.agreement(record["networks"][0])
    assert names == list(METHODS) and np.isnan(table[0, 1]) and table[0, 0] == 1
    road = [comparison.values_of(one, "road") for one in comparison.baselines(record)]
    assert explanations.complement(road, "lime").effect.value == pytest.approx(0, abs=1e-9)
    assert trust.network_title(record["networks"][1]) == "baseline, seed 1"
    assert trust.network_title({"experiment": "resnet18-long", "seed": 0}) == "ResNet-18"


def road_record(own, other):
    """Right answers of 4,000 that differ from the published accuracies by some answers."""
    own, other = (
        [round(40 * one) + by for one, by in zip(road_check.PUBLISHED.values(), bys, strict=True)]
        for bys in (own, other)
    )
    return {"whole": 3200, "images": 4_000, "own": own, "other": other}


def test_road_rows_show_both_accuracies_and_their_difference():
    first, *_, last = trust.road_rows(road_record([-80] * 7, [0] * 7))
    # Half of Newcombe's interval is about 1.96 sqrt(0.7132 x 0.2868 / 10000 + 0.693 x 0.307 / 4000).
    assert first[:4] == ["10", "71.3", "69.3", "−2.0 [−3.7, −0.3]"]
    assert first[4] == "71.3" and first[5].startswith("+0.0 [−1.")
    assert last[:3] == ["90", "29.1", "27.1"]


def test_road_summary_counts_published_accuracies_between_the_measured_ones():
    low, high = [-80] * 7, [80] * 7
    found = trust.road_summary(road_record(low, high))
    assert (found.whole, found.images) == (80, 4_000)
    assert "−2.0 points" in found.own and "+2.0 points" in found.other
    assert found.between.startswith("At every share")
    assert trust.road_summary(road_record(high, low)).between.startswith("At every share")
    assert trust.road_summary(road_record(high, high)).between.endswith("at no share of pixels.")
    mixed = road_record(low, high[:3] + low[3:])
    assert "At 3 of 7 shares" in trust.road_summary(mixed).between
