"""One training described completely: a frozen, validated value read from a TOML file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifarcam import _files, _settings, _store, models
from cifarcam.errors import CifarcamError, first_line

LARGEST_FILE = 16_384  # bytes; some of what TOML allows takes minutes to read in much more
# Bytes in UTF-8. The directory of a run is named after it, with a seed and a dataset, and a system
# takes 255.
LONGEST_NAME = 150


@dataclass(frozen=True)
class DataSettings:
    """Which images, and how the training images are split.

    `fit` names the images that the weights are fitted to: with ``"train+validation"`` none are
    left to watch, which is meant for settings that are settled.
    """

    dataset: str = _settings.choice("cifar10", "sample")
    split_seed: int = _settings.whole_number(0, 2**32 - 1)
    fit: str = _settings.choice("train", "train+validation", default="train")


@dataclass(frozen=True)
class TrainingSettings:
    """How the weights are found.

    `learning_rate` is the peak where there is a schedule. `vector_learning_rate` is that of
    AdamW for all that Muon does not update. `weight_decay` is decoupled: a step takes this much
    times the learning rate off a weight. `precision` is that of activations; weights are float32;
    `"tf32"` is float32 whose products a GPU rounds to TF32.
    `image_sizes` is for progressive resizing: the side in pixels, epoch by epoch, that augmented
    images are shrunk to; the epochs after its last entry see them as they are.
    """

    seed: int = _settings.whole_number(0, 2**31 - 1)
    epochs: int = _settings.whole_number(1, 100_000)
    batch_size: int = _settings.whole_number(1, 50_000)
    optimizer: str = _settings.choice("adam", "adamw", "sgd", "muon")
    learning_rate: float = _settings.number(1e-8, 100.0)
    precision: str = _settings.choice("float32", "tf32", "bfloat16", "auto")
    momentum: float = _settings.number(0.0, 0.9999, default=0.9)
    weight_decay: float = _settings.number(0.0, 10.0, default=0.0)
    vector_learning_rate: float = _settings.number(0.0, 10.0, default=0.001)
    label_smoothing: float = _settings.number(0.0, 0.9, default=0.0)
    image_sizes: tuple[int, ...] = _settings.whole_numbers((0, 1000), 8, 32, default=())

    def __post_init__(self) -> None:
        """Refuse what would change the fingerprint and nothing else."""
        given = _settings.given(self)
        if self.optimizer == "muon" and self.weight_decay:
            raise _without_effect("weight_decay", "muon keeps the norm of its kernels")
        if self.optimizer in ("adam", "adamw") and "momentum" in given:
            raise _without_effect("momentum", f"{self.optimizer} has moments of its own")
        if self.optimizer != "muon" and "vector_learning_rate" in given:
            raise _without_effect("vector_learning_rate", f"{self.optimizer} has one rate for all")
        if len(self.image_sizes) > self.epochs:
            raise _without_effect(
                "image_sizes", f"it has more entries than the {self.epochs} epochs"
            )

    def image_size(self, epoch: int) -> int | None:
        """The side that images are shrunk to in an epoch (from 1); None leaves them as they are."""
        return self.image_sizes[epoch - 1] if epoch <= len(self.image_sizes) else None


@dataclass(frozen=True)
class Schedule:
    """How the learning rate goes over the steps of a training, in shares of its peak.

    `warmup` is the share of the steps over which it rises from `start`; then it falls to `end`.
    """

    shape: str = _settings.choice("linear", "cosine", "one-cycle")
    warmup: float = _settings.number(0.0, 1.0)
    start: float = _settings.number(0.0, 1.0)
    end: float = _settings.number(0.0, 1.0)


@dataclass(frozen=True)
class Augmentation:
    """How training images are varied; 0 and ``"none"`` leave a part out."""

    flip: str = _settings.choice("none", "random", "alternating", default="none")
    shift: int = _settings.whole_number(0, 16, default=0)  # pixels, each way
    rotation: float = _settings.number(0.0, 45.0, default=0.0)  # degrees, each way
    cutout: int = _settings.whole_number(0, 32, default=0)  # pixels, side of the square
    mixup: float = _settings.number(0.0, 10.0, default=0.0)  # both parameters of the Beta

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts that are not left out."""
        return tuple(_settings.given(self))


@dataclass(frozen=True)
class Averaging:
    """A slower set of weights, updated every so many steps, which the training ends with."""

    method: str = _settings.choice("ema", "lookahead")
    decay: float = _settings.number(0.0, 1.0)  # what of the slow weights stays
    every: int = _settings.whole_number(1, 100_000)  # steps


@dataclass(frozen=True)
class Selection:
    """Train on the images that are still hard (Jiang et al. 2019, with losses of earlier epochs).

    From epoch `first` on, an epoch sees only the `share` of the images whose loss was highest
    when each was last trained on.
    """

    share: float = _settings.number(0.01, 1.0)
    first: int = _settings.whole_number(2, 100_000)  # epoch, from 1


@dataclass(frozen=True)
class Prediction:
    """A second predictor beside the plain one: the mean of the logits over views of an image."""

    augmentation: str = _settings.choice("flip", "flip-and-shift")


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the validation loss has not fallen for `patience` epochs; keep the best weights."""

    patience: int = _settings.whole_number(1, 100_000)


# The sections that an experiment may leave out.
OPTIONAL: dict[str, type] = {
    "schedule": Schedule,
    "augmentation": Augmentation,
    "averaging": Averaging,
    "selection": Selection,
    "prediction": Prediction,
    "early_stopping": EarlyStopping,
}


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a training's outcome. `name` and `description` do not."""

    name: str
    description: str
    architecture: str
    options: Any
    data: DataSettings
    training: TrainingSettings
    schedule: Schedule | None = None
    augmentation: Augmentation | None = None
    averaging: Averaging | None = None
    selection: Selection | None = None
    prediction: Prediction | None = None
    early_stopping: EarlyStopping | None = None

    def check(self) -> None:
        """Raise a `ValueError` that begins with a setting, where sections do not go together.

        Not at once when an experiment is made, so that its sections can be replaced one by one.
        """
        if self.early_stopping is not None and self.data.fit != "train":
            raise ValueError(
                f"early_stopping: with data.fit = {self.data.fit!r} no validation images are left "
                "to stop by; leave one of the two out"
            )
        epochs = self.training.epochs
        if self.selection is not None and self.selection.first > epochs:
            raise _without_effect("selection.first", f"it is beyond the last epoch, {epochs}")
        smallest = min(self.training.image_sizes, default=32)
        if smallest < self.options.smallest_image:
            raise ValueError(
                f"training.image_sizes: {smallest} is too small; {self.architecture} with these "
                f"options takes images of {self.options.smallest_image} pixels a side or more"
            )

    def canonical(self) -> str:
        """The settings as JSON with sorted keys, without those at their defaults.

        So a setting or section added later leaves the form of older experiments as it was.
        """
        content = {
            "architecture": self.architecture,
            "options": _settings.given(self.options),
            "data": _settings.given(self.data),
            "training": _settings.given(self.training),
            **self._sections(),
        }
        return json.dumps(content, sort_keys=True)

    def _sections(self) -> dict[str, dict[str, Any]]:
        """The optional sections that are used, by name."""
        values = {name: getattr(self, name) for name in OPTIONAL}
        return {name: _settings.given(value) for name, value in values.items() if value is not None}

    def fingerprint(self, dataset_digest: str) -> str:
        """SHA-256 of the canonical form and the dataset's digest, hexadecimal."""
        return hashlib.sha256(f"{self.canonical()}\n{dataset_digest}".encode()).hexdigest()

    def images_seen(self, epoch: int, images: int) -> int:
        """How many of the images an epoch (from 1) trains on: all, or the share selected."""
        if self.selection is None or epoch < self.selection.first:
            return images
        return max(1, round(self.selection.share * images))

    @property
    def run_name(self) -> str:
        """The directory name of its run: the experiment's, with its seed and dataset."""
        seed = f"-seed{self.training.seed}" if self.training.seed else ""
        dataset = "" if self.data.dataset == "cifar10" else f"-{self.data.dataset}"
        return self.name + seed + dataset

    def with_changes(self, *, seed: int | None = None, dataset: str | None = None) -> Experiment:
        """The same experiment from another seed or on another dataset.

        Raises
        ------
        CifarcamError
            When the seed or the dataset is refused.
        """
        training, data = self.training, self.data
        if seed is not None:
            training = _settings.changed(training, {"seed": seed}, f"{self.name}: training")
        if dataset is not None:
            data = _settings.changed(data, {"dataset": dataset}, f"{self.name}: data")
        return dataclasses.replace(self, training=training, data=data)


def parse(text: str, name: str, source: str) -> Experiment:
    """An experiment from the text of a TOML file.

    Parameters
    ----------
    text
        The TOML.
    name
        The experiment's name.
    source
        The file, as named in errors.

    Raises
    ------
    CifarcamError
        When the text is not TOML, or a setting is unknown, missing or out of range.
    """
    table = _table(text, source)
    required = ("description", "model", "data", "training")
    for key in table:
        if key not in (*required, *OPTIONAL):
            raise CifarcamError(
                f"{source}: {_settings.named(key)}: unknown section; allowed are "
                f"{', '.join((*required, *OPTIONAL))}"
            )
    for key in required:
        if key not in table:
            raise CifarcamError(f"{source}: {key}: missing")
    if not isinstance(table["description"], str):
        raise CifarcamError(
            f"{source}: description: {_settings.shown(table['description'])} is not a text"
        )
    if not isinstance(table["model"], dict):
        raise CifarcamError(f"{source}: model: expected a table with `architecture`")
    options = dict(table["model"])
    architecture = options.pop("architecture", None)
    found = Experiment(
        name=name,
        description=table["description"],
        architecture=architecture,
        options=models.read_options(architecture, options, f"{source}: model"),
        data=_settings.read(DataSettings, table["data"], f"{source}: data"),
        training=_settings.read(TrainingSettings, table["training"], f"{source}: training"),
        **{
            name: _settings.read(section, table[name], f"{source}: {name}")
            for name, section in OPTIONAL.items()
            if name in table
        },
    )
    try:
        found.check()
    except ValueError as error:
        raise CifarcamError(f"{source}: {error}") from error
    return found


def _table(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CifarcamError(f"{source}: not valid TOML: {first_line(error)}") from error
    except ValueError as error:
        raise CifarcamError(
            f"{source}: a number in it has thousands of digits; give one that is allowed"
        ) from error
    except RecursionError as error:
        raise CifarcamError(
            f"{source}: its brackets are nested too deeply; no setting is more than a list"
        ) from error


def _without_effect(setting: str, reason: str) -> ValueError:
    return ValueError(f"{setting}: {reason}, so that it would have no effect; leave it out")


def serialize(experiment: Experiment) -> str:
    """The experiment as TOML that `parse` reads back to an equal value."""
    sections: dict[str, dict[str, Any]] = {
        "model": {"architecture": experiment.architecture, **_settings.given(experiment.options)},
        "data": _settings.given(experiment.data),
        "training": _settings.given(experiment.training),
        **experiment._sections(),
    }
    # JSON's strings, numbers and arrays are also TOML's, but for one character.
    description = json.dumps(experiment.description, ensure_ascii=False)
    lines = ["description = " + description.replace("\x7f", "\\u007f")]
    for name, values in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(v)}" for key, v in values.items())]
    return "\n".join(lines) + "\n"


def find(name: str, start: Path | None = None) -> Experiment:
    """The experiment of that name, or in that file.

    Looked up as a path, in ``experiments/`` from `start` (the working directory) upwards, and
    among those that come with the package. A name ending in ``-seedN`` is the experiment
    without that ending, trained from seed N.

    Raises
    ------
    CifarcamError
        When there is none of that name, or its settings are refused.
    """
    path = Path(name)
    if path.suffix == ".toml":
        return _read(path, str(path))
    base, ending, seed = name.partition("-seed")
    known: dict[str, Path] = {}
    for directory in _directories(start or Path.cwd()):
        for file in sorted(directory.glob("*.toml")):
            known.setdefault(file.stem, file)
    if base not in known or (ending and not re.fullmatch("[0-9]{1,10}", seed)):
        raise CifarcamError(
            f"no experiment named {_settings.shown(name)}; there are "
            f"{', '.join(map(_settings.named, known))} (or give a .toml file)"
        )
    found = _read(known[base], known[base].name)
    _store.hand_out("experiments", base, digest=_files.sha256(known[base]))
    return found.with_changes(seed=int(seed)) if seed else found


def _read(path: Path, source: str) -> Experiment:
    """The experiment in a file that is named `source` in errors."""
    name, source = path.stem, _settings.named(source)
    try:
        if not path.is_file():  # a device or a pipe may have no end
            reason = "not a regular file; give a TOML file" if path.exists() else "no such file"
            raise CifarcamError(f"{source}: {reason}")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise CifarcamError(f"{source}: cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise CifarcamError(f"{source}: an experiment has at most {LARGEST_FILE:,} bytes")
    if not name.isprintable() or len(name.encode()) > LONGEST_NAME:
        raise CifarcamError(
            f"{source}: an experiment's name has at most {LONGEST_NAME} bytes, all of them "
            "printable; rename the file"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CifarcamError(f"{source}: not a text in UTF-8; save it as one") from error
    return parse(text, name, source)


def _directories(start: Path) -> list[Path]:
    package = Path(__file__).resolve().parents[1]
    upwards = [directory / "experiments" for directory in (start, *start.parents)]
    return [*upwards, package / "experiments", package.parent / "experiments"]
