"""Effects, intervals and tests against closed forms, hand computation and simulation."""

import itertools
import math
import warnings

import numpy as np
import pytest
from scipy import stats

from cifarcam.errors import CifarcamError
from cifarcam.studies import inference

# Quantiles of Student's t at 97.5%, from printed tables.
T = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764}
NORMAL = 1.959964


def test_one_seed_has_a_mean_and_no_interval():
    effect = inference.over_seeds([71.5], "points", null=70.0)
    assert (effect.value, effect.count, effect.over, effect.test) == (71.5, 1, "seeds", "none")
    assert effect.null == 70.0
    assert math.isnan(effect.low) and math.isnan(effect.high) and math.isnan(effect.p)


def test_student_interval_and_test_are_those_computed_by_hand():
    # Mean 2, standard deviation 1, standard error 1 / sqrt(3).
    effect = inference.over_seeds([1.0, 2.0, 3.0], "points")
    half = T[2] / math.sqrt(3)
    assert effect.value == 2.0
    assert (effect.low, effect.high) == pytest.approx((2 - half, 2 + half), abs=1e-4)
    # Two degrees of freedom have the closed form p = 1 - t / sqrt(2 + t**2), two-sided.
    t = 2 * math.sqrt(3)
    assert effect.p == pytest.approx(1 - t / math.sqrt(2 + t**2))
    assert effect.test == "Student's t"


def test_student_interval_is_that_of_the_closed_form_for_two_and_three_seeds():
    # With two degrees of freedom the quantile of p is (2p - 1) sqrt(2 / (4 p (1 - p))), with one
    # degree it is that of Cauchy's distribution; the standard errors are 1 / sqrt(3) and 1.
    three, two = (inference.over_seeds(values, "x") for values in ([1, 2, 3], [0.0, 2.0]))
    half = 0.95 * math.sqrt(2 / (4 * 0.975 * 0.025)) / math.sqrt(3)
    assert (three.low, three.high) == pytest.approx((2 - half, 2 + half))
    half = math.tan(0.475 * math.pi)
    assert (two.low, two.high) == pytest.approx((1 - half, 1 + half))


def test_student_test_compares_with_the_null_value():
    effect = inference.over_seeds([1.0, 2.0, 3.0], "points", null=2.0)
    assert effect.p == pytest.approx(1.0)
    nearer, farther = (inference.over_seeds([1.0, 2.0, 3.0], "x", null=n).p for n in (1.0, 0.0))
    assert nearer > farther


def test_equal_values_have_an_interval_without_width():
    effect = inference.over_seeds([0.1, 0.1, 0.1], "share", null=0.1)
    assert (effect.value, effect.low, effect.high, effect.p) == (0.1, 0.1, 0.1, 1.0)
    assert inference.over_seeds([0.1] * 3, "share").p == 0.0


def test_values_that_differ_in_their_last_digit_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        effect = inference.over_seeds([0.3, 0.1 + 0.2, 0.3], "share")
    assert effect.low == pytest.approx(0.3) == effect.high


def test_pairs_leave_out_what_seeds_share():
    before, after = [70.0, 80.0, 60.0], [71.0, 82.0, 63.0]
    effect = inference.paired_over_seeds(after, before, "points")
    alone = inference.over_seeds([1.0, 2.0, 3.0], "points")
    assert (effect.value, effect.low, effect.high) == (alone.value, alone.low, alone.high)
    assert effect.test == "paired t"
    wide = inference.unpaired_over_seeds(after, before, "points")
    assert wide.value == pytest.approx(effect.value)
    assert wide.high - wide.low > 5 * (effect.high - effect.low)
    assert inference.paired_over_seeds([1.0], [0.5], "points").test == "none"


def test_pairs_of_different_numbers_are_refused():
    with pytest.raises(CifarcamError, match="2 and 3 values; pairs need as many of each"):
        inference.paired_over_seeds([1.0, 2.0], [1.0, 2.0, 3.0], "points")


def test_welch_interval_is_the_one_computed_by_hand():
    # Equal sizes and variances: Welch's degrees of freedom are 2 (n - 1) = 4.
    effect = inference.unpaired_over_seeds([11.0, 12.0, 13.0], [1.0, 2.0, 3.0], "points")
    half = T[4] * math.sqrt(1 / 3 + 1 / 3)
    assert (effect.value, effect.count, effect.test) == (10.0, 3, "Welch's t")
    assert (effect.low, effect.high) == pytest.approx((10 - half, 10 + half), abs=1e-3)


def test_welch_with_one_constant_side_has_that_of_the_other():
    # The constant side adds no variance: 3 - 1 = 2 degrees of freedom.
    effect = inference.unpaired_over_seeds([1.0, 2.0, 3.0], [5.0, 5.0, 5.0, 5.0], "points")
    half = T[2] / math.sqrt(3)
    assert (effect.low, effect.high) == pytest.approx((-3 - half, -3 + half), abs=1e-4)
    assert effect.count == 3


def test_welch_without_two_seeds_a_side_has_no_interval():
    effect = inference.unpaired_over_seeds([3.0], [1.0, 2.0, 3.0], "points")
    assert (effect.value, effect.count, effect.test) == (1.0, 1, "none")
    assert math.isnan(effect.low)


def test_welch_with_two_constant_sides_has_an_interval_without_width():
    effect = inference.unpaired_over_seeds([0.1] * 3, [0.1] * 4, "share")
    assert (effect.value, effect.low, effect.high, effect.p) == (0.0, 0.0, 0.0, 1.0)
    assert inference.unpaired_over_seeds([2.0] * 3, [1.0] * 3, "x").p == 0.0


def test_prediction_interval_is_the_one_computed_by_hand():
    low, high = inference.next_seed_interval([1.0, 2.0, 3.0])
    half = T[2] * math.sqrt(1 + 1 / 3)
    assert (low, high) == pytest.approx((2 - half, 2 + half), abs=1e-3)
    assert all(map(math.isnan, inference.next_seed_interval([1.0])))


def test_prediction_interval_covers_the_next_value_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for values in rng.normal(size=(2_000, 5)):
        low, high = inference.next_seed_interval(values[:4])
        inside += low <= values[4] <= high
    assert inside / 2_000 == pytest.approx(0.95, abs=0.015)


def test_mcnemar_counts_the_images_on_which_two_networks_differ():
    # 20 images: 6 gained, 1 lost, 9 right twice, 4 wrong twice.
    after = np.repeat([True, False, True, False], [6, 1, 9, 4])
    before = np.repeat([False, True, True, False], [6, 1, 9, 4])
    effect = inference.paired_over_images(after, before)
    assert effect.value == pytest.approx(25.0)
    # Binomial with 7 tosses: P(0) + P(1) + P(6) + P(7) = (1 + 7 + 7 + 1) / 128.
    assert effect.p == pytest.approx(16 / 128)
    # Agresti: variance ((b + c) / n - ((b - c) / n)**2) / n.
    half = 100 * NORMAL * math.sqrt((7 / 20 - (5 / 20) ** 2) / 20)
    assert (effect.low, effect.high) == pytest.approx((25 - half, 25 + half), abs=1e-4)
    assert (effect.unit, effect.over, effect.count) == ("points", "test images", 20)
    mirrored = inference.paired_over_images(before, after)
    assert (mirrored.value, mirrored.p) == (-effect.value, effect.p)


def test_mcnemar_of_equal_answers_is_no_difference():
    right = np.array([True, False, True])
    effect = inference.paired_over_images(right, right)
    assert (effect.value, effect.low, effect.high, effect.p) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("after", "before"),
    [
        (np.ones(3, bool), np.ones(4, bool)),
        (np.ones(0, bool), np.ones(0, bool)),
        (np.ones((2, 2), bool), np.ones((2, 2), bool)),
    ],
)
def test_mcnemar_refuses_other_images(after, before):
    with pytest.raises(CifarcamError, match="give two of the same images"):
        inference.paired_over_images(after, before)


def spearman(first, second):
    """Spearman's formula for ranks without ties."""
    n = len(first)
    return 1 - 6 * sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) / (n * (n**2 - 1))


def test_rank_correlation_counts_all_permutations_of_five():
    first, second = [1, 2, 3, 4, 5], [2, 1, 4, 3, 5]
    effect = inference.rank_correlation([10.0, 20.0, 30.0, 40.0, 50.0], second)
    observed = spearman(first, second)
    assert effect.value == pytest.approx(observed)
    every = [spearman(order, second) for order in itertools.permutations(first)]
    extreme = sum(abs(value) >= observed - 1e-12 for value in every)
    assert effect.p == pytest.approx(extreme / math.factorial(5))
    assert (effect.over, effect.count, effect.test) == ("networks", 5, "permutations")


def test_rank_correlation_counts_all_permutations_of_eight():
    effect = inference.rank_correlation(range(8), range(8))
    assert effect.p == pytest.approx(2 / math.factorial(8))


def test_rank_correlation_draws_permutations_of_more_than_eight_from_the_seed():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 12))
    effects = [inference.rank_correlation(first, second, seed) for seed in (0, 0, 1)]
    assert effects[0] == effects[1] and effects[0].p != effects[2].p
    # The usual approximation by Student's t with n - 2 degrees of freedom.
    assert effects[0].p == pytest.approx(stats.spearmanr(first, second).pvalue, abs=0.02)
    assert inference.rank_correlation(range(12), range(12)).p == pytest.approx(2 / 10_000)


def test_rank_correlation_gives_ties_their_mean_rank():
    # Ranks 1.5, 1.5, 3 against 1, 2, 3: covariance 1.5, squares 1.5 and 2.
    effect = inference.rank_correlation([0.0, 0.0, 1.0], [5.0, 6.0, 7.0])
    assert effect.value == pytest.approx(1.5 / math.sqrt(1.5 * 2))


def test_rank_correlation_has_bonett_and_wrights_interval():
    effect = inference.rank_correlation([1, 2, 3, 4, 5], [2, 1, 4, 3, 5])
    half = NORMAL * math.sqrt((1 + 0.8**2 / 2) / 2)
    ends = math.tanh(math.atanh(0.8) - half), math.tanh(math.atanh(0.8) + half)
    assert (effect.low, effect.high) == pytest.approx(ends, abs=1e-6)


def test_perfect_rank_correlation_is_not_certain():
    few, more = (inference.rank_correlation(range(n), range(n)) for n in (4, 7))
    assert few.value == few.high == more.high == 1.0
    assert few.low < 0 < more.low < 1  # p is 2 of 24 permutations, and 2 of 5,040
    nearest = inference.rank_correlation(range(7), [1, 0, 2, 3, 4, 5, 6])
    assert more.low == pytest.approx(nearest.low)
    down = inference.rank_correlation(range(7), range(7, 0, -1))
    assert (down.low, down.high) == pytest.approx((-1.0, -more.low))
    assert math.isnan(inference.rank_correlation(range(3), range(3)).low)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([1, 2], [1, 2], "give at least three pairs"),
        ([1, 2, 3], [1, 2, 3, 4], "give at least three pairs"),
        ([1, 1, 1], [1, 2, 3], "no rank correlation"),
        ([1, 2, 3], [4, 4, 4], "no rank correlation"),
        ([1, math.nan, 3], [1, 2, 3], "all finite"),
    ],
)
def test_rank_correlation_refuses_what_has_none(first, second, words):
    with pytest.raises(CifarcamError, match=words):
        inference.rank_correlation(first, second)


def test_holm_multiplies_by_the_number_of_tests_left():
    # Holm's steps: 4 x 0.01, 3 x 0.02, then 2 x 0.03 and 1 x 0.04 raised to what came before.
    adjusted = inference.holm([0.03, 0.01, 0.04, 0.02])
    assert adjusted == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert inference.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert inference.holm([0.2]) == pytest.approx([0.2])
    assert inference.holm([]).size == 0


@pytest.mark.parametrize("p", [[0.1, math.nan], [-0.1], [1.1]])
def test_holm_refuses_what_is_no_probability(p):
    with pytest.raises(CifarcamError, match=r"outside \[0, 1\]"):
        inference.holm(p)


@pytest.mark.parametrize(("count", "size"), [(3, 3.264), (10, 0.996)])
def test_smallest_detectable_difference_is_a_multiple_of_the_deviation(count, size):
    assert inference.smallest_detectable(1.0, count) == pytest.approx(size, abs=1e-3)
    assert inference.smallest_detectable(2.5, count) == pytest.approx(2.5 * size, rel=1e-3)


@pytest.mark.parametrize("count", [3, 10])
@pytest.mark.parametrize("power", [0.5, 0.8])
def test_smallest_detectable_difference_is_found_as_often_as_it_says(count, power):
    size = inference.smallest_detectable(1.0, count, power)
    values = np.random.default_rng(1).normal(size, 1.0, (20_000, count))
    t = values.mean(axis=1) / values.std(axis=1, ddof=1) * math.sqrt(count)
    assert (np.abs(t) > {3: T[2], 10: 2.2622}[count]).mean() == pytest.approx(power, abs=0.012)


def test_smallest_detectable_difference_falls_with_seeds_and_grows_with_power():
    sizes = [inference.smallest_detectable(1.0, n) for n in range(2, 31)]
    assert all(later < earlier for earlier, later in itertools.pairwise(sizes))
    powers = [inference.smallest_detectable(1.0, 5, power) for power in (0.06, 0.5, 0.9, 0.99)]
    assert powers == sorted(powers)
    assert inference.smallest_detectable(0.0, 5) == 0.0


@pytest.mark.parametrize(
    ("deviation", "count", "power"),
    [(1.0, 1, 0.8), (-1.0, 3, 0.8), (math.nan, 3, 0.8), (1.0, 3, 1.0), (1.0, 3, 0.05)],
)
def test_smallest_detectable_difference_refuses_values_out_of_range(deviation, count, power):
    with pytest.raises(CifarcamError, match="give at least 2 seeds"):
        inference.smallest_detectable(deviation, count, power)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_values_that_are_missing_or_not_finite_are_refused(values):
    for function in (
        lambda: inference.over_seeds(values, "points"),
        lambda: inference.next_seed_interval(values),
        lambda: inference.unpaired_over_seeds(values, [1.0], "points"),
        lambda: inference.paired_over_seeds(values, values, "points"),
    ):
        with pytest.raises(CifarcamError, match="give at least one, all finite"):
            function()


def test_power_of_seeds_is_that_of_differences_between_two_recipes():
    power = inference.power_of_seeds([70.0, 71.0, 72.0])
    assert (power.seeds, power.deviation) == (3, 1.0)
    assert power.detectable == pytest.approx(3.264 * math.sqrt(2), abs=2e-3)
    six = inference.smallest_detectable(math.sqrt(2), 6)
    assert power.detectable_by_twice == pytest.approx(six)


def test_power_of_one_seed_is_not_known():
    power = inference.power_of_seeds([70.0])
    assert power.seeds == 1
    assert math.isnan(power.detectable) and math.isnan(power.detectable_by_twice)
