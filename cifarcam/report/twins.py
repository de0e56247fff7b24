"""Rows, pictures and marks of the section on test images with a near twin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cifarcam import figures, runs
from cifarcam.data import Dataset
from cifarcam.data.duplicates import JudgedPairs, Match
from cifarcam.data.evidence import Twins
from cifarcam.report.page import NO_EFFECT, interval
from cifarcam.runs import Run
from cifarcam.studies import duplicates, twin_control, twin_search
from cifarcam.studies.duplicates import PLAIN
from cifarcam.studies.networks import SHORT, called
from cifarcam.studies.twin_control import Control
from cifarcam.studies.twin_search import THRESHOLDS, Found, Search
from cifarcam.studies.twins import Gap, interval_of
from cifarcam.studies.wording import capital, listed

GAP_HEADER = (
    "Network",
    "With a twin (%)",
    "Others (%)",
    "Difference, over images (points)",
    "Difference, over seeds (points)",
    "Fall without them (points)",
)
SEARCH_HEADER = (
    "Search",
    "Threshold",
    "Found",
    "Recall (%)",
    "Recall, same photograph (%)",
    "Precision by the list (%)",
    "Precision after looking (%)",
)
CONTROL_HEADER = (
    "Network",
    "Twin trained on (%)",
    "Twin held out (%)",
    "No twin (%)",
    "Trained on minus held out (points)",
    "Held out minus no twin (points)",
)
SHOWN = 8  # pairs of each kind
SETS = ("images with a near twin", "other test images")


def control_networks() -> dict[str, list[Run]]:
    """All seeds of the networks on CIFAR-10 that were trained without the validation images."""
    experiments = {
        "baseline": "baseline",
        "baseline, stopped early": "baseline-early-stopping",
        **SHORT,
    }
    return twin_control.without_validation(
        {name: runs.at_hand(experiment) for name, experiment in experiments.items()}
    )


def searches(
    plain: Sequence[Match], aligned: Sequence[Match], listed: Twins, judged: JudgedPairs
) -> list[Search]:
    """The plain search, and the aligned search at each threshold, against the list."""
    settings = [("all pixels", plain, PLAIN)]
    settings += [("aligned details", aligned, threshold) for threshold in THRESHOLDS]
    return [
        twin_search.against_list(
            name, threshold, twin_search.best_matches(matches, threshold), listed, judged
        )
        for name, matches, threshold in settings
    ]


def seeds_note(correct: Mapping[str, np.ndarray]) -> str:
    """Which networks' rows rest on several seeds, a sentence for a caption.

    Parameters
    ----------
    correct
        By network, seeds x N.
    """
    several = [name for name, right in correct.items() if len(right) > 1]
    if not several:
        return "Each row rests on one seed."
    if len(several) == len(correct):
        return "Values are means over several seeds of each network."
    names = listed([f"{called(name)} ({len(correct[name])})" for name in several])
    return f"Some rows are means over several seeds: {names}. The other rows rest on one seed."


def gap_rows(found: Sequence[Gap]) -> list[list[Any]]:
    """Rows under `GAP_HEADER`."""
    return [
        [
            capital(gap.name),
            f"{gap.twins:.1f}",
            f"{gap.others:.1f}",
            interval(gap.over_images, 1),
            interval(gap.over_seeds, 1) if gap.seeds > 1 else NO_EFFECT,
            interval(gap.fall, 2, signed=False),
        ]
        for gap in found
    ]


def control_rows(found: Sequence[Control]) -> list[list[Any]]:
    """Rows under `CONTROL_HEADER`."""
    return [
        [
            capital(one.name),
            f"{one.seen:.1f}",
            f"{one.held_out:.1f}",
            f"{one.others:.1f}",
            interval(one.memory, 1),
            interval(one.ease, 1),
        ]
        for one in found
    ]


def search_rows(found: Sequence[Search]) -> list[list[Any]]:
    """Rows under `SEARCH_HEADER`."""
    return [
        [
            one.name,
            f"{one.threshold:.2f}",
            one.found,
            f"{one.recall:.1f}",
            f"{one.recall_same_shot:.1f}",
            _percent(one.precision),
            _percent(one.precision_judged),
        ]
        for one in found
    ]


def gap_figure(found: Sequence[Gap]) -> Any:
    """Accuracy of each network on both sets, with intervals over test images."""
    values = [(gap.twins, gap.others) for gap in found]
    ends = [
        [interval_of(gap.twins, gap.twin_images), interval_of(gap.others, gap.other_images)]
        for gap in found
    ]
    return figures.two_sets([gap.name for gap in found], values, ends, SETS)


def missed_by_us(dataset: Dataset, listed: Twins, found: Found) -> Any:
    """Pairs of the list that the search misses, photographs of the same shot first."""
    missed = ~np.isin(listed.images, found.images)
    order = np.argsort(~listed.same_shot[missed], kind="stable")[:SHOWN]
    return _pairs(dataset, listed.images[missed][order], listed.twins[missed][order])


def missed_by_them(dataset: Dataset, judged: JudgedPairs, found: Found) -> Any:
    """Pairs of the same photograph that the search finds and the list lacks, evenly chosen."""
    confirmed = dict(
        zip(
            judged.images[judged.same_shot].tolist(),
            judged.twins[judged.same_shot].tolist(),
            strict=True,
        )
    )
    images = [image for image in found.images.tolist() if image in confirmed]
    step = max(1, len(images) // SHOWN)
    chosen = images[::step][:SHOWN]
    return _pairs(dataset, np.array(chosen, int), np.array([confirmed[i] for i in chosen], int))


def _pairs(dataset: Dataset, images: np.ndarray, partners: np.ndarray) -> Any:
    """Test images (left) and training images (right); nothing on the sample, which lacks them."""
    if dataset.is_sample:
        return figures.image_pairs(np.empty(0), np.empty(0), [])
    labels, names = dataset.test.labels, dataset.class_names
    titles = [f"{names[labels[image]]} {image}" for image in images]
    training = duplicates.training_images(dataset)
    return figures.image_pairs(dataset.test.images[images], training[partners], titles)


def _percent(value: float) -> str:
    return NO_EFFECT if math.isnan(value) else f"{value:.1f}"
