"""The ablation's steps and the removals, judged over seeds: hand-made records."""

import math

import numpy as np
import pytest

from cifarcam import figures
from cifarcam.errors import CifarcamError
from cifarcam.report import ingredients as tables
from cifarcam.studies import ingredients, leave_one_out
from cifarcam.studies.ingredients import Outcome


def line(name, values, *, views=False, seconds=60.0):
    """A line of a record with an accuracy (percent) for each seed."""
    key = "validation_views" if views else "validation"
    return {
        "ingredient": name,
        "views": views,
        "parameters": 1_000_000,
        "forward_flops": 2_000_000,
        "trainings": [
            {"seed": seed, "train": 0.9, "validation": 0.5, "seconds": seconds, "precision": "x"}
            | {key: value / 100}
            for seed, value in enumerate(values)
        ],
    }


def ablation(*lines):
    return {
        "epochs": 8,
        "bfloat16_units": "none",
        "device": "a processor",
        "steps": list(lines),
        "dropout": [
            {"rate": rate, "trainings": line("", [50, 50, 50])["trainings"]} for rate in (0.0, 0.2)
        ],
    }


BASE = np.array([70.0, 71.0, 72.0])
SURE = np.array([4.9, 5.0, 5.1])  # t = 86.6, p = 0.000133
UNSURE = np.array([-0.5, 1.0, 1.5])


def record(first, second):
    return ablation(
        line("baseline", BASE),
        line(ingredients.BUNDLE, BASE + first),
        line("mean over views", BASE + first + second, views=True),
    )


def test_steps_are_judged_in_pairs_with_holms_correction():
    steps = ingredients.steps(record(SURE, UNSURE))
    baseline, bundle, views = steps.lines
    assert baseline.change is None
    # p of t = 86.60 with two degrees of freedom is 2 (1/2 - t / (2 sqrt(t² + 2))), twice for Holm.
    t = 5 / (0.1 / math.sqrt(3))
    p = 1 - t / math.sqrt(t**2 + 2)
    assert bundle.change.p == pytest.approx(2 * p)
    assert bundle.change.outcome is Outcome.RAISES
    assert bundle.change.by_seed == pytest.approx(SURE)
    assert views.change.outcome is Outcome.OPEN
    t = 2 / 3 / (np.std(UNSURE, ddof=1) / math.sqrt(3))
    assert views.change.p == pytest.approx(1 - t / math.sqrt(t**2 + 2))
    assert steps.total.value == pytest.approx(5 + 2 / 3)
    assert steps.bundle_share == pytest.approx(100 * 5 / (5 + 2 / 3))
    assert steps.error_ratio == pytest.approx(29 / (29 - 5 - 2 / 3))
    assert (steps.seeds, steps.epochs) == (3, 8)
    # The views are asked of networks that are trained already; the rest are runs of one minute.
    assert (steps.runs, steps.minutes) == (12, pytest.approx(12))


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        (UNSURE, UNSURE, "none of the 2 steps changes the accuracy beyond chance"),
        (SURE, UNSURE, "the bundle of the speedrun's network and recipe (+5.0 points [4.8, 5.2])"),
        (UNSURE, SURE, "mean over views raises the accuracy (+5.0 points"),
        (UNSURE, -SURE, "mean over views lowers the accuracy (−5.0 points"),
        (SURE, -2 * SURE, "2 of the 2 steps change the accuracy beyond chance. The largest of"),
    ],
)
def test_sentence_on_the_steps_is_chosen_by_the_outcomes(first, second, sentence):
    assert sentence in ingredients.steps(record(first, second)).sentence


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ([1.0, 9.0, 5.0], "Every seed gains accuracy (1.0 to 9.0 points)"),
        ([-1.0, -9.0, -5.0], "Every seed loses accuracy (1.0 to 9.0 points)"),
        (
            [-1.0, 9.0, 5.0],
            "The seeds disagree even on the sign of this change (−1.0 to +9.0 points)",
        ),
    ],
)
def test_sentence_on_the_largest_open_change_is_chosen_by_its_seeds(change, sentence):
    steps = ingredients.steps(record(2 * SURE, np.array(change)))
    assert "“mean over views”" in steps.widest
    assert sentence in steps.widest


@pytest.mark.parametrize("seeds", [1, 2])
def test_steps_over_too_few_seeds_are_open(seeds):
    lines = [
        line("baseline", BASE[:seeds]),
        line(ingredients.BUNDLE, (BASE + SURE)[:seeds]),
        line("mean over views", (BASE + 2 * SURE)[:seeds], views=True),
    ]
    steps = ingredients.steps(ablation(*lines))
    assert all(step.change.outcome is Outcome.OPEN for step in steps.lines[1:])
    assert math.isnan(steps.detectable) == (seeds == 1)
    assert all(len(row) == len(tables.STEP_HEADER) for row in tables.step_rows(steps))
    assert tables.cost_rows(steps)[0] == ["baseline", "90.0", "1.00", "2", "1.0"]
    assert len(tables.COST_HEADER) == 5


def test_precision_compares_the_two_lines():
    lines = [line("before", BASE, seconds=90), line("bfloat16", BASE + UNSURE, seconds=60)]
    found = ingredients.precision(ablation(*lines))
    assert found.speed == pytest.approx(1.5)
    assert found.change.value == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("without", "with_", "sentence"),
    [
        ([3, 1, 2], [3, 2, 1], "Dropout also delays overfitting"),
        ([3, 2, 1], [3, 1, 2], "Within 3 epochs, dropout does not delay overfitting"),
        ([3, 1, 2], [2, 1, 3], "Dropout does not move the epoch"),
    ],
)
def test_dropout_timing_says_which_loss_is_lowest_first(without, with_, sentence):
    arms = [
        {
            "rate": rate,
            "trainings": [{"seed": 0, "history": [{"validation_loss": x} for x in losses]}],
        }
        for rate, losses in ((0.2, with_), (0.0, without))  # in whichever order
    ]
    found = ingredients.dropout_timing({"dropout": arms, "dropout_epochs": 3})
    assert found.startswith(sentence)
    epochs = [1 + np.argmin(losses) for losses in (with_, without)]
    assert "(epoch {:.1f} with dropout, {:.1f} without dropout".format(*epochs) in found
    assert ingredients.final_losses(arms[0]) == {0: with_[-1]}


def test_rebuilt_counts_networks_that_differ():
    steps = record(SURE, UNSURE)
    same = [(1_000_000, 2_000_000)] * 3
    assert "as many parameters" in ingredients.rebuilt(steps, same)
    assert "1 of 3 networks differ" in ingredients.rebuilt(steps, [*same[:2], (1, 2)])


def left_out(seeds, *, kernel=-1.0, gelu=0.0, planned=5):
    """A record of leave-one-out: changes without two ingredients, a little noise for each seed."""
    noise = np.array([0.00, 0.02, -0.02, 0.01, -0.01])[:seeds]
    full = np.array([90.0, 91.0, 92.0, 90.5, 91.5])[:seeds]

    def arm(name, values):
        runs = [
            {"seed": seed, "validation_views": value / 100, "validation": (value - 0.8) / 100}
            for seed, value in enumerate(values)
        ]
        return {"removed": name, "trainings": runs}

    return {
        "planned_seeds": planned,
        "arms": [
            arm(leave_one_out.FULL, full),
            arm("kernel", full + kernel + noise),
            arm("gelu", full + gelu + 50 * noise),
        ],
    }


def test_removals_without_a_record_are_not_measured():
    found = ingredients.removals(["kernel", "gelu"], None)
    assert found.seeds == 0
    assert found.sentence == "We have not measured leave-one-out yet."
    assert [one.change for one in found.lines] == [None] * 3
    rows = tables.removal_rows(found)
    assert [row[0] for row in rows] == [
        "nothing (full recipe)",
        "kernel",
        "gelu",
        "mean over views",
    ]
    assert all(row[-1] in ("–", "not measured") for row in rows)


@pytest.mark.parametrize(
    ("seeds", "start"),
    [
        (1, "So far we have measured one seed of 5, too few"),
        (2, "So far we have measured 2 seeds of 5, too few"),
    ],
)
def test_removals_over_too_few_seeds_show_numbers_and_judge_nothing(seeds, start):
    found = ingredients.removals(["kernel", "gelu"], left_out(seeds))
    assert found.sentence.startswith(start)
    assert {one.change.outcome for one in found.lines} == {Outcome.OPEN}
    assert found.lines[0].change.effect.value == pytest.approx(-1, abs=0.02)
    assert all(len(row) == len(tables.REMOVAL_HEADER) for row in tables.removal_rows(found))
    assert [len(each) for each in tables.removal_arrays(found)[1]] == [seeds] * 3


def test_removals_are_judged_in_pairs_with_the_mean_over_views_from_the_full_recipe():
    found = ingredients.removals(["kernel", "gelu"], left_out(5))
    kernel, _, views = found.lines
    assert (found.seeds, found.planned) == (5, 5)
    assert [one.change.outcome for one in found.lines] == [
        Outcome.LOWERS,
        Outcome.OPEN,
        Outcome.LOWERS,
    ]
    # The full recipe's seeds differ by a point, their differences by hundredths.
    assert kernel.change.effect.high < -0.9
    assert views.change.effect.value == pytest.approx(-0.8)
    assert found.full.value == pytest.approx(91)
    assert "needs 2 of its 3 ingredients" in found.sentence
    assert "loses most accuracy without kernel (−1.0 points" in found.sentence


@pytest.mark.parametrize(
    ("changes", "planned", "sentence"),
    [
        ({"kernel": 1.0}, 5, "Without kernel, the accuracy rises beyond chance (+1.0 points"),
        ({"kernel": -1.0}, 8, "So far we have measured 5 of 8 seeds."),
        ({"kernel": 0.001}, 5, "We can show that the recipe needs one ingredient, mean over views"),
    ],
)
def test_sentence_on_the_removals_is_chosen_by_the_outcomes(changes, planned, sentence):
    found = ingredients.removals(["kernel", "gelu"], left_out(5, planned=planned, **changes))
    assert sentence in found.sentence


def test_figure_of_removals_shows_every_seed_and_an_empty_chart_without_seeds():
    found = ingredients.removals(["kernel", "gelu"], left_out(5))
    (axes,) = figures.removals(*tables.removal_arrays(found)).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "kernel",
        "gelu",
        "mean over views",
    ]
    dots = np.concatenate([dots.get_offsets() for dots in axes.collections])
    changes = [change for one in found.lines for change in one.change.by_seed]
    np.testing.assert_allclose(sorted(dots[:, 0]), sorted(changes))
    empty = ingredients.removals(["kernel", "gelu"], None)
    (axes,) = figures.removals(*tables.removal_arrays(empty)).axes
    assert [text.get_text() for text in axes.texts] == ["not measured yet"]
    with pytest.raises(CifarcamError, match="removals: 1 ingredients, 0 changes"):
        figures.removals(["kernel"], [], [])
