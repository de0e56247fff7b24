"""Networks of this report by name, and their accuracies compared over seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifarcam.data import evidence
from cifarcam.runs import Run
from cifarcam.studies import inference
from cifarcam.studies.inference import LEVEL, Effect
from cifarcam.studies.wording import capital, listed, number

# Experiments by display name. All networks of `LONG` were trained on all training images with one
# augmentation; optimiser, learning rate and batch size are each network's own.
LONG: Mapping[str, str] = {
    "ResNet-18": "resnet18-long",
    "VGG-19": "vgg19-long",
    "custom CNN with attention": "custom-cnn-attention-long",
    "custom CNN, augmented": "custom-cnn-augmented-long",
    "AlexNet": "alexnet-long",
    "transformer": "transformer-long",
}
# Trained in minutes on two processor cores, each network with its own recipe.
SHORT: Mapping[str, str] = {
    "custom CNN, augmented": "custom-cnn-augmented",
    "custom CNN with attention": "custom-cnn-attention",
    "transformer": "transformer",
    "AlexNet": "alexnet",
    "VGG-19": "vgg19",
    "DenseNet-BC": "densenet-bc",
    "speedrun": "speedrun",
    "ResNet-18": "resnet18",
}

SPEEDRUN_PUBLISHED = 94.0  # percent, over views: Jordan (2024), abstract


def called(name: str) -> str:
    """A network's display name as a sentence has it: ``"the baseline"``, ``"ResNet-18"``."""
    if name == "custom CNN, augmented":
        return "the augmented custom CNN"
    return name if name[:1].isupper() else f"the {name.replace(',', '')}"


def all_called(names: Iterable[str]) -> str:
    """Display names of networks as a sentence has them, as an English list."""
    return listed([called(name) for name in names])


@dataclass(frozen=True)
class Ranked:
    """A network's accuracy over seeds, and its lead over the next network.

    Attributes
    ----------
    name
        The network.
    accuracy
        Mean over seeds, percent.
    by_seed
        Percent, by seed.
    lead
        Its mean minus that of the next less accurate network, points; None for the last network.
    adjusted
        Holm's adjusted p-value of `lead` within all neighbours; NaN where there is no test.
    """

    name: str
    accuracy: Effect
    by_seed: tuple[float, ...]
    lead: Effect | None
    adjusted: float

    @property
    def is_ahead(self) -> bool:
        """Whether the lead is beyond chance at the 5% level, after Holm's correction."""
        return self.adjusted < 1 - LEVEL


def accuracies(runs: Sequence[Run], predictor: str = "test") -> tuple[float, ...]:
    """Test accuracy of each run, percent; `predictor` is a key of a run's metrics."""
    return tuple(100 * run.metrics[predictor]["accuracy"] for run in runs)


def by_seed(networks: Mapping[str, Sequence[Run]]) -> dict[str, tuple[float, ...]]:
    """Test accuracy by seed, percent, of each network, which has the runs of its seeds."""
    return {name: accuracies(seeds) for name, seeds in networks.items()}


def ranking(percent: Mapping[str, Sequence[float]]) -> tuple[Ranked, ...]:
    """Networks from the most accurate on, and whether each is more accurate than the next.

    Neighbours are compared by Welch's t test, all neighbours being one family (Holm). Networks of
    which a neighbour has a single seed are not tested.

    Parameters
    ----------
    percent
        Test accuracy by seed, for each network.
    """
    names = sorted(percent, key=lambda name: -float(np.mean(percent[name])))
    leads = [
        inference.unpaired_over_seeds(percent[name], percent[following], "points")
        for name, following in itertools.pairwise(names)
    ]
    tested = [index for index, lead in enumerate(leads) if not math.isnan(lead.p)]
    adjusted = dict(zip(tested, inference.holm([leads[k].p for k in tested]), strict=True))
    return tuple(
        Ranked(
            name,
            inference.over_seeds(percent[name], "%"),
            tuple(map(float, percent[name])),
            leads[index] if index < len(leads) else None,
            float(adjusted.get(index, math.nan)),
        )
        for index, name in enumerate(names)
    )


@dataclass(frozen=True)
class Summary:
    """The most accurate network beside the baseline.

    Attributes
    ----------
    best
        Its name.
    best_accuracy, baseline_accuracy
        Means over seeds, percent.
    gain
        Their difference, points.
    error_ratio
        Mistakes of the baseline for each mistake of the most accurate network.
    """

    best: str
    best_accuracy: float
    baseline_accuracy: float
    gain: float
    error_ratio: float


def summary(ranked: Sequence[Ranked]) -> Summary:
    """The first network of a ranking beside the network named ``"baseline"``."""
    best, (baseline,) = ranked[0], [one for one in ranked if one.name == "baseline"]
    first, own = best.accuracy.value, baseline.accuracy.value
    return Summary(best.name, first, own, first - own, (100 - own) / (100 - first))


@dataclass(frozen=True)
class Difference:
    """Two networks' accuracies compared over seeds.

    Attributes
    ----------
    effect
        The first network's mean minus the second's, points, seeds independent.
    sentence
        The outcome in a whole sentence.
    """

    effect: Effect
    sentence: str


def difference(
    name: str, percent: Sequence[float], other: str, other_percent: Sequence[float]
) -> Difference:
    """Whether a network is more accurate than another network over seeds (Welch's t test).

    Parameters
    ----------
    name, percent
        The network as it stands within a sentence, and its accuracy by seed.
    other, other_percent
        The network that it is compared with.
    """
    effect = inference.unpaired_over_seeds(percent, other_percent, "points")
    value = f"{number(effect.value, signed=True)} points"
    if effect.low > 0:
        sentence = f"{capital(name)} is more accurate than {other}"
    elif effect.high < 0:
        sentence = f"{capital(name)} is less accurate than {other}"
    elif math.isnan(effect.low):
        return Difference(effect, f"A single seed cannot tell {name} from {other} ({value}).")
    else:
        sentence = f"Accuracy does not tell {name} from {other}"
    ends = f"{number(effect.low)} to {number(effect.high)}"
    return Difference(effect, f"{sentence} ({value}, 95% interval {ends} over seeds).")


def minutes(run: Run) -> float:
    """Minutes that a training run took, on the device and beside the programs of that time."""
    return float(run.provenance["training_seconds"]) / 60


@dataclass(frozen=True)
class Rounding:
    """How much rounding to TF32 on a GPU had changed predictions that were made anew in float32.

    Attributes
    ----------
    classes
        Most test images of one run whose predicted class changed.
    images
        Number of the test images.
    probability
        Largest change of a probability.
    """

    classes: int
    images: int
    probability: float


def rounding(networks: Mapping[str, Sequence[Run]]) -> Rounding:
    """The largest changes by rounding to TF32, as the runs' provenance tells them."""
    changes = [
        run.provenance["change_by_tf32"]
        for seeds in networks.values()
        for run in seeds
        if "change_by_tf32" in run.provenance
    ]
    return Rounding(
        max((change["classes"] for change in changes), default=0),
        max((change["images"] for change in changes), default=0),
        max((change["probability"] for change in changes), default=0.0),
    )


@dataclass(frozen=True)
class Repeated:
    """A training run repeated from several seeds, with two ways of predicting.

    Attributes
    ----------
    plain, views
        Accuracy by one forward pass and by the mean over views, percent.
    gain
        The second minus the first, points, paired by seed.
    minutes
        Mean duration.
    sentence
        How the mean over views compares with a published accuracy.
    """

    plain: Effect
    views: Effect
    gain: Effect
    minutes: float
    sentence: str


def repeated(runs: Sequence[Run]) -> Repeated:
    """Summarise runs of the speedrun, beside the published accuracy over views."""
    one, several = accuracies(runs), accuracies(runs, "test_augmented")
    views = inference.over_seeds(several, "%", null=SPEEDRUN_PUBLISHED)
    level = f"the published {SPEEDRUN_PUBLISHED:.1f}%"
    if views.low > SPEEDRUN_PUBLISHED:
        sentence = f"The mean over views lies above {level}."
    elif views.high < SPEEDRUN_PUBLISHED:
        sentence = f"The mean over views lies below {level}."
    else:
        sentence = f"We cannot tell the mean over views from {level}."
    return Repeated(
        inference.over_seeds(one, "%", null=SPEEDRUN_PUBLISHED),
        views,
        inference.paired_over_seeds(several, one, "points"),
        float(np.mean([minutes(run) for run in runs])),
        sentence,
    )


@dataclass(frozen=True)
class Classical:
    """The classical methods of the record ``classical``.

    Attributes
    ----------
    best, accuracy
        The most accurate method and its test accuracy, percent.
    svm_gain, forest_gain
        Accuracy on gradient histograms minus that on pixels, points.
    random_features
        Test accuracy, percent, of a published linear classifier on random convolutional features.
    """

    best: str
    accuracy: float
    svm_gain: float
    forest_gain: float
    random_features: float


def classical_correct(record: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Whether each method of the record ``classical`` classifies each test image rightly, bool, N."""
    labels = evidence.test_labels()
    return {
        f"{row['classifier']} on {row['features']}": np.array(list(row["predictions"]), np.int64)
        == labels
        for row in record["rows"]
    }


def classical_percent(record: Mapping[str, Any]) -> dict[str, float]:
    """Test accuracy of each method of the record ``classical``, percent."""
    return {name: 100 * float(one.mean()) for name, one in classical_correct(record).items()}


def classical(record: Mapping[str, Any]) -> Classical:
    """Summarise the record ``classical``."""
    percent = classical_percent(record)
    best = max(percent, key=lambda name: percent[name])
    gains = {
        method: percent[f"{method} on gradient histograms"] - percent[f"{method} on pixels"]
        for method in ("linear SVM", "random forest")
    }
    features = evidence.published_predictions()["random_features_256k_aug"]
    return Classical(
        best,
        percent[best],
        gains["linear SVM"],
        gains["random forest"],
        100 * float((features == evidence.test_labels()).mean()),
    )
