"""The sections of an experiment file, as validated settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from cifarcam import _settings
from cifarcam._settings import CONFIG, Number

Share = Annotated[Number, Field(ge=0, le=1)]
ImageSize = Annotated[int, Field(ge=8, le=32)]  # pixels a side


@dataclass(frozen=True, config=CONFIG)
class DataSettings:
    """The dataset, and the images of it that the weights are fitted to.

    With `fit` = ``"train+validation"`` no validation images are left. It is meant for experiments
    whose settings are no longer changed.
    """

    dataset: Literal["cifar10", "sample"]
    split_seed: Annotated[int, Field(ge=0, le=2**32 - 1)]
    fit: Literal["train", "train+validation"] = "train"


@dataclass(frozen=True, config=CONFIG)
class TrainingSettings:
    """Optimiser, loss, precision and length of a training run.

    `learning_rate` is the peak where there is a schedule. `vector_learning_rate` is AdamW's
    learning rate for all variables that Muon does not update. `weight_decay` is decoupled: a step
    subtracts this fraction, times the learning rate, from a weight. `precision` applies to
    activations; weights are float32. ``"tf32"`` is float32 whose products a GPU rounds to TF32.
    `image_sizes` sets progressive resizing: the side in pixels, epoch by epoch, that augmented
    images are shrunk to. Epochs after its last entry use the images at full size.
    """

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)]
    epochs: Annotated[int, Field(ge=1, le=100_000)]
    batch_size: Annotated[int, Field(ge=1, le=50_000)]
    optimizer: Literal["adam", "adamw", "muon"]
    learning_rate: Annotated[Number, Field(ge=1e-8, le=100)]
    precision: Literal["float32", "tf32", "bfloat16", "auto"]
    momentum: Annotated[Number, Field(ge=0, le=0.9999)] = 0.9
    weight_decay: Annotated[Number, Field(ge=0, le=10)] = 0.0
    vector_learning_rate: Annotated[Number, Field(ge=0, le=10)] = 0.001
    label_smoothing: Annotated[Number, Field(ge=0, le=0.9)] = 0.0
    image_sizes: Annotated[tuple[ImageSize, ...], Field(strict=False, max_length=1000)] = ()

    def __post_init__(self) -> None:
        """Refuse settings that would change the fingerprint and nothing else."""
        non_default = _settings.non_default(self)
        if self.optimizer == "muon" and self.weight_decay:
            raise without_effect("weight_decay", "muon keeps the norm of its kernels")
        if self.optimizer != "muon" and "momentum" in non_default:
            raise without_effect("momentum", f"{self.optimizer} has moments of its own")
        if self.optimizer != "muon" and "vector_learning_rate" in non_default:
            raise without_effect(
                "vector_learning_rate", f"{self.optimizer} has a single learning rate"
            )
        if len(self.image_sizes) > self.epochs:
            raise without_effect(
                "image_sizes", f"it has more entries than the {self.epochs} epochs"
            )

    def image_size(self, epoch: int) -> int | None:
        """The side in pixels that an epoch (from 1) shrinks images to; None for full size."""
        return self.image_sizes[epoch - 1] if epoch <= len(self.image_sizes) else None


@dataclass(frozen=True, config=CONFIG)
class Schedule:
    """The learning rate over the steps of a training run, in fractions of its peak.

    It rises from `start` to 1 over the fraction `warmup` of the steps, then falls to `end`.
    """

    shape: Literal["linear", "cosine", "one-cycle"]
    warmup: Share
    start: Share
    end: Share


@dataclass(frozen=True, config=CONFIG)
class Augmentation:
    """Random changes of the training images; 0 and ``"none"`` switch a change off."""

    flip: Literal["none", "alternating"] = "none"
    shift: Annotated[int, Field(ge=0, le=16)] = 0  # pixels, each way
    rotation: Annotated[Number, Field(ge=0, le=45)] = 0.0  # degrees, each way
    cutout: Annotated[int, Field(ge=0, le=32)] = 0  # pixels, side of the square

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the changes that are switched on."""
        return tuple(_settings.non_default(self))


@dataclass(frozen=True, config=CONFIG)
class Selection:
    """Training on the images that are still hard (Jiang et al. 2019, with losses of past epochs).

    From epoch `first` on, an epoch uses only the fraction `share` of the images: those with the
    highest losses when they were last trained on.
    """

    share: Annotated[Number, Field(ge=0.01, le=1)]
    first: Annotated[int, Field(ge=2, le=100_000)]  # epoch, from 1


@dataclass(frozen=True, config=CONFIG)
class Prediction:
    """Test-time augmentation: a second predictor, the mean logits over views of an image."""

    augmentation: Literal["flip-and-shift"]


@dataclass(frozen=True, config=CONFIG)
class EarlyStopping:
    """Stop once the validation loss has not fallen for `patience` epochs; keep the best weights."""

    patience: Annotated[int, Field(ge=1, le=100_000)]


# The sections that an experiment may leave out.
OPTIONAL: dict[str, type] = {
    "schedule": Schedule,
    "augmentation": Augmentation,
    "selection": Selection,
    "prediction": Prediction,
    "early_stopping": EarlyStopping,
}


def without_effect(setting: str, reason: str) -> ValueError:
    """The error that refuses a setting because nothing depends on it."""
    return ValueError(f"{setting}: {reason}, so that it would have no effect; leave it out")
