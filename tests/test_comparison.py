"""Methods against controls, their order, and the wording of findings, from hand-made values."""

import math

import numpy as np
import pytest
from scipy import stats

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.studies import comparison, maps, rankings, wording
from cifarcam.studies.packing import packed, unpacked

RNG = np.random.default_rng(0)
NOISE = RNG.normal(0, 0.1, 60)


def values(**means):
    """Values of 60 images for each map: the same noise for all, and a little of its own."""
    own = np.random.default_rng(1)
    return {
        name.replace("_", "-"): mean + NOISE + own.normal(0, 0.02, 60)
        for name, mean in means.items()
    }


def test_packed_values_come_back_to_four_digits():
    numbers = np.array([0.12344, -1.0, 3.2767, np.nan, 0.0])
    np.testing.assert_allclose(unpacked(packed(numbers)), [0.1234, -1, 3.2767, np.nan, 0])
    assert len(packed(np.zeros(300))) == 800
    with pytest.raises(CifarcamError, match="beyond"):
        packed(np.array([3.3]))


def test_titles_of_maps_are_those_of_the_methods():
    assert comparison.title("grad-cam++") == "Grad-CAM++"
    assert comparison.title("smoothgrad-blurred") == "SmoothGrad, blurred"
    assert comparison.title("grad-cam+lime") == "Grad-CAM and LIME"
    assert len({method.title for method in explain.METHODS.values()}) == len(explain.METHODS)
    names = ["grad-cam", "random", "centre", "saliency-blurred", "grad-cam+lime"]
    assert comparison.methods(names) == ["grad-cam"]


def test_paired_is_the_t_test_of_the_differences():
    first, second = RNG.normal(1, 1, 30), RNG.normal(0, 1, 40)
    effect = comparison.paired(first, second)
    expected = stats.ttest_rel(first, second[:30])
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose(
        [effect.value, effect.low, effect.high, effect.p],
        [(first - second[:30]).mean(), interval.low, interval.high, expected.pvalue],
    )
    assert (effect.count, effect.over) == (30, "test images")
    first[3] = np.nan
    assert comparison.paired(first, second).count == 29
    same = comparison.paired(second, second)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)
    assert comparison.paired(second + 1, second).p < 1e-12
    with pytest.raises(CifarcamError, match="at least two"):
        comparison.paired(first[:1], second)


def test_outcomes_follow_the_metric_and_holm():
    measured = values(grad_cam=0.5, hires_cam=0.6, random=0.0, centre=0.5)
    by_pair = {(c.name, c.against): c for c in comparison.against_controls(measured, "road")}
    assert len(by_pair) == 4
    assert by_pair["grad-cam", "random"].outcome == 1
    assert by_pair["grad-cam", "centre"].outcome == 0
    assert by_pair["hires-cam", "centre"].outcome == 1
    of_deletion = comparison.against_controls(measured, "deletion")
    assert [c.outcome for c in of_deletion if c.against == "random"] == [-1, -1]
    raw = [c.effect.p for c in by_pair.values()]
    assert max(c.p for c in by_pair.values()) >= max(raw)
    # A single test at p = 0.04 is beyond chance; as one of two it is not.
    assert comparison._outcome(1.0, 0.04, "road") == 1
    assert comparison._outcome(1.0, 0.08, "road") == 0


def test_blurred_copies_are_controls_of_their_own_method():
    measured = values(saliency=0.2, grad_cam=0.2, random=0.0, centre=0.1)
    measured["saliency-blurred"] = measured["saliency"] + 0.1 + 0.01 * RNG.normal(size=60)
    found = comparison.against_controls(measured, "road")
    assert [(c.name, c.outcome) for c in found if c.against.endswith("blurred")] == [
        ("saliency", -1)
    ]


def test_agreed_keeps_an_outcome_that_all_seeds_share():
    one = comparison.against_controls(values(grad_cam=0.5, random=0.0, centre=0.5), "road")
    two = comparison.against_controls(values(grad_cam=0.5, random=0.0, centre=0.9), "road")
    assert [c.outcome for c in one] == [1, 0] and [c.outcome for c in two] == [1, -1]
    assert [c.outcome for c in comparison.agreed([one, two])] == [1, 0]
    assert [c.outcome for c in comparison.agreed([two, two])] == [1, -1]


def outcomes(*pairs, against="centre"):
    effect = comparison.paired(NOISE, np.zeros(60))
    return [comparison.Comparison(name, against, effect, 0.5, outcome) for name, outcome in pairs]


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        ([], "No method was compared with the centre blob."),
        ([1, 1], "Every method beats the centre blob according to ROAD."),
        ([0, 0], "No method beats the centre blob according to ROAD."),
        (
            [-1, -1],
            "No method beats the centre blob according to ROAD. All of them are worse than the centre "
            "blob.",
        ),
        ([1, 0], "Every method beats the centre blob according to ROAD, except HiResCAM."),
        (
            [1, 1, -1],
            "Every method beats the centre blob according to ROAD, except LayerCAM. LayerCAM is "
            "worse than the centre blob.",
        ),
        ([1, 0, 0], "Only Grad-CAM beats the centre blob according to ROAD."),
        (
            [1, 1, 0, -1, -1],
            "Only Grad-CAM and HiResCAM beat the centre blob according to ROAD. Saliency and "
            "SmoothGrad are worse than the centre blob.",
        ),
        (
            [1, 1, 1, 1, 0, -1, -1, -1, -1],
            "Of the 9 methods, 4 beat the centre blob according to ROAD. 4 methods are worse than "
            "the centre blob.",
        ),
    ],
)
def test_sentence_on_a_control_has_a_branch_for_every_outcome(results, sentence):
    names = ("grad-cam", "hires-cam", "layer-cam", "saliency", "smoothgrad", "lime", "shap")
    pairs = zip((*names, "score-cam", "eigen-cam"), results, strict=False)
    found = comparison.against_control(outcomes(*pairs), "centre", "road")
    assert found.sentence == sentence
    assert (found.better, found.worse, found.open) == tuple(map(results.count, (1, -1, 0)))


def test_sentence_on_blurred_copies():
    some = outcomes(("saliency", 1), ("smoothgrad", 0), ("integrated-gradients", 0))
    blurred = [
        comparison.Comparison(c.name, f"{c.name}-blurred", c.effect, c.p, c.outcome) for c in some
    ]
    found = comparison.against_control(blurred, "blurred", "road")
    assert found.sentence == "Only saliency beats its blurred copy according to ROAD."


def blob(*differences, noise=0.02):
    """Three metrics of as many seeds; a difference above 0 is better in each metric."""
    own = np.random.default_rng(2)
    return {
        metric: [
            {
                "centre": NOISE,
                "grad-cam": NOISE
                + comparison.BETTER[metric] * difference
                + own.normal(0, noise, 60),
            }
            for difference in differences
        ]
        for metric in comparison.HEADLINE
    }


@pytest.mark.parametrize(
    ("differences", "counts", "words"),
    [
        (
            (0, 0, 0),
            (0, 0, 9),
            "is neither measurably better nor measurably worse than a blob in the",
        ),
        ((0.1, 0.1, 0.1), (9, 0, 0), "in all 9 comparisons (3 metrics and 3 seeds)"),
        (
            (-0.1, 0, 0),
            (0, 3, 6),
            "never beats a blob in the centre of every image and is worse in 3 of 9",
        ),
        ((0.1, 0, 0), (3, 0, 6), "seeds) and is worse in none"),
        (
            (0.1, -0.1, 0),
            (3, 3, 3),
            "in 3 of 9 comparisons (3 metrics and 3 seeds) and is worse in 3",
        ),
    ],
)
def test_blob_counts_comparisons_over_seeds_and_metrics(differences, counts, words):
    found = comparison.against_blob(blob(*differences))
    assert (found.better, found.worse, found.open) == counts
    assert words in found.sentence and "9 comparisons (3 metrics and 3 seeds)" in found.sentence
    assert found.effect.count == 3
    assert found.effect.value == pytest.approx(np.mean(differences), abs=0.01)
    assert [len(row) for row in found.table.values()] == [3, 3, 3]


def test_blob_with_one_seed_has_no_interval():
    found = comparison.against_blob(blob(0.1))
    assert found.comparisons == 3 and math.isnan(found.effect.low)
    assert "3 metrics and 1 seed)" in found.sentence


def test_beating_everywhere_names_the_methods():
    some = blob(0, 0)
    for seeds in some.values():
        for one in seeds:
            one["hires-cam"] = one["centre"] + (one["grad-cam"] - one["centre"])
    none = comparison.beating_everywhere(some)
    assert none == (
        "No method beats the centre blob according to ROAD, deletion and insertion with all 2 seeds."
    )
    for metric, seeds in some.items():
        for one in seeds:
            one["hires-cam"] = one["hires-cam"] + 0.2 * comparison.BETTER[metric]
    assert comparison.beating_everywhere(some).startswith("Only HiResCAM beats the centre blob")
    for metric, seeds in some.items():
        for one in seeds:
            one["grad-cam"] = one["grad-cam"] + 0.2 * comparison.BETTER[metric]
    assert comparison.beating_everywhere(some).startswith("Every method beats")


def test_beating_everywhere_is_corrected_for_all_methods_that_could_be_named():
    """A difference of p = 0.004 is beyond chance among three tests, and not among thirteen."""
    names = [name for name in explain.METHODS if name not in comparison.CONTROLS][:13]
    spread = np.resize([1.0, -1.0], 100)
    p, error = 0.004, spread.std(ddof=1) / 10
    shift = stats.t.isf(p / 2, 99) * error

    def values(metric, some):
        better = spread + shift * comparison.BETTER[metric]
        return [{"centre": np.zeros(100)} | dict.fromkeys(some, better)]

    for some, words in ((names[:3], "Every method"), (names, "No method")):
        by_metric = {metric: values(metric, some) for metric in comparison.HEADLINE}
        assert comparison.beating_everywhere(by_metric).startswith(words)
        counts = {
            comparison.against_control(
                comparison.agreed([comparison.against_controls(one, metric) for one in seeds]),
                "centre",
                metric,
            ).better
            for metric, seeds in by_metric.items()
        }
        assert counts == {len(some) if words == "Every method" else 0}


def test_stability_is_the_mean_rank_correlation_of_pairs():
    means = np.array([[1, 2, 3, 4], [1, 2, 4, 3], [4, 3, 2, 1]], float)
    found = rankings.stability(["baseline", "baseline", "resnet18"], means)
    # Spearman: 1 - 6 Σd² / (n³ - n) = 0.8 for one swap of neighbours; -1 and -0.8 to the reversed.
    assert found.seeds == pytest.approx(0.8) and found.networks == pytest.approx(-0.9)
    assert found.seeds_kendall == pytest.approx(4 / 6)  # one of six pairs is discordant
    assert (found.seed_pairs, found.network_pairs, found.methods) == (1, 2, 4)
    assert found.networks_least == pytest.approx(-1)
    np.testing.assert_allclose(
        rankings.order_correlations(means),
        [[1, 0.8, -1], [0.8, 1, -0.8], [-1, -0.8, 1]],
    )


def test_stability_gives_equal_values_their_mean_rank():
    means = np.array([[1, 1, 2], [1, 2, 3]], float)
    found = rankings.stability(["a", "a"], means)
    assert found.seeds == pytest.approx(stats.pearsonr([1.5, 1.5, 3], [1, 2, 3]).statistic)
    assert rankings.order_correlations(means)[0, 1] == pytest.approx(found.seeds)


@pytest.mark.parametrize(
    ("experiments", "rows", "words"),
    [
        (["a", "a", "b"], [[1, 2, 3], [1, 2, 3], [1, 2, 3]], "is stable between seeds and"),
        (["a", "a", "b"], [[1, 2, 3], [1, 2, 3], [3, 2, 1]], "but changes between networks"),
        (["a", "a", "b"], [[1, 2, 3], [3, 2, 1], [1, 2, 3]], "already changes between seeds"),
        (["a", "b"], [[1, 2, 3], [1, 2, 3]], "Too few networks"),
        (["a"], [[1, 2, 3]], "Too few networks"),
    ],
)
def test_stability_sentence_has_a_branch_for_every_outcome(experiments, rows, words):
    assert words in rankings.stability(experiments, np.array(rows, float)).sentence


def road(*gaps):
    """ROAD of seeds in which HiResCAM leads Grad-CAM by a gap, and the controls are low."""
    return [
        {
            "grad-cam": 0.2 + NOISE,
            "hires-cam": 0.2 + gap + NOISE,
            "lime": 0.1 + NOISE[:20],
            "random": NOISE,
        }
        for gap in gaps
    ]


TIMES = {"grad-cam": 0.2, "hires-cam": 0.5, "lime": 300.0}


def test_recommendation_is_decided_where_seeds_tell_the_best_from_the_next():
    found = rankings.recommended(road(0.10, 0.11, 0.12), TIMES)
    assert found.decided and (found.best, found.following) == ("HiResCAM", "Grad-CAM")
    assert found.effect.value == pytest.approx(0.11)
    assert found.cheapest == "HiResCAM" and "also the cheapest" in found.cheap
    assert found.sentence.startswith("We recommend HiResCAM")


def test_recommendation_is_undecided_where_seeds_disagree_or_are_too_few():
    found = rankings.recommended(road(0.10, -0.05, 0.02), TIMES)
    assert not found.decided and found.sentence.startswith("We recommend no single method")
    assert (found.best, found.cheapest) == ("HiResCAM", "Grad-CAM")
    assert "0.2 against 0.5 ms" in found.cheap
    few = rankings.recommended(road(0.10, 0.11), TIMES)
    assert not few.decided and "2 seeds are too few" in few.sentence
    assert "1 seed is too few" in rankings.recommended(road(0.10), TIMES).sentence


def grids(energy, tiles=2, recognised=30):
    part = {
        "tiles": tiles,
        "candidates": 60,
        "recognised": recognised,
        "methods": {
            name: {
                "pointing": packed(np.array([1.0, 0, 1, 0])),
                "energy": packed(mean + NOISE / 10),
            }
            for name, mean in energy.items()
        },
    }
    return maps.localised({"networks": [{"name": "one", "localisation": part}]}, "one")


def test_localised_counts_recognition_and_compares_with_chance():
    found = grids({"grad-cam": 0.7, "hires-cam": 0.6, "random": 0.5})
    assert (found.recognition, found.grids, found.candidates) == (0.5, 60, 60)
    assert found.pointing["grad-cam"].value == 0.5
    assert found.energy["grad-cam"].value == pytest.approx(0.7, abs=0.01)
    assert found.sentence.startswith("Every method puts more")
    assert found.sentence.endswith("Grad-CAM puts the largest share there (70%).")
    assert grids({"grad-cam": 0.5}).sentence.startswith("No method reliably puts more")
    assert grids({"grad-cam": 0.5, "lime": 0.9}).sentence.startswith("Of the 2 methods, 1 put")
    # 0.3 is below the half of two tiles and above the quarter of four.
    assert grids({"grad-cam": 0.3}).sentence.startswith("No method")
    assert grids({"grad-cam": 0.3}, tiles=4).sentence.startswith("Every method")
    assert "recognises no grid" in grids({}, recognised=0).sentence


@pytest.mark.parametrize(
    ("value", "digits", "signed", "text"),
    [
        (-0.126, 2, False, "−0.13"),
        (-0.004, 2, False, "0.00"),
        (-0.04, 1, True, "+0.0"),
        (2.0, 1, True, "+2.0"),
        (2.0, 0, False, "2"),
        (math.nan, 1, True, "+nan"),
    ],
)
def test_number_has_a_typeset_minus_and_zero_has_none(value, digits, signed, text):
    assert wording.number(value, digits, signed=signed) == text


@pytest.mark.parametrize(
    ("ends", "signed", "unit", "text"),
    [
        ((-3.14, 0.44), False, "", "−2.7 [−3.1, 0.4]"),
        ((1.0, 2.0), True, "points", "−2.7 points [1.0, 2.0]"),
        ((math.nan, math.nan), True, "points", "−2.7 points"),
        ((-math.inf, 0.0), False, "", "−2.7"),
    ],
)
def test_value_with_its_ends_leaves_out_an_interval_that_is_not_finite(ends, signed, unit, text):
    assert wording.with_ends(-2.7, *ends, signed=signed, unit=unit) == text


def test_value_with_a_plus_sign_has_none_at_its_ends():
    assert wording.with_ends(12.345, 1, 20, 0, signed=True) == "+12 [1, 20]"


def test_listed_is_an_english_list():
    assert wording.listed(["A"]) == "A"
    assert wording.listed(["A", "B"]) == "A and B"
    assert wording.listed(["A", "B", "C"]) == "A, B and C"
    assert wording.listed([]) == ""
