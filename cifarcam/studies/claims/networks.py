"""Claims that compare networks: depth, DenseNet, and classical methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cifarcam.data import evidence
from cifarcam.studies import depth, inference, networks
from cifarcam.studies.claims.base import (
    Claim,
    Condition,
    Finding,
    Timing,
    Verdict,
    verdict_of,
)
from cifarcam.studies.claims.sources import Sources
from cifarcam.studies.depth import Association, Confusions
from cifarcam.studies.inference import Effect

DEEP_PERCENT = 90.0  # test accuracy that deep networks are said to pass

# Published accuracies, percent.
DENSENET_PUBLISHED = 95.5  # DenseNet-BC (L = 100, k = 12), 300 epochs: Huang et al. (2017), table 2
RESIDUAL_PUBLISHED = 93.6  # ResNet-110, best of five: He et al. (2016), table 6
LEARNT_FEATURES = 79.6  # linear SVM on features learnt by k-means: Coates et al. (2011), abstract

# Of the published predictions.
DENSENET, RESIDUAL = "densenet_BC_100_12", "resnet_basic_110"


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
    verdict = verdict_of(effect)
    numbers = _percent_over_seeds(effect)
    if verdict is Verdict.REPRODUCED:
        sentence = f"{name} passes {DEEP_PERCENT:g}% of the test images {numbers}."
    elif verdict is Verdict.CONTRADICTED:
        sentence = f"{name} does not reach {DEEP_PERCENT:g}% of the test images {numbers}."
    else:
        sentence = f"Whether {name} passes {DEEP_PERCENT:g}% is open {numbers}."
    return Finding(verdict, sentence, f"{_seeds(effect.count)} of {name}", effect, tuple(percent))


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
        f"DenseNet-BC was not trained to the end here: {epochs} epochs give {percent:.1f}%. "
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
    numbers = f"{effect.value:+.1f} points [{effect.low:.1f}, {effect.high:.1f}]".replace("-", "−")
    if effect.low > 0:
        outcome = f"DenseNet-BC is more accurate than ResNet-110 ({numbers} on the same images)"
    elif effect.high < 0:
        outcome = f"DenseNet-BC is less accurate than ResNet-110 ({numbers} on the same images)"
    else:
        outcome = f"DenseNet-BC and ResNet-110 cannot be told apart ({numbers} on the same images)"
    sentence = (
        f"Our two networks had no equal training: DenseNet-BC {epochs} epochs, ResNet-18 "
        f"{residual_epochs}. Among published networks (Recht et al. 2018), {outcome}; their authors "
        f"report {DENSENET_PUBLISHED}% (Huang et al. 2017) and {RESIDUAL_PUBLISHED}% "
        "(He et al. 2016)."
    )
    return Finding(
        Verdict.NOT_TESTED, sentence, "one published training run of each, no seeds", effect
    )


def cnn_over_classical(
    baseline: Sequence[float], classical: Mapping[str, float], paired: Sequence[Effect] = ()
) -> Finding:
    """Judge whether the baseline is more accurate than the best of the classical methods.

    Parameters
    ----------
    baseline
        Test accuracy by seed, percent.
    classical
        Test accuracy of each method, percent.
    paired
        For each seed the difference from the best method on the same images, where the test images
        are at hand.
    """
    best = max(classical, key=lambda name: classical[name])
    differences = tuple(value - classical[best] for value in baseline)
    effect = inference.over_seeds(differences, "points")
    verdict = verdict_of(effect)
    numbers = _points_over_seeds(effect)
    if verdict is Verdict.REPRODUCED:
        sentence = (
            f"The baseline is more accurate than the best classical method, {_a(best)} {numbers}."
        )
    elif verdict is Verdict.CONTRADICTED:
        sentence = (
            f"The baseline is less accurate than the best classical method, {_a(best)} {numbers}."
        )
    else:
        sentence = (
            "Whether the baseline is more accurate than the best classical method, "
            f"{_a(best)}, is open {numbers}."
        )
    if paired:
        largest = max(one.p for one in paired)
        each = "On each seed McNemar's test on the same images agrees"
        if largest < 1 - inference.LEVEL and all(one.value * effect.value > 0 for one in paired):
            sentence += f" {each} ({_p(largest)})."
    if np.mean(baseline) < LEARNT_FEATURES:
        sentence += (
            " It is no law: a linear support vector machine on features learnt without labels has "
            f"reached {LEARNT_FEATURES}% (Coates et al. 2011), more than the baseline's "
            f"{np.mean(baseline):.1f}%."
        )
    basis = f"{_seeds(effect.count)} of the baseline, {len(classical)} classical methods"
    return Finding(verdict, sentence, basis, effect, differences)


def counts_fall(data: Confusions, whose: str) -> Finding:
    """Judge whether deeper networks confuse the classes of each pair less often.

    Parameters
    ----------
    data
        Networks of known depth.
    whose
        ``"of our"`` or ``"published"``, as words between their number and "networks".
    """
    found = depth.association(data.counts, data.depth)
    numbers = _correlations(found, len(data.names), whose)
    if depth.smallest_p(data.depth) * len(depth.PAIRS) > 1 - inference.LEVEL:
        sentence = (
            f"Too few {whose} networks have a comparable depth to tell whether deeper networks confuse "
            f"similar classes less often {numbers}."
        )
    elif all(found.falls):
        sentence = f"All three pairs are confused less often by deeper networks {numbers}."
    elif any(found.falls):
        sentence = (
            f"Deeper networks confuse {_pairs(found.falls)} less often, but not all three pairs "
            f"{numbers}."
        )
    elif any(found.rises):
        sentence = f"Deeper networks confuse {_pairs(found.rises)} more often {numbers}."
    else:
        sentence = (
            f"No pair is confused less often by deeper networks beyond what chance gives {numbers}."
        )
    return _of_association(found, sentence, len(data.names), whose)


def share_falls(data: Confusions) -> Finding:
    """Judge whether each pair takes a smaller share of the mistakes of deeper networks.

    Parameters
    ----------
    data
        Published networks of known depth.
    """
    found = depth.association(data.shares, data.depth)
    numbers = _correlations(found, len(data.names), "published")
    if all(found.falls):
        sentence = (
            f"All three pairs take a smaller share of the mistakes of deeper networks {numbers}."
        )
    elif any(found.falls):
        sentence = (
            f"Confusion of {_pairs(found.falls)} takes a smaller share of the mistakes of deeper "
            f"networks; for the other pairs this is not beyond chance {numbers}."
        )
    elif any(found.rises):
        sentence = (
            f"Confusion of {_pairs(found.rises)} takes a larger share of the mistakes of deeper "
            f"networks {numbers}."
        )
    else:
        sentence = (
            "For no pair does the share of the mistakes change with depth beyond what chance gives "
            f"{numbers}."
        )
    return _of_association(found, sentence, len(data.names), "published")


def counts_fall_at_equal_accuracy(data: Confusions) -> Finding:
    """Judge whether depth lowers confusion at equal accuracy, and say what explains the counts.

    Parameters
    ----------
    data
        Published networks of known depth.
    """
    found = depth.association(data.counts, data.depth, data.accuracy)
    accuracy = depth.association(data.counts, data.accuracy, data.depth)
    numbers = _correlations(found, len(data.names), "published")
    against = ", ".join(_signed(effect.value) for effect in accuracy.effects)
    if all(accuracy.falls) and not any(found.falls + found.rises):
        sentence = (
            "The counts follow accuracy rather than depth: at equal depth they fall with accuracy "
            f"for all three pairs (partial rank correlations {against}), and at equal accuracy they "
            f"change with depth for none beyond chance {numbers}."
        )
    elif all(found.falls):
        sentence = (
            f"At equal accuracy, too, deeper networks confuse all three pairs less often {numbers}."
        )
    elif any(found.falls):
        sentence = (
            f"At equal accuracy deeper networks confuse {_pairs(found.falls)} less often; for the "
            f"other pairs this is not beyond chance {numbers}."
        )
    elif any(found.rises):
        sentence = (
            f"At equal accuracy deeper networks confuse {_pairs(found.rises)} more often {numbers}."
        )
    else:
        sentence = (
            f"At equal accuracy the counts change with depth for no pair beyond chance {numbers}."
        )
    return _of_association(found, sentence, len(data.names), "published")


def _of_association(found: Association, sentence: str, count: int, whose: str) -> Finding:
    """The finding on three correlations; its effect is the correlation that is nearest to chance."""
    if all(found.falls):
        verdict = Verdict.REPRODUCED
    elif any(found.rises) and not any(found.falls):
        verdict = Verdict.CONTRADICTED
    else:
        verdict = Verdict.UNDECIDED
    weakest = int(np.argmax(found.adjusted))
    pair = " and ".join(depth.PAIRS[weakest])
    basis = f"{count} {whose} networks of known depth; the effect is that of {pair}"
    return Finding(verdict, sentence, basis, found.effects[weakest])


def _correlations(found: Association, count: int, whose: str) -> str:
    values = ", ".join(_signed(effect.value) for effect in found.effects)
    smallest = _p(min(found.adjusted))
    return (
        f"(rank correlations {values} for cat and dog, automobile and truck, airplane and ship over "
        f"{count} {whose} networks; smallest {smallest} after Holm's correction)"
    )


def _pairs(which: Sequence[bool]) -> str:
    chosen = [
        f"{first}s with {second}s"
        for (first, second), one in zip(depth.PAIRS, which, strict=True)
        if one
    ]
    return " and ".join(chosen)


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"


def _percent_over_seeds(effect: Effect) -> str:
    if effect.count == 1:
        return f"({effect.value:.1f}% from one seed)"
    return (
        f"(mean {effect.value:.1f}%, 95% interval {effect.low:.1f} to {effect.high:.1f}% over "
        f"{effect.count} seeds)"
    )


def _points_over_seeds(effect: Effect) -> str:
    value = f"{effect.value:+.1f}".replace("-", "−")
    if effect.count == 1:
        return f"({value} points from one seed)"
    ends = f"{effect.low:.1f} to {effect.high:.1f}".replace("-", "−")
    return f"({value} points, 95% interval {ends} over {effect.count} seeds)"


def _a(method: str) -> str:
    return f"a {method}"


def _long(name: str) -> Any:
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


def _classical(sources: Sources) -> tuple[Any, ...]:
    correct = networks.classical_correct(sources.record("classical"))
    percent = {name: 100 * float(one.mean()) for name, one in correct.items()}
    best = correct[max(percent, key=lambda name: percent[name])]
    runs = sources.baseline
    labels = evidence.test_labels()
    paired = [
        inference.paired_over_images(run.predictions.argmax(axis=1) == labels, best)
        for run in runs
        if len(run.predictions) == len(labels)  # the small sample has other test images
    ]
    return networks.accuracies(runs), percent, paired


def _ours(sources: Sources) -> tuple[Any, ...]:
    seeds = {"baseline": sources.baseline} | {
        name: sources.seeds(experiment)
        for name, experiment in networks.LONG.items()
        if name in depth.DEPTHS
    }
    return depth.of_runs(seeds), "of our"


def _published(sources: Sources) -> tuple[Any, ...]:
    return (depth.published().of_known_depth(),)


def _published_counts(sources: Sources) -> tuple[Any, ...]:
    return depth.published().of_known_depth(), "published"


NEW = "2026-11-26"  # rules over seeds, for results that were at hand

CLAIMS = (
    Claim(
        "deep-over-90",
        "ResNet, DenseNet and VGG regularly pass 90% on CIFAR-10.",
        "Summary and conclusion, comparison with the literature",
        (
            Condition(
                "deep-over-90.resnet18",
                "ResNet-18 above 90%",
                "Over seeds of the long training, the interval of ResNet-18's test accuracy lies "
                f"above {DEEP_PERCENT:g}%.",
                NEW,
                Timing.AFTER,
                deep_over_90,
                _long("ResNet-18"),
            ),
            Condition(
                "deep-over-90.vgg19",
                "VGG-19 above 90%",
                "Over seeds of the long training, the interval of VGG-19's test accuracy lies "
                f"above {DEEP_PERCENT:g}%.",
                NEW,
                Timing.AFTER,
                deep_over_90,
                _long("VGG-19"),
            ),
            Condition(
                "deep-over-90.densenet",
                "DenseNet-BC above 90%",
                "Not tested: DenseNet-BC was trained for a small part of its published epochs.",
                NEW,
                Timing.AFTER,
                densenet_over_90,
                _densenet,
            ),
        ),
    ),
    Claim(
        "depth-less-confusion",
        "Confusion between similar classes falls as networks get deeper.",
        "Summary and conclusion, comparison with the literature",
        (
            Condition(
                "depth-less-confusion.ours",
                "counts fall with depth, our networks",
                "Over our networks of comparable depth, the mean counts of all three pairs of "
                "similar classes fall with depth (rank correlation, permutations, Holm over pairs).",
                NEW,
                Timing.AFTER,
                counts_fall,
                _ours,
            ),
            Condition(
                "depth-less-confusion.published",
                "counts fall with depth, published networks",
                "Over published networks of known depth, the counts of all three pairs fall with "
                "depth (rank correlation, permutations, Holm over pairs).",
                NEW,
                Timing.AFTER,
                counts_fall,
                _published_counts,
            ),
            Condition(
                "depth-less-confusion.share",
                "share of mistakes falls with depth",
                "Over published networks of known depth, all three pairs take a smaller share of "
                "the mistakes the deeper a network is (as above).",
                NEW,
                Timing.AFTER,
                share_falls,
                _published,
            ),
            Condition(
                "depth-less-confusion.equal-accuracy",
                "counts fall with depth at equal accuracy",
                "Over published networks of known depth, the counts of all three pairs fall with "
                "depth at equal accuracy (partial rank correlation, permutations, Holm over pairs).",
                NEW,
                Timing.AFTER,
                counts_fall_at_equal_accuracy,
                _published,
            ),
        ),
    ),
    Claim(
        "cnn-over-classical",
        "Convolutional networks beat support vector machines and random forests.",
        "Literature survey",
        (
            Condition(
                "cnn-over-classical",
                "baseline above the best classical method",
                "Over seeds, the interval of the baseline's test accuracy minus that of the best of "
                "four classical methods lies above 0.",
                NEW,
                Timing.AFTER,
                cnn_over_classical,
                _classical,
            ),
        ),
    ),
    Claim(
        "densenet-over-resnet",
        "DenseNet often beats ResNet.",
        "Summary and conclusion, comparison with the literature",
        (
            Condition(
                "densenet-over-resnet",
                "DenseNet-BC above ResNet",
                "Not tested: no DenseNet was trained with the data and epochs of a ResNet.",
                NEW,
                Timing.AFTER,
                densenet_over_resnet,
                _densenet_and_residual,
            ),
        ),
    ),
)
