"""Claims on what dropout and augmentation do in training."""

from __future__ import annotations

import numpy as np

from cifarcam.studies import inference, ingredients
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


def dropout_gap(with_dropout: np.ndarray, without: np.ndarray, epochs: int) -> Finding:
    """Judge whether dropout narrows the gap between training and validation accuracy.

    Parameters
    ----------
    with_dropout, without
        Training minus validation accuracy, points, one value for each seed, the same seeds.
    epochs
        Length of the training runs.
    """
    effect = inference.paired_over_seeds(with_dropout, without, "points")
    verdict = verdict_of(effect, claimed="below")
    numbers = f"({effect.text(signed=True)} points after {epochs} epochs)"
    sentence = sentence_of(
        verdict,
        reproduced=f"Dropout narrows the gap between training and validation accuracy {numbers}.",
        contradicted=f"Dropout widens the gap between training and validation accuracy {numbers}.",
        undecided="We cannot tell whether dropout narrows the gap between training and validation "
        f"accuracy {numbers}.",
    )
    return _finding(verdict, sentence, effect, with_dropout - without)


def dropout_loss(with_dropout: np.ndarray, without: np.ndarray, epochs: int) -> Finding:
    """Judge whether dropout lowers the validation loss after the last epoch.

    Parameters
    ----------
    with_dropout, without
        Validation loss, nats, one value for each seed, the same seeds.
    epochs
        Length of the training runs.
    """
    effect = inference.paired_over_seeds(with_dropout, without, "nats")
    verdict = verdict_of(effect, claimed="below")
    numbers = f"({effect.text(2, signed=True)} nats)"
    sentence = sentence_of(
        verdict,
        reproduced=f"Dropout lowers the validation loss after {epochs} epochs {numbers}.",
        contradicted=f"Dropout raises the validation loss after {epochs} epochs {numbers}.",
        undecided=f"We cannot tell whether dropout lowers the validation loss after {epochs} epochs "
        f"{numbers}.",
    )
    return _finding(verdict, sentence, effect, with_dropout - without)


def augmentation_shifts(augmented: np.ndarray, plain: np.ndarray, epochs: int) -> Finding:
    """Judge whether augmentation makes the network robust to shifts of the images.

    Parameters
    ----------
    augmented, plain
        Validation accuracy lost when the images are shifted, points, one value for each seed, the
        same seeds.
    epochs
        Length of the training runs.
    """
    effect = inference.paired_over_seeds(augmented, plain, "points")
    verdict = verdict_of(effect, claimed="below")
    numbers = f"({effect.text(signed=True)} points after {epochs} epochs)"
    sentence = sentence_of(
        verdict,
        reproduced=f"With augmentation, the network loses less accuracy on shifted images {numbers}.",
        contradicted="With augmentation, the network loses more accuracy on shifted images "
        f"{numbers}.",
        undecided="We cannot tell whether the network loses less accuracy on shifted images with "
        f"augmentation {numbers}.",
    )
    return _finding(verdict, sentence, effect, augmented - plain)


def augmentation_gap(augmented: np.ndarray, plain: np.ndarray, epochs: int) -> Finding:
    """Judge whether augmentation narrows the gap between training and validation accuracy.

    Parameters
    ----------
    augmented, plain
        Training minus validation accuracy, both on images as they are, points, one value for each
        seed, the same seeds.
    epochs
        Length of the training runs.
    """
    effect = inference.paired_over_seeds(augmented, plain, "points")
    verdict = verdict_of(effect, claimed="below")
    numbers = f"({effect.text(signed=True)} points after {epochs} epochs)"
    sentence = sentence_of(
        verdict,
        reproduced="Augmentation narrows the gap between training and validation accuracy "
        f"{numbers}.",
        contradicted="Augmentation widens the gap between training and validation accuracy "
        f"{numbers}.",
        undecided="We cannot tell whether augmentation narrows the gap between training and "
        f"validation accuracy {numbers}.",
    )
    return _finding(verdict, sentence, effect, augmented - plain)


def augmentation_rotation(augmented: np.ndarray, plain: np.ndarray) -> Finding:
    """Report the accuracy lost under turns, without a verdict: the training never turned an image.

    Parameters
    ----------
    augmented, plain
        Validation accuracy lost when the images are turned, points, one value for each seed, the
        same seeds.
    """
    effect = inference.paired_over_seeds(augmented, plain, "points")
    sentence = (
        "We did not test augmentation by turning, because our training flips and shifts images and "
        "never turns them. For information, the accuracy lost on turned images changes by "
        f"{effect.text(signed=True)} points."
    )
    return _finding(Verdict.NOT_TESTED, sentence, effect, augmented - plain)


def _finding(verdict: Verdict, sentence: str, effect: Effect, by_seed: np.ndarray) -> Finding:
    basis = f"{phrases.seeds(effect.count)} with and without it, in pairs, on validation images"
    return Finding(verdict, sentence, basis, effect, tuple(by_seed.tolist()))


def _dropout_gaps(sources: Sources) -> tuple[np.ndarray, np.ndarray, int]:
    record = sources.record("ablation")
    without, with_ = (
        ingredients.by_seed(arm["trainings"], "train", "validation")
        for arm in ingredients.dropout_arms(record)
    )
    return *ingredients.pairs(with_, without), record["dropout_epochs"]


def _dropout_losses(sources: Sources) -> tuple[np.ndarray, np.ndarray, int]:
    record = sources.record("ablation")
    without, with_ = map(ingredients.final_losses, ingredients.dropout_arms(record))
    return *ingredients.pairs(with_, without), record["dropout_epochs"]


def _augmentation(
    sources: Sources, key: str, minus: str
) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    record = sources.record("ablation")
    plain, augmented = (
        ingredients.by_seed(arm["trainings"], key, minus)
        for arm in ingredients.augmentation_arms(record)
    )
    return ingredients.pairs(augmented, plain), record["epochs"]


def _shifts(sources: Sources) -> tuple[np.ndarray, np.ndarray, int]:
    arms, epochs = _augmentation(sources, "validation", "validation_shifted")
    return *arms, epochs


def _gaps(sources: Sources) -> tuple[np.ndarray, np.ndarray, int]:
    arms, epochs = _augmentation(sources, "train", "validation")
    return *arms, epochs


def _turns(sources: Sources) -> tuple[np.ndarray, np.ndarray]:
    arms, _ = _augmentation(sources, "validation", "validation_turned")
    return arms


DROPOUT = Claim(
    "dropout-helps",
    "Dropout reduces overfitting.",
    "Methodology, model construction",
    (
        Condition(
            "dropout-helps.gap",
            "dropout narrows the gap to training images",
            "With dropout, training minus validation accuracy after the last epoch is smaller than "
            "without it: the interval over seeds, in pairs, lies below zero.",
            "2026-11-26",
            Timing.AFTER,
            dropout_gap,
            _dropout_gaps,
        ),
        Condition(
            "dropout-helps.loss",
            "dropout lowers the validation loss",
            "With dropout, the validation loss after the last epoch is smaller than without it: "
            "the interval over seeds, in pairs, lies below zero.",
            "2026-11-26",
            Timing.AFTER,
            dropout_loss,
            _dropout_losses,
        ),
    ),
)

AUGMENTATION = Claim(
    "augmentation-helps",
    "Augmentation by rotation, cropping and flipping improves robustness and reduces overfitting.",
    "Summary and conclusion, recommendations",
    (
        Condition(
            "augmentation-helps.shifts",
            "augmentation makes robust to shifts",
            "With flips and shifts of up to 2 pixels in training, the accuracy lost when validation "
            "images are shifted by up to 4 pixels is smaller than without: the interval over "
            "seeds, in pairs, lies below zero.",
            "2026-11-26",
            Timing.AFTER,
            augmentation_shifts,
            _shifts,
        ),
        Condition(
            "augmentation-helps.gap",
            "augmentation narrows the gap to training images",
            "With flips and shifts in training, training minus validation accuracy is smaller than "
            "without: the interval over seeds, in pairs, lies below zero.",
            "2026-11-26",
            Timing.AFTER,
            augmentation_gap,
            _gaps,
        ),
        Condition(
            "augmentation-helps.rotation",
            "augmentation by turning makes robust to turns",
            "Not judged: no training run turns its images. The accuracy lost when validation images "
            "are turned by up to 15 degrees is given for information.",
            "2026-11-26",
            Timing.AFTER,
            augmentation_rotation,
            _turns,
        ),
    ),
)

CLAIMS = (DROPOUT, AUGMENTATION)
