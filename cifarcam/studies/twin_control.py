"""Why images with a twin are classified well: networks remember the twins, or they are easy images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.runs import Run
from cifarcam.studies import inference
from cifarcam.studies.inference import Effect
from cifarcam.studies.twins import of_groups
from cifarcam.studies.wording import number


@dataclass(frozen=True)
class Control:
    """Images whose twin a network was trained on, beside images whose twin was held out.

    Attributes
    ----------
    name
        The network, trained without the validation images.
    seen_images, held_out_images
        Number of test images of which a twin is a training image, and of which every known twin is
        a validation image.
    seen, held_out, others
        Accuracy on the two sets and on the images without a twin: percent, mean over seeds.
    memory
        `seen` minus `held_out`, points: what it gains to have been trained on the twin.
    ease
        `held_out` minus `others`, points: how much easier such images are without that.
    """

    name: str
    seen_images: int
    held_out_images: int
    seen: float
    held_out: float
    others: float
    memory: Effect
    ease: Effect


def without_validation(networks: Mapping[str, Sequence[Run]]) -> dict[str, list[Run]]:
    """The networks of which no seed was trained on the validation images."""
    return {
        name: list(seeds)
        for name, seeds in networks.items()
        if all(run.experiment.data.fit == "train" for run in seeds)
    }


def alone_without_augmentation(name: str, networks: Mapping[str, Sequence[Run]]) -> bool:
    """Whether a network, with those whose names begin with its name, alone lacked augmentation."""
    plain = {
        key
        for key, seeds in networks.items()
        if any(run.experiment.augmentation is None for run in seeds)
    }
    return plain == {key for key in networks if key.startswith(name)}


def controls(
    correct: Mapping[str, np.ndarray], seen: np.ndarray, held_out: np.ndarray
) -> tuple[Control, ...]:
    """Compare images whose twin was trained on with images whose twin was held out.

    Parameters
    ----------
    correct
        Of networks trained without the validation images: by name, bool, seeds x N.
    seen, held_out
        Indices of both kinds of test images, each at least one.

    Raises
    ------
    CifarcamError
        When a set is empty.
    """
    found = []
    for name, right in correct.items():
        rest = np.setdiff1d(np.arange(right.shape[1]), np.concatenate([seen, held_out]))
        found.append(
            Control(
                name,
                len(seen),
                len(held_out),
                100 * float(right[:, seen].mean()),
                100 * float(right[:, held_out].mean()),
                100 * float(right[:, rest].mean()),
                of_groups(right[:, seen], right[:, held_out]),
                of_groups(right[:, held_out], right[:, rest]),
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class Cause:
    """Whether memory or ease explains the lead on images with a twin, see `cause`.

    All effects are in points, with Welch's interval over test images.

    Attributes
    ----------
    networks
        Number of the other networks.
    ease
        Accuracy of the other networks on images whose twins were held out minus their accuracy on
        images without a twin.
    memory
        Their accuracy on images whose twin they were trained on minus the first of these.
    more
        The same difference of the network in question minus `memory`; it does not depend on which
        of the images are harder for all.
    sentence
        What follows, in words.
    """

    networks: int
    ease: Effect
    memory: Effect
    more: Effect
    sentence: str


def cause(
    name: str,
    correct: Mapping[str, np.ndarray],
    seen: np.ndarray,
    held_out: np.ndarray,
    *,
    alone: bool = False,
) -> Cause:
    """Ask a network and the others whether they remember twins, or find such images easy.

    Parameters
    ----------
    name
        The network in question. Networks whose names begin with its name are not among the others.
    correct
        Of networks trained without the validation images: by name, bool, seeds x N.
    seen, held_out
        Indices of images whose twin was trained on, and of images whose twins were held out; at
        least two each.
    alone
        Whether it alone was trained without augmentation, see `alone_without_augmentation`.

    Raises
    ------
    CifarcamError
        When there is no other network, or a set of images is empty.
    """
    others = [right.mean(axis=0) for key, right in correct.items() if not key.startswith(name)]
    if not others:
        raise CifarcamError(f"no network beside {name}; give at least one")
    shares, own = 100 * np.mean(others, axis=0), 100 * correct[name].mean(axis=0)
    rest = np.setdiff1d(np.arange(shares.size), np.concatenate([seen, held_out]))
    ease = _between(shares[held_out], shares[rest])
    memory = _between(shares[seen], shares[held_out])
    more = _between((own - shares)[seen], (own - shares)[held_out])
    sentence = " ".join(
        (
            _of_ease(name, ease, len(others)),
            _of_memory(memory, len(held_out)),
            _of_more(name, more, alone),
        )
    )
    return Cause(len(others), ease, memory, more, sentence)


def _between(first: np.ndarray, second: np.ndarray) -> Effect:
    """The mean over the first images minus the mean over the second, Welch's interval."""
    return replace(inference.unpaired_over_seeds(first, second, "points"), over="test images")


def _of_ease(name: str, ease: Effect, count: int) -> str:
    whose = f"mean accuracy of the {count} networks other than the {name}"
    if count == 1:
        whose = f"accuracy of the one network other than the {name}"
    if ease.low > 0:
        return (
            "Images with a twin are easy, so a high accuracy on these images alone proves no memory. "
            f"Even on images whose twins were all held out, the {whose} is higher than on images "
            f"without a twin {_numbers(ease)}."
        )
    return (
        f"On images whose twins were all held out, the {whose} is no higher beyond chance than on "
        f"images without a twin {_numbers(ease)}."
    )


def _of_memory(memory: Effect, held_out: int) -> str:
    if memory.low > 0:
        return f"Training on the twin raises this accuracy {_numbers(memory)}."
    if memory.high < 0:
        return f"Training on the twin lowers this accuracy {_numbers(memory)}."
    return (
        f"Training on the twin does not change this accuracy measurably {_numbers(memory)}. With "
        f"{held_out} images whose twins were held out, we cannot exclude a gain of up to "
        f"{memory.high:.1f} points."
    )


def _of_more(name: str, more: Effect, alone: bool) -> str:
    if more.low > 0:
        plain = " It is the only network here trained without augmentation." if alone else ""
        return (
            f"The {name} may remember: training on the twin helps the {name} more than the other "
            f"networks {_numbers(more)}.{plain} We looked at this difference after several other "
            "differences, so its interval is a hint and no test."
        )
    return (
        f"Training on the twin does not help the {name} more than the other networks beyond chance "
        f"{_numbers(more)}."
    )


def _numbers(effect: Effect) -> str:
    return (
        f"({number(effect.value, signed=True)} points, 95% interval {number(effect.low)} to "
        f"{number(effect.high)})"
    )


@dataclass(frozen=True)
class OtherLabels:
    """Pairs of which the twin has another label than the test image.

    Attributes
    ----------
    pairs, differing
        Number of pairs, and of those with two labels.
    sentence
        What follows, in words.
    """

    pairs: int
    differing: int
    sentence: str


def other_labels(
    labels: np.ndarray,
    images: np.ndarray,
    twin_labels: np.ndarray,
    predicted: Mapping[str, np.ndarray],
) -> OtherLabels:
    """Ask whether predictions follow the label of the twin where it differs from the image's own.

    Parameters
    ----------
    labels
        Labels of all test images, N.
    images, twin_labels
        Indices of test images with a twin, and the label of each twin, K.
    predicted
        Predicted classes by network, seeds x N.

    Raises
    ------
    CifarcamError
        When there is no network.
    """
    if not predicted:
        raise CifarcamError("no networks; give the predictions of at least one")
    differs = labels[images] != twin_labels
    count = int(differs.sum())
    if not count:
        sentence = (
            "No known twin has another label than its test image, so we cannot ask whether a network "
            "gives the label of the twin."
        )
    else:
        classes = np.concatenate(list(predicted.values()))[:, images[differs]]
        followed = 100 * float((classes == twin_labels[differs]).mean())
        right = 100 * float((classes == labels[images[differs]]).mean())
        sentence = (
            f"Where a twin has another label than its test image ({count} of {len(images)} pairs), "
            f"networks give the label of the twin in {followed:.0f}% of the answers and the "
            f"image's own label in {right:.0f}%."
        )
    return OtherLabels(len(images), count, sentence)
