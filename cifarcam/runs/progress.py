"""Progress of a training run on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tqdm import tqdm

from cifarcam import training
from cifarcam.training.experiment import Experiment


def show_progress(experiment: Experiment) -> Callable[[training.Progress], None]:
    """A function that prints a line for each epoch to standard error, and a bar in a terminal."""
    epochs = experiment.training.epochs
    bar = tqdm(
        total=epochs,
        desc=experiment.run_name,
        disable=None,
        leave=False,
        bar_format="{desc} {percentage:3.0f}% |{bar}| {postfix}",
    )
    reported: list[int] = []  # epochs

    def report(progress: training.Progress) -> None:
        left = _duration(progress.seconds_left)
        if not reported:
            name = experiment.run_name
            tqdm.write(f"{name}: at most {epochs} epochs, {left} left", file=sys.stderr)
            reported.append(len(progress.history) if progress.share else 0)
        if len(progress.history) > reported[-1]:
            last = progress.history[-1]
            reported.append(last.epoch)
            validation = ""
            if experiment.data.fit == "train":
                validation = (
                    f"validation loss {last.validation_loss:.3f} "
                    f"accuracy {last.validation_accuracy:.1%}  "
                )
            tqdm.write(
                f"epoch {last.epoch:3d}/{epochs}  "
                f"training loss {last.train_loss:.3f} accuracy {last.train_accuracy:.1%}  "
                f"{validation}{last.seconds:.1f} s  {left} left",
                file=sys.stderr,
            )
        bar.n = progress.epochs_done
        bar.set_postfix_str(f"epoch {min(progress.epoch, epochs)}/{epochs}, {left} left")

    return report


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
