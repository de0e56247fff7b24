"""What a training run reports: its finished epochs and its progress."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """One line of the history. Losses are cross-entropies in nats, accuracies 0-1.

    The training loss and accuracy are means over the images that the epoch trained on, measured
    as the weights change, with dropout, augmentation and label smoothing. The validation loss and
    accuracy are NaN where the validation images are trained on.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Progress:
    """Progress of a training run.

    Attributes
    ----------
    epoch
        The current epoch, from 1.
    share
        The finished fraction of the current epoch, 0-1.
    elapsed
        Seconds since the current epoch began.
    epochs
        The number of epochs.
    history
        The finished epochs.
    """

    epoch: int
    share: float
    elapsed: float
    epochs: int
    history: tuple[Epoch, ...]

    @property
    def epochs_done(self) -> float:
        """Finished epochs, plus the finished fraction of the current epoch."""
        return self.epoch - 1 + self.share

    @property
    def seconds_left(self) -> float:
        """Seconds left, estimated from the current epoch and the last five finished epochs."""
        recent = self.history[-5:]
        seconds = self.elapsed + sum(epoch.seconds for epoch in recent)
        return seconds / (self.share + len(recent)) * (self.epochs - self.epochs_done)
