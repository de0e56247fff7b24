"""Claims on the accuracy of deep networks: above 90%, and DenseNet against ResNet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cifarcam.data import evidence
from cifarcam.studies import inference, networks
from cifarcam.studies.claims import phrases
from cifarcam.studies.claims.base import (
    Claim,
    Condition,
    Finding,
    Timing,
    Verdict,
    sentence_of,
    verdict_of,
)
from cifarcam.studies.claims.sources import Sources
from cifarcam.studies.inference import Effect

DEEP_PERCENT = 90.0  # test accuracy that deep networks are said to pass

# Published accuracies, percent.
DENSENET_PUBLISHED = 95.5  # DenseNet-BC (L = 100, k = 12), 300 epochs: Huang et al. (2017), table 2
RESIDUAL_PUBLISHED = 93.6  # ResNet-110, best of five: He et al. (2016), table 6

# Of the published predictions.
DENSENET, RESIDUAL = "densenet_BC_100_12", "resnet_basic_110"

SINCE = "2026-11-26"  # rules over seeds, for results that were at hand


def deep_over_90(name: str, percent: Sequence[float]) -> Finding:
    """Judge whether a deep network passes 90% of the test images.

    Parameters
    ----------
    name
        The network.
    percent
        Test accuracy by seed.
    """
    effect = inference.over_seeds(percent, "%", null=DEEP_PERCENT)
    verdict, numbers = verdict_of(effect), _percent_over_seeds(effect)
    sentence = sentence_of(
        verdict,
        reproduced=f"{name} classifies more than {DEEP_PERCENT:g}% of the test images correctly "
        f"{numbers}.",
        contradicted=f"{name} classifies fewer than {DEEP_PERCENT:g}% of the test images correctly "
        f"{numbers}.",
        undecided=f"We cannot tell whether {name} classifies more than {DEEP_PERCENT:g}% of the test "
        f"images correctly {numbers}.",
    )
    basis = f"{phrases.seeds(effect.count)} of {name}"
    return Finding(verdict, sentence, basis, effect, tuple(percent))


def densenet_over_90(epochs: int, percent: float, published: np.ndarray) -> Finding:
    """State that DenseNet was not tested against 90%, with published accuracies beside it.

    Parameters
    ----------
    epochs, percent
        Length of our training run and its test accuracy.
    published
        Whether the published DenseNet-BC classifies each test image rightly, bool, N.
    """
    sentence = (
        f"We did not train DenseNet-BC to the end: {epochs} epochs give {percent:.1f}%. "
        f"Its authors report {DENSENET_PUBLISHED}% after 300 epochs (Huang et al. 2017), and the "
        f"network of Recht et al. (2018) classifies {100 * published.mean():.1f}% of "
        "the test images correctly."
    )
    return Finding(Verdict.NOT_TESTED, sentence, f"a single training run of {epochs} epochs")


def densenet_over_resnet(
    epochs: int, residual_epochs: int, densenet: np.ndarray, residual: np.ndarray
) -> Finding:
    """State that DenseNet was not tested against ResNet, and compare published predictions.

    Parameters
    ----------
    epochs, residual_epochs
        Length of our training runs of DenseNet-BC and of ResNet-18.
    densenet, residual
        Whether the published DenseNet-BC and the published ResNet-110 classify each test image
        rightly, bool, N.
    """
    effect = inference.paired_over_images(densenet, residual)
    numbers = effect.text(signed=True, unit="points")
    if effect.low > 0:
        outcome = f"DenseNet-BC is more accurate than ResNet-110 ({numbers} on the same images)"
    elif effect.high < 0:
        outcome = f"DenseNet-BC is less accurate than ResNet-110 ({numbers} on the same images)"
    else:
        outcome = f"DenseNet-BC and ResNet-110 cannot be told apart ({numbers} on the same images)"
    sentence = (
        f"Our two networks had no equal training: we trained DenseNet-BC for {epochs} epochs and "
        f"ResNet-18 for {residual_epochs} epochs. Among the published networks of Recht et al. "
        f"(2018), {outcome}. The authors of DenseNet-BC report {DENSENET_PUBLISHED}% (Huang et al. "
        f"2017), and the authors of ResNet-110 report {RESIDUAL_PUBLISHED}% (He et al. 2016)."
    )
    return Finding(
        Verdict.NOT_TESTED, sentence, "one published training run of each, no seeds", effect
    )


def _percent_over_seeds(effect: Effect) -> str:
    if effect.count == 1:
        return f"({effect.value:.1f}% from one seed)"
    return (
        f"(mean {effect.value:.1f}%, 95% interval {effect.low:.1f} to {effect.high:.1f}% over "
        f"{effect.count} seeds)"
    )


def _long(name: str) -> Callable[[Sources], tuple[Any, ...]]:
    def collect(sources: Sources) -> tuple[Any, ...]:
        return name, networks.accuracies(sources.seeds(networks.LONG[name]))

    return collect


def _published_correct(name: str) -> np.ndarray:
    return np.asarray(evidence.published_predictions()[name] == evidence.test_labels())


def _densenet(sources: Sources) -> tuple[Any, ...]:
    run = sources.seeds("densenet-bc")[0]
    return run.provenance["epochs"], networks.accuracies([run])[0], _published_correct(DENSENET)


def _densenet_and_residual(sources: Sources) -> tuple[Any, ...]:
    ours = (
        sources.seeds(name)[0].provenance["epochs"] for name in ("densenet-bc", "resnet18-long")
    )
    return (*ours, _published_correct(DENSENET), _published_correct(RESIDUAL))


OVER_90 = Claim(
    "deep-over-90",
    "ResNet, DenseNet and VGG regularly pass 90% on CIFAR-10.",
    "Summary and conclusion, comparison with the literature",
    (
        Condition(
            "deep-over-90.resnet18",
            "ResNet-18 above 90%",
            "Over seeds of the long training, the interval of ResNet-18's test accuracy lies "
            f"above {DEEP_PERCENT:g}%.",
            SINCE,
            Timing.AFTER,
            deep_over_90,
            _long("ResNet-18"),
        ),
        Condition(
            "deep-over-90.vgg19",
            "VGG-19 above 90%",
            "Over seeds of the long training, the interval of VGG-19's test accuracy lies "
            f"above {DEEP_PERCENT:g}%.",
            SINCE,
            Timing.AFTER,
            deep_over_90,
            _long("VGG-19"),
        ),
        Condition(
            "deep-over-90.densenet",
            "DenseNet-BC above 90%",
            "Not tested: DenseNet-BC was trained for a small part of its published epochs.",
            SINCE,
            Timing.AFTER,
            densenet_over_90,
            _densenet,
        ),
    ),
)

DENSENET_OVER_RESNET = Claim(
    "densenet-over-resnet",
    "DenseNet often beats ResNet.",
    "Summary and conclusion, comparison with the literature",
    (
        Condition(
            "densenet-over-resnet",
            "DenseNet-BC above ResNet",
            "Not tested: no DenseNet was trained with the data and epochs of a ResNet.",
            SINCE,
            Timing.AFTER,
            densenet_over_resnet,
            _densenet_and_residual,
        ),
    ),
)
