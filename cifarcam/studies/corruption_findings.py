"""What the record ``corruptions`` says of networks: by kind, by accuracy, in pairs, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from cifarcam.data.corruptions import KINDS, SEVERITIES
from cifarcam.studies import inference
from cifarcam.studies.comparison import mean_over_images
from cifarcam.studies.corruptions import from_bits
from cifarcam.studies.inference import Effect
from cifarcam.studies.networks import called
from cifarcam.studies.wording import capital, listed, number

NOT_YET = "We have not measured this yet."
NOUNS = {  # what a kind does, where its name is no noun
    "contrast": "low contrast",
    "elastic": "elastic distortion",
    "pixelate": "pixelation",
    "JPEG": "JPEG compression",
}
STRONG, WEAK = 0.8, 0.5  # rank correlations from which networks agree, and agree in part


@dataclass(frozen=True)
class Published:
    """Published accuracies on CIFAR-10-C, percent.

    Attributes
    ----------
    name, source
        The network, and where its accuracies stand.
    clean, mean
        On the clean test images, and the mean over the 75 sets.
    hardest
        The mean over the sets of severity 5, None where the source gives none.
    kinds
        Means over severities, by kind.
    """

    name: str
    source: str
    clean: float
    mean: float
    hardest: float | None
    kinds: Mapping[str, float]


PUBLISHED = (
    Published(
        "WRN-28-10",
        "Croce et al. (2021), RobustBench, entry Standard",
        94.78,
        73.46,
        56.5,
        {"gaussian noise": 47.0, "impulse noise": 55.3, "brightness": 93.3},
    ),
    Published("ResNet-18", "Modas et al. (2022), PRIME", 95.0, 74.0, None, {}),
    Published("ResNet-18 with AugMix", "Modas et al. (2022), PRIME", 95.2, 88.6, None, {}),
)


@dataclass(frozen=True)
class Corrupted:
    """One network on the 75 corrupted sets.

    Attributes
    ----------
    name
        The network.
    images
        Test images in each set.
    clean, mean
        Accuracy on these images without corruption, and the mean over the 75 sets, percent.
    accuracy
        Percent, float64, 15 kinds x 5 severities.
    clean_error, error, hardest_error
        Expected calibration error, percent: without corruption, the mean over the 75 sets, and the
        mean over the sets of severity 5.
    clean_confidence, confidence
        Mean probability of the predicted class, percent, without corruption and over the 75 sets.
    clean_shared
        Accuracy on the clean images that all networks classify, percent.
    right
        Whether each of these images is classified rightly when corrupted, bool, 15 x 5 x N.
    """

    name: str
    images: int
    clean: float
    mean: float
    accuracy: np.ndarray
    clean_error: float
    error: float
    hardest_error: float
    clean_confidence: float
    confidence: float
    clean_shared: float
    right: np.ndarray

    @property
    def by_kind(self) -> np.ndarray:
        """Mean accuracy over severities, percent, float64, 15."""
        return np.asarray(self.accuracy.mean(axis=1))

    @property
    def by_severity(self) -> np.ndarray:
        """Mean accuracy over kinds, percent, float64, 5."""
        return np.asarray(self.accuracy.mean(axis=0))

    @property
    def shared(self) -> np.ndarray:
        """Accuracy on the images that all networks classify, percent, float64, 15 kinds."""
        return np.asarray(100 * self.right.mean(axis=(1, 2)))


def noun(kind: str) -> str:
    """A kind of corruption as a sentence has it."""
    return NOUNS.get(kind, kind)


def networks(record: Mapping[str, Any] | None) -> list[Corrupted]:
    """The networks of a record of which all kinds are measured, in the record's order."""
    entries = record["networks"] if record else {}
    return [
        _corrupted(name, entry)
        for name, entry in entries.items()
        if all(kind in entry["kinds"] for kind in KINDS)
    ]


def _corrupted(name: str, entry: Mapping[str, Any]) -> Corrupted:
    kinds = [entry["kinds"][kind] for kind in KINDS]
    accuracy, error, confidence = (
        100 * np.array([kind[key] for kind in kinds], float)
        for key in ("accuracy", "calibration_error", "confidence")
    )
    clean = entry["clean"]
    return Corrupted(
        name,
        entry["images"],
        100 * clean["accuracy"],
        float(accuracy.mean()),
        accuracy,
        100 * clean["calibration_error"],
        float(error.mean()),
        float(error[:, -1].mean()),
        100 * clean["confidence"],
        float(confidence.mean()),
        100 * entry["clean_shared"]["accuracy"],
        np.stack([from_bits(kind["right"], len(SEVERITIES)) for kind in kinds]),
    )


@dataclass(frozen=True)
class Overview:
    """All networks at a glance, on the images that all of them classify.

    Attributes
    ----------
    count
        Number of networks.
    best, best_clean, best_mean, fall
        The network with the highest mean accuracy over the 75 sets, its accuracies in percent, and
        the difference in points.
    hardest, mildest
        The kinds with the lowest and the highest accuracy, mean over networks and severities.
    hardest_accuracy, mildest_accuracy
        That mean, percent.
    agreement
        Mean rank correlation of the order of the kinds over all pairs of networks; NaN for one.
    short
        What the corruptions cost the best network, or nothing where no network is measured.
    sentence
        What the corruptions cost; whether networks with a higher clean accuracy have a higher
        corrupted accuracy; whether networks find the same kinds hard.
    """

    count: int
    best: str
    best_clean: float
    best_mean: float
    fall: float
    hardest: str
    mildest: str
    hardest_accuracy: float
    mildest_accuracy: float
    agreement: float
    short: str
    sentence: str


def overview(measured: Sequence[Corrupted]) -> Overview:
    """Summarise networks; without any, the sentence says that nothing is measured yet."""
    nan = float("nan")
    if not measured:
        return Overview(0, "–", nan, nan, nan, "–", "–", nan, nan, nan, "", NOT_YET)
    best = max(measured, key=lambda one: float(one.shared.mean()))
    best_mean = float(best.shared.mean())
    by_kind = np.mean([one.shared for one in measured], axis=0)
    worst, top = int(by_kind.argmin()), int(by_kind.argmax())
    hardest, mildest = KINDS[worst], KINDS[top]
    sets = f"mean over the {len(KINDS) * len(SEVERITIES)} sets"
    numbers = f"from {best.clean_shared:.1f}% to {best_mean:.1f}%"
    name = called(best.name)
    if len(measured) == 1:
        cost = f"The accuracy of {name} falls {numbers} ({sets}, {best.right.shape[-1]:,} images)."
        loser = name
    else:
        cost = (
            f"On corrupted images, {name} is the most accurate network. Its accuracy falls {numbers} "
            f"({sets}, on the {best.right.shape[-1]:,} images that all networks classify)."
        )
        loser = f"the most accurate of our networks, {name},"
    fall = best.clean_shared - best_mean
    sentences = (
        cost,
        f"Accuracy is lowest under {noun(hardest)} ({by_kind[worst]:.1f}%, mean over networks and "
        f"severities) and highest under {noun(mildest)} ({by_kind[top]:.1f}%).",
        _order_sentence(measured),
        _agreement_sentence(agreement(measured)),
    )
    return Overview(
        len(measured),
        best.name,
        best.clean_shared,
        best_mean,
        fall,
        hardest,
        mildest,
        float(by_kind[worst]),
        float(by_kind[top]),
        agreement(measured),
        f"On corrupted images, {loser} loses {fall:.0f} points of accuracy.",
        " ".join(filter(None, sentences)),
    )


def agreement(measured: Sequence[Corrupted]) -> float:
    """Mean rank correlation of the order of the kinds over all pairs of networks, or NaN."""
    if len(measured) < 2:
        return float("nan")
    table = np.corrcoef([stats.rankdata(one.shared) for one in measured])
    return float(table[np.triu_indices(len(measured), 1)].mean())


def _agreement_sentence(value: float) -> str:
    numbers = f"(mean rank correlation of the kinds over pairs of networks {number(value, 2)})"
    if np.isnan(value):
        return ""
    if value >= STRONG:
        return f"The networks find the same kinds hard {numbers}."
    if value >= WEAK:
        return f"The networks agree in part on which kinds are hard {numbers}."
    return f"The networks differ in which kinds they find hard {numbers}."


def _order_sentence(measured: Sequence[Corrupted]) -> str:
    clean = [one.clean_shared for one in measured]
    mean = [float(one.shared.mean()) for one in measured]
    if len(measured) < 4:
        return (
            "Too few networks are measured to say whether a network that is better on clean images "
            "is better on corrupted images."
        )
    effect = inference.rank_correlation(clean, mean)
    p = "p < 0.01" if effect.p < 0.005 else f"p = {effect.p:.2f}"
    numbers = f"rank correlation {number(effect.value, 2)} over {effect.count} networks, {p}"
    if effect.p < 0.05:
        tend = "better" if effect.value > 0 else "worse"
        return (
            f"Networks that are better on clean images tend to be {tend} on corrupted images "
            f"({numbers})."
        )
    return (
        "These networks cannot tell whether a network that is better on clean images is better on "
        f"corrupted images too ({numbers})."
    )


@dataclass(frozen=True)
class Gains:
    """What one network has over another on corrupted images, paired over the same images.

    Attributes
    ----------
    clean, mean
        The difference in points, on clean images and over all sets.
    kinds
        By kind, points, mean over severities; the interval covers images.
    count
        Kinds on which the first network is more accurate beyond chance (5% level, Holm).
    sentence
        The finding.
    """

    clean: float
    mean: Effect
    kinds: Mapping[str, Effect]
    count: int
    sentence: str


def gains(measured: Sequence[Corrupted], name: str, other: str) -> Gains | None:
    """Compare two networks of a record, or None where one of them is not measured yet."""
    by_name = {one.name: one for one in measured}
    if name not in by_name or other not in by_name:
        return None
    first, second = by_name[name], by_name[other]
    difference = 100.0 * (first.right.astype(float) - second.right)
    kinds = {
        kind: mean_over_images(table.mean(axis=0))
        for kind, table in zip(KINDS, difference, strict=True)
    }
    adjusted = inference.holm([effect.p for effect in kinds.values()])
    better = [k for k, p in zip(KINDS, adjusted, strict=True) if kinds[k].value > 0 and p < 0.05]
    worse = [k for k, p in zip(KINDS, adjusted, strict=True) if kinds[k].value < 0 and p < 0.05]
    mean = mean_over_images(difference.mean(axis=(0, 1)))
    return Gains(
        first.clean_shared - second.clean_shared,
        mean,
        kinds,
        len(better),
        _gain_sentence(first, second, kinds, better, worse),
    )


def gain_sentence(result: Gains | None) -> str:
    """The sentence of a comparison, or that it is not measured yet."""
    return NOT_YET if result is None else result.sentence


def _gain_sentence(
    first: Corrupted,
    second: Corrupted,
    kinds: Mapping[str, Effect],
    better: Sequence[str],
    worse: Sequence[str],
) -> str:
    one, other = called(first.name), called(second.name)
    most = max(kinds, key=lambda kind: kinds[kind].value)
    least = min(kinds, key=lambda kind: kinds[kind].value)
    ends = (
        f"The difference is highest for {noun(most)} ({_points(kinds[most])}) and lowest for "
        f"{noun(least)} "
        f"({_points(kinds[least])}). On clean images, it is "
        f"{number(first.clean_shared - second.clean_shared, signed=True)} points."
    )
    right = f"{one} classifies more images correctly than {other}"
    if len(better) == len(kinds):
        return f"Under every kind of corruption, {right}. {ends}"
    if not better and not worse:
        return f"No kind of corruption tells {one} from {other}. {ends}"
    fewer = f"{one} classifies fewer images correctly than {other}."
    if len(worse) == len(kinds):
        return f"Under every kind of corruption, {fewer} {ends}"
    fewer = f"Under {listed([noun(kind) for kind in worse])}, {fewer}"
    if not better:
        return f"{fewer} {ends}"
    start = f"Under {len(better)} of the {len(kinds)} kinds, {right}."
    if worse:
        return f"{start} {fewer} {ends}"
    return f"{start} The other kinds do not tell the two networks apart. {ends}"


@dataclass(frozen=True)
class Confidence:
    """Whether networks notice that an image is corrupted.

    Attributes
    ----------
    overconfident
        Networks whose mean confidence over the 75 sets exceeds their accuracy.
    sentence
        The finding.
    """

    overconfident: int
    sentence: str


def confidence(measured: Sequence[Corrupted]) -> Confidence:
    """Compare confidence with accuracy, and calibration with that on clean images."""
    if not measured:
        return Confidence(0, NOT_YET)
    over = [one for one in measured if one.confidence > one.mean]
    most = max(measured, key=lambda one: one.error)
    numbers = (
        f"{most.clean_error:.1f}% on clean images to {most.error:.1f}% over the "
        f"{len(KINDS) * len(SEVERITIES)} sets and {most.hardest_error:.1f}% at severity 5."
    )
    if len(measured) == 1:
        trusts = "trusts" if over else "does not trust"
        return Confidence(
            len(over),
            f"{capital(called(most.name))} {trusts} itself too much on corrupted images. Its "
            f"expected calibration error goes from {numbers}",
        )
    if len(over) == len(measured):
        start = "Every network trusts itself too much on corrupted images."
    elif not over:
        start = "No network trusts itself too much on corrupted images."
    elif len(over) == 1:
        start = f"One of the {len(measured)} networks trusts itself too much on corrupted images."
    else:
        start = (
            f"On corrupted images, {len(over)} of the {len(measured)} networks trust themselves too "
            "much."
        )
    return Confidence(
        len(over),
        f"{start} The expected calibration error is largest for {called(most.name)}: it goes from "
        f"{numbers}",
    )


def _points(effect: Effect) -> str:
    return (
        f"{number(effect.value, signed=True)} points, 95% interval {number(effect.low)} to "
        f"{number(effect.high)}"
    )
