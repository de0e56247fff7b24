"""Progress of a training run on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tqdm import tqdm

from cifarcam import training
from cifarcam.training.experiment import Experiment


def show_progress(wanted: Experiment) -> Callable[[training.Progress], None]:
    """A reporter that prints a line an epoch to standard error, with a bar in a terminal."""
    epochs = wanted.training.epochs
    bar = tqdm(
        total=epochs,
        desc=wanted.run_name,
        disable=None,
        leave=False,
        bar_format="{desc} {percentage:3.0f}% |{bar}| {postfix}",
    )
    told: list[int] = []

    def report(progress: training.Progress) -> None:
        left = _duration(progress.seconds_left)
        if not told:
            tqdm.write(f"{wanted.run_name}: at most {epochs} epochs, {left} left", file=sys.stderr)
            told.append(len(progress.history) if progress.share else 0)
        if len(progress.history) > told[-1]:
            last = progress.history[-1]
            told.append(last.epoch)
            watched = ""
            if wanted.data.fit == "train":
                watched = (
                    f"validation loss {last.validation_loss:.3f} "
                    f"accuracy {last.validation_accuracy:.1%}  "
                )
            tqdm.write(
                f"epoch {last.epoch:3d}/{epochs}  "
                f"training loss {last.train_loss:.3f} accuracy {last.train_accuracy:.1%}  "
                f"{watched}{last.seconds:.1f} s  {left} left",
                file=sys.stderr,
            )
        bar.n = progress.epochs_done
        bar.set_postfix_str(f"epoch {min(progress.epoch, epochs)}/{epochs}, {left} left")

    return report


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
