"""Rows of the tables of the chapter on deeper networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cifarcam import figures
from cifarcam.data import Dataset
from cifarcam.pretrained.networks import RESNET_TITLE
from cifarcam.report.page import interval
from cifarcam.runs import Run
from cifarcam.studies import heatmaps, networks
from cifarcam.studies.depth import PAIRS, Association, Confusions
from cifarcam.studies.imagenet import ImageNetMaps
from cifarcam.studies.inference import Effect
from cifarcam.studies.networks import Ranked
from cifarcam.studies.sizes import Size
from cifarcam.studies.wording import capital, with_ends

NONE = "–"

# Accuracies of the same or the nearest network, most of them trained longer.
PUBLISHED: Mapping[str, str] = {
    "ResNet-18": "93.6 with 110 narrower layers {cite}`he2016`",
    "AlexNet": "89 with four layers {cite}`krizhevsky2012`",
    "DenseNet-BC": "95.5 after 300 epochs {cite}`huang2017`",
    "transformer": "89.2 after 200 epochs {cite}`hassani2021`",
    "speedrun": "94.0 over views {cite}`jordan2024`",
}
FITTED: Mapping[str, str] = {"train": "85%", "train+validation": "all"}
OPTIMISERS: Mapping[str, str] = {"adam": "Adam", "adamw": "AdamW", "muon": "Muon"}
CHANGES: Mapping[str, str] = {
    "flip": "flips",
    "shift": "shifts",
    "rotation": "rotations",
    "cutout": "cutout",
}

SIZE_HEADER = ("Network", "Depth", "Parameters (million)", "Operations (million)", "Last map")
RANKING_HEADER = (
    "Network",
    "Seeds",
    "Test accuracy (%)",
    "Lead over the next (points)",
    "p (Holm)",
    "Published (%)",
)
SHORT_HEADER = (
    "Network",
    "Epochs",
    "Images",
    "Optimiser",
    "Augmentation",
    "Minutes",
    "Test accuracy (%)",
)
CLASSICAL_HEADER = ("Classifier and features", "Chosen", "Validation (%)", "Test (%)", "Seconds")
ASSOCIATION_HEADER = (
    "Pair",
    "Count and depth",
    "Count and accuracy",
    "Count and depth, equal accuracy",
)
SEED_HEADER = ("Seed", "One forward pass (%)", "Mean over views (%)", "Minutes")


def size_rows(sizes: Mapping[str, Size]) -> list[list[Any]]:
    """Rows under `SIZE_HEADER`: what the networks are."""
    return [
        [
            capital(name),
            one.depth,
            f"{one.parameters:.2f}",
            f"{one.operations:,.0f}",
            f"{one.positions} × {one.positions}",
        ]
        for name, one in sizes.items()
    ]


def ranking_rows(ranking: Sequence[Ranked]) -> list[list[Any]]:
    """Rows under `RANKING_HEADER`: networks by accuracy, and whether each leads the next."""
    return [
        [
            capital(one.name),
            one.accuracy.count,
            interval(one.accuracy, signed=False),
            interval(one.lead) if one.lead else NONE,
            NONE if np.isnan(one.adjusted) else probability(one.adjusted),
            PUBLISHED.get(one.name, NONE),
        ]
        for one in ranking
    ]


def short_rows(runs: Mapping[str, Run]) -> list[list[Any]]:
    """Rows under `SHORT_HEADER`: recipe, time and accuracy of training runs of one seed."""
    return [
        [
            capital(name),
            run.provenance["epochs"],
            FITTED[run.experiment.data.fit],
            OPTIMISERS[run.experiment.training.optimizer],
            _augmentation(run),
            f"{networks.minutes(run):.0f}",
            _accuracy(run),
        ]
        for name, run in runs.items()
    ]


def seed_rows(runs: Sequence[Run], plain: Effect, views: Effect) -> list[list[Any]]:
    """Rows under `SEED_HEADER`: one for each seed, and the means with their intervals."""
    rows: list[list[Any]] = [
        [
            run.experiment.training.seed,
            f"{100 * run.metrics['test']['accuracy']:.2f}",
            f"{100 * run.metrics['test_augmented']['accuracy']:.2f}",
            f"{networks.minutes(run):.1f}",
        ]
        for run in runs
    ]
    mean = float(np.mean([networks.minutes(run) for run in runs]))
    means = [interval(effect, 2, signed=False) for effect in (plain, views)]
    return [*rows, ["**Mean**", *means, f"{mean:.1f}"]]


def classical_rows(record: Mapping[str, Any], percent: Mapping[str, float]) -> list[list[Any]]:
    """Rows under `CLASSICAL_HEADER`.

    Parameters
    ----------
    record
        The record ``classical``.
    percent
        Test accuracy by ``"<classifier> on <features>"``.
    """
    names = [f"{row['classifier']} on {row['features']}" for row in record["rows"]]
    return [
        [
            capital(name),
            f"{row['setting']} {row['chosen']:g}",
            f"{100 * row['validation'][str(row['chosen'])]:.1f}",
            f"{percent[name]:.1f}",
            f"{row['seconds']:.0f}",
        ]
        for name, row in zip(names, record["rows"], strict=True)
    ]


def association_rows(
    depth: Association, accuracy: Association, equal: Association
) -> list[list[str]]:
    """Rows under `ASSOCIATION_HEADER`: rank correlations with Holm's p-values, one row a pair."""
    return [
        [capital(pair), *(_correlation(one, row) for one in (depth, accuracy, equal))]
        for row, pair in enumerate(pair_names())
    ]


def pair_names() -> list[str]:
    """The pairs of similar classes as titles, in the order of `PAIRS`."""
    return [f"{first} – {second}" for first, second in PAIRS]


def seed_values(
    ranking: Sequence[Ranked],
) -> tuple[dict[str, tuple[float, ...]], dict[str, tuple[float, float]]]:
    """Accuracies by seed and ends of intervals, by network, for `figures.accuracy_by_seed`."""
    return (
        {capital(one.name): one.by_seed for one in ranking},
        {capital(one.name): (one.accuracy.low, one.accuracy.high) for one in ranking},
    )


def cost_values(
    runs: Mapping[str, Run], sizes: Mapping[str, Size]
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Accuracies and costs by network, for `figures.accuracy_by_cost`."""
    names = {name: capital(name) for name in runs}
    accuracy = {names[name]: 100 * run.metrics["test"]["accuracy"] for name, run in runs.items()}
    costs = {
        "parameters (million)": {names[name]: sizes[name].parameters for name in runs},
        "operations (million)": {names[name]: sizes[name].operations for name in runs},
        "training (minutes)": {names[name]: networks.minutes(run) for name, run in runs.items()},
    }
    return accuracy, costs


def confusion_points(ours: Confusions, published: Confusions) -> dict[str, Any]:
    """Arguments of `figures.confusions_by_accuracy`."""
    counts = np.concatenate([published.counts, ours.counts])
    return {
        "accuracy": np.concatenate([published.accuracy, ours.accuracy]),
        "counts": dict(zip(pair_names(), counts.T, strict=True)),
        "depth": np.concatenate([published.depth, ours.depth]),
        "is_ours": [False] * len(published.names) + [True] * len(ours.names),
    }


def network_maps(
    long: Mapping[str, Sequence[Run]], short: Mapping[str, Run], dataset: Dataset
) -> tuple[np.ndarray, list[str]]:
    """Grad-CAM of first test images by network, for `figures.method_grid`, and the rows' names.

    Of each network the long training run is explained where its weights or heatmaps are at hand,
    else the short one. VGG-19, whose last layer has four positions, is left out.

    Parameters
    ----------
    long, short
        Runs by network.
    dataset
        The images. On the small sample, networks without weights are left out.
    """
    maps: dict[str, np.ndarray] = {}
    for name, run in {name: seeds[0] for name, seeds in long.items()}.items():
        candidates = [run, *([short[name]] if name in short else [])]
        _add_maps(maps, name, candidates, dataset)
    for name in ("DenseNet-BC", "speedrun"):
        _add_maps(maps, name, [short[name]], dataset)
    return np.stack(list(maps.values())), list(maps)


def _add_maps(
    maps: dict[str, np.ndarray], name: str, candidates: Sequence[Run], dataset: Dataset
) -> None:
    for run in candidates if name != "VGG-19" else ():
        if heatmaps.are_at_hand(run, dataset):
            maps[capital(name)] = heatmaps.of_first_images(run, dataset)
            return


def imagenet_figure(maps: Sequence[ImageNetMaps], class_names: Sequence[str]) -> Any:
    """Pictures, one of each class in the order of the classes, with their heatmaps; or None.

    The title of a picture says which class of ImageNet is the likeliest, and its probability; of
    several networks, the pictures follow one another. They are drawn at half their size, which
    their tiles do not exceed.
    """
    if not maps:
        return None
    titles = [
        f"{name}\n{one.network + ': ' if len(maps) > 1 else ''}{found} ({share:.0%})"
        for one in maps
        for name, found, share in zip(class_names, one.names, one.probabilities, strict=True)
    ]
    return figures.heatmaps(
        halved(np.concatenate([one.pictures for one in maps])).round().astype(np.uint8),
        halved(np.concatenate([one.heatmaps for one in maps])),
        titles,
        columns=3,
    )


def halved(images: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels, N x H/2 x W/2 and the further axes; an odd last row or column is cut."""
    height, width = (side // 2 * 2 for side in images.shape[1:3])
    even = images[:, :height, :width]
    return np.mean([even[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)


def imagenet_sentence(maps: Sequence[ImageNetMaps], class_names: Sequence[str]) -> str:
    """What the networks of ImageNet make of the pictures, and whose weights could not be had."""
    if not maps:
        return "We could not get the weights for this build, so there is no figure."
    sentences = [
        f"{one.network} names a class of the right kind for {one.of_right_kind(class_names)} of "
        f"the {len(one.names)} pictures. The probability of its likeliest class is "
        f"{float(np.mean(one.probabilities)):.0%} on average."
        for one in maps
    ]
    if all(one.network != RESNET_TITLE for one in maps):
        sentences.insert(0, f"We could not get the weights of {RESNET_TITLE} for this build.")
    return " ".join(sentences)


def stages(run: Run) -> str:
    """The image sizes of a training run by epoch, as part of a sentence."""
    sizes, epochs = run.experiment.training.image_sizes, run.provenance["epochs"]
    counts = {size: sizes.count(size) for size in dict.fromkeys(sizes)}
    counts[32] = epochs - len(sizes)
    return ", then ".join(
        f"{size} × {size} pixels for {n} epoch{'s' * (n != 1)}" for size, n in counts.items()
    )


def probability(value: float) -> str:
    """A p-value for a table."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _correlation(found: Association, row: int) -> str:
    return f"{interval(found.effects[row], 2)}, p {_equals(probability(found.adjusted[row]))}"


def _equals(text: str) -> str:
    return text if text.startswith("<") else f"= {text}"


def _accuracy(run: Run) -> str:
    test = run.metrics["test"]
    low, high = test["accuracy_interval"]
    return with_ends(100 * test["accuracy"], 100 * low, 100 * high)


def _augmentation(run: Run) -> str:
    settings = run.experiment.augmentation
    return ", ".join(CHANGES[part] for part in settings.parts) if settings else "none"
