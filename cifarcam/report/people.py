"""Rows of the tables, and arrays of the figures, on networks and people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import Markdown, display

from cifarcam import explain
from cifarcam.data import CLASS_NAMES, Dataset
from cifarcam.explain import Explainer
from cifarcam.report.page import interval
from cifarcam.runs import Run
from cifarcam.studies import people, people_table
from cifarcam.studies.people_networks import AgainstPeople
from cifarcam.studies.wording import capital, number

SCORE_HEADER = (
    "Network",
    "Label (%)",
    "Majority (%)",
    "A person's answer (%)",
    "Cross-entropy",
    "After one temperature",
)
CONFUSION_HEADER = (
    "Network",
    "Mistakes",
    "From the classes alone",
    "Beyond the classes",
    "Equally many mistakes",
    "Between two seeds",
)
MOST = 6  # pictures of each list
OBSERVED, EQUAL, MARGINS = "all mistakes", "equally many mistakes", "from the classes alone"


def score_rows(found: Sequence[AgainstPeople]) -> list[list[Any]]:
    """Rows under `SCORE_HEADER`: accuracy by three measures, and cross-entropy against people."""
    return [
        [
            capital(one.name),
            interval(one.accuracy, 1, signed=False),
            f"{one.by_majority.value:.1f}",
            f"{one.by_people.value:.1f}",
            interval(one.loss, 2, signed=False),
            interval(one.loss_scaled, 2, signed=False),
        ]
        for one in found
    ]


def confusion_rows(found: Sequence[AgainstPeople]) -> list[list[Any]]:
    """Rows under `CONFUSION_HEADER`: rank correlations of confusions with people's."""
    return [
        [
            capital(one.name),
            f"{one.observed.value:.2f} ± {one.error:.2f}",
            f"{one.by_margins.value:.2f}",
            number(one.beyond.value, 2),
            f"{one.equal.value:.2f}",
            "–" if np.isnan(one.seeds) else f"{one.seeds:.2f}",
        ]
        for one in found
    ]


def confusion_points(
    found: Sequence[AgainstPeople], record: Mapping[str, Any], names: Sequence[str]
) -> dict[str, Any]:
    """Arguments of `figures.confusions_beside_people` for the networks of these names."""
    return {
        "people": np.array(record["facts"]["mistakes"]),
        "networks": {capital(one.name): one.mistakes for one in found if one.name in names},
        "pairs": people.names_of_pairs(),
    }


def likeness_points(found: Sequence[AgainstPeople], record: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `figures.likeness_by_accuracy`: published networks, then ours."""
    published = list(record["published"].values())
    fields = {OBSERVED: "observed", EQUAL: "equal", MARGINS: "by_margins"}
    return {
        "accuracy": np.array(
            [one["accuracy"] for one in published] + [one.accuracy.value for one in found]
        ),
        "series": {
            name: np.array(
                [one["likeness"][field] for one in published]
                + [getattr(one, field).value for one in found]
            )
            for name, field in fields.items()
        },
        "is_ours": np.array([False] * len(published) + [True] * len(found)),
    }


def sureness_points(found: Sequence[AgainstPeople], record: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `figures.sureness_by_agreement`."""
    return {
        "share": np.array(record["bins"]["share"], np.float64),
        "confidence": {capital(one.name): one.confidence for one in found},
        "right": {capital(one.name): one.right for one in found},
    }


def explainer(run: Run, dataset: Dataset) -> Explainer | None:
    """Grad-CAM of a run's network, or None after saying in a sentence why there are no pictures.

    The small sample has other images than the lists name.
    """
    if dataset.is_sample:
        display(Markdown("This edition was made from the small sample and shows no pictures here."))
        return None
    if not run.has_weights:
        display(Markdown("We show no pictures, because the network's weights are not at hand."))
        return None
    return explain.GradCAM(run.model())


def explained(
    gradcam: Explainer | None,
    images: Sequence[int],
    run: Run,
    dataset: Dataset,
    record: Mapping[str, Any],
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The first `MOST` images of a list with Grad-CAM of the predicted class, and titles.

    A title has the image's number and label, the predicted class where it is another, and the class
    that most people choose where fewer than half of them choose the label.

    Returns
    -------
    tuple
        As `cifarcam.figures.heatmaps` takes it; empty without an explainer.
    """
    shown = list(images)[: MOST if gradcam else 0]
    pictures = dataset.test.images[shown]
    if gradcam is None or not shown:
        return pictures, np.zeros(pictures.shape[:3], np.float32), []
    labels, agreement = dataset.test.labels, people.agreement(record)
    predicted, majority = run.predictions.argmax(axis=1), people.majority(record, labels)
    titles = []
    for image in shown:
        lines = [str(image), f"label: {CLASS_NAMES[labels[image]]}"]
        if predicted[image] != labels[image]:
            lines.append(f"network: {CLASS_NAMES[predicted[image]]}")
        if agreement[image] == people_table.FEWER:
            lines.append(f"people: {CLASS_NAMES[majority[image]]}")
        titles.append(", ".join(lines))
    return pictures, gradcam(pictures, predicted[shown]), titles
