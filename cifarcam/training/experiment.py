"""Experiments: everything that decides the outcome of a training run, read from a TOML file."""

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
from cifarcam.errors import CifarcamError, first_line, printable
from cifarcam.training.settings import (
    OPTIONAL,
    Augmentation,
    DataSettings,
    EarlyStopping,
    Prediction,
    Schedule,
    Selection,
    TrainingSettings,
    without_effect,
)

LARGEST_FILE = 16_384  # bytes; some of what TOML allows takes minutes to read in larger files
# Bytes in UTF-8. The directory of a run is named after its experiment, with seed and dataset, and
# file systems allow 255 bytes.
LONGEST_NAME = 150


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a training run's outcome, and a `name` and a `description`."""

    name: str
    description: str
    architecture: str
    options: Any
    data: DataSettings
    training: TrainingSettings
    schedule: Schedule | None = None
    augmentation: Augmentation | None = None
    selection: Selection | None = None
    prediction: Prediction | None = None
    early_stopping: EarlyStopping | None = None

    def check(self) -> None:
        """Check that the sections go together.

        `parse` calls this, not the constructor, so that sections can be replaced one by one.

        Raises
        ------
        ValueError
            When two sections contradict each other; the message begins with a setting's name.
        """
        if self.early_stopping is not None and self.data.fit != "train":
            raise ValueError(
                f"early_stopping: with data.fit = {self.data.fit!r} no validation images are left "
                "to stop by; leave one of the two out"
            )
        epochs = self.training.epochs
        if self.selection is not None and self.selection.first > epochs:
            raise without_effect("selection.first", f"it is beyond the last epoch, {epochs}")
        smallest = min(self.training.image_sizes, default=32)
        if smallest < self.options.smallest_image:
            raise ValueError(
                f"training.image_sizes: {smallest} is too small; {self.architecture} with these "
                f"options takes images of at least {self.options.smallest_image} pixels a side"
            )

    def sections(self) -> dict[str, dict[str, Any]]:
        """The settings by section, as in the file; without defaults and unused sections."""
        optional = {name: getattr(self, name) for name in OPTIONAL}
        return {
            "model": {
                "architecture": self.architecture,
                **_settings.non_default(self.options),
            },
            "data": _settings.non_default(self.data),
            "training": _settings.non_default(self.training),
            **{
                name: _settings.non_default(section)
                for name, section in optional.items()
                if section is not None
            },
        }

    def canonical(self) -> str:
        """The settings as JSON with sorted keys, without settings at their defaults.

        A setting or section that is added later leaves this form of older experiments unchanged.
        """
        content: dict[str, Any] = self.sections()
        options = content.pop("model")
        content |= {"architecture": options.pop("architecture"), "options": options}
        return json.dumps(content, sort_keys=True)

    def fingerprint(self, dataset_digest: str) -> str:
        """SHA-256 of the canonical form and the dataset's digest, hexadecimal."""
        return hashlib.sha256(f"{self.canonical()}\n{dataset_digest}".encode()).hexdigest()

    def images_seen(self, epoch: int, images: int) -> int:
        """The number of images that an epoch (from 1) trains on: all, or the selected fraction."""
        if self.selection is None or epoch < self.selection.first:
            return images
        return max(1, round(self.selection.share * images))

    @property
    def run_name(self) -> str:
        """The name of the run's directory: the experiment's name, with its seed and dataset."""
        seed = f"-seed{self.training.seed}" if self.training.seed else ""
        dataset = "" if self.data.dataset == "cifar10" else f"-{self.data.dataset}"
        return self.name + seed + dataset

    def with_changes(self, *, seed: int | None = None, dataset: str | None = None) -> Experiment:
        """The same experiment with another seed or dataset.

        Raises
        ------
        CifarcamError
            When the seed or the dataset is refused.
        """
        training, data = self.training, self.data
        if seed is not None:
            training = _settings.replace(training, {"seed": seed}, f"{self.name}: training")
        if dataset is not None:
            data = _settings.replace(data, {"dataset": dataset}, f"{self.name}: data")
        return dataclasses.replace(self, training=training, data=data)


def parse(text: str, name: str, source: str) -> Experiment:
    """The experiment in the text of a TOML file.

    Parameters
    ----------
    text
        The TOML.
    name
        The experiment's name.
    source
        The file's name for error messages.

    Raises
    ------
    CifarcamError
        When the text is not TOML, or a setting is unknown, missing or refused.
    """
    table = _table(text, source)
    options = dict(table["model"])
    architecture = options.pop("architecture", None)
    experiment = Experiment(
        name=name,
        description=table["description"],
        architecture=architecture,
        options=models.read_options(architecture, options, f"{source}: model"),
        data=_settings.read(DataSettings, table["data"], f"{source}: data"),
        training=_settings.read(TrainingSettings, table["training"], f"{source}: training"),
        **{
            key: _settings.read(section, table[key], f"{source}: {key}")
            for key, section in OPTIONAL.items()
            if key in table
        },
    )
    try:
        experiment.check()
    except ValueError as error:
        raise CifarcamError(f"{source}: {error}") from error
    return experiment


def _table(text: str, source: str) -> dict[str, Any]:
    """The sections of a TOML text, none unknown or missing, with a description and a model."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CifarcamError(f"{source}: not valid TOML: {first_line(error)}") from error
    except ValueError as error:
        raise CifarcamError(
            f"{source}: a number in it has thousands of digits; give a smaller number"
        ) from error
    except RecursionError as error:
        raise CifarcamError(
            f"{source}: its brackets are nested too deeply; no setting is more than a list"
        ) from error
    required = ("description", "model", "data", "training")
    allowed = (*required, *OPTIONAL)
    for key in table:
        if key not in allowed:
            raise CifarcamError(
                f"{source}: unknown section {_settings.shown(key)}; allowed are "
                f"{', '.join(allowed)}"
            )
    for key, kind, words in (
        ("description", str, "a text"),
        ("model", dict, "a table with `architecture`"),
        ("data", dict, "a table of settings"),
        ("training", dict, "a table of settings"),
    ):
        if key not in table:
            raise CifarcamError(f"{source}: {key}: missing; give {words}")
        if not isinstance(table[key], kind):
            raise CifarcamError(f"{source}: {key}: {_settings.shown(table[key])} should be {words}")
    return table


def serialize(experiment: Experiment) -> str:
    """The experiment as TOML that `parse` reads back to an equal value."""
    # JSON's strings, numbers and arrays are valid TOML, except for one character.
    description = json.dumps(experiment.description, ensure_ascii=False)
    lines = ["description = " + description.replace("\x7f", "\\u007f")]
    for name, values in experiment.sections().items():
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(v)}" for key, v in values.items())]
    return "\n".join(lines) + "\n"


def find(name: str, start: Path | None = None) -> Experiment:
    """Find an experiment by its name or its file.

    Parameters
    ----------
    name
        The path of a ``.toml`` file, or a name. A name is looked up in ``experiments/`` of
        `start` and of the directories above it, then among the package's own experiments. A name
        that ends in ``-seedN`` means the experiment without that ending, with seed N.
    start
        The working directory by default.

    Raises
    ------
    CifarcamError
        When there is no experiment of that name, or its settings are refused.
    """
    path = Path(name)
    if path.suffix == ".toml":
        return _read(path, str(path))
    base, ending, seed = name.partition("-seed")
    files: dict[str, Path] = {}
    for directory in _directories(start or Path.cwd()):
        for file in sorted(directory.glob("*.toml")):
            files.setdefault(file.stem, file)
    if base not in files or (ending and not re.fullmatch("[0-9]{1,10}", seed)):
        raise CifarcamError(
            f"no experiment named {_settings.shown(name)}; there are "
            f"{', '.join(map(printable, files))} (or give a .toml file)"
        )
    experiment = _read(files[base], files[base].name)
    _store.hand_out("experiments", base, digest=_files.sha256(files[base]))
    return experiment.with_changes(seed=int(seed)) if seed else experiment


def _read(path: Path, source: str) -> Experiment:
    """The experiment in a file that error messages call `source`."""
    name, source = path.stem, printable(source)
    try:
        if not path.is_file():  # a device or a pipe may have no end
            reason = "not a regular file; give a TOML file" if path.exists() else "no such file"
            raise CifarcamError(f"{source}: {reason}")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise CifarcamError(f"{source}: cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise CifarcamError(f"{source}: an experiment file has at most {LARGEST_FILE:,} bytes")
    if not name.isprintable() or len(name.encode()) > LONGEST_NAME:
        raise CifarcamError(
            f"{source}: an experiment's name has at most {LONGEST_NAME} bytes, all of them "
            "printable; rename the file"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CifarcamError(f"{source}: not a text in UTF-8; save it in UTF-8") from error
    return parse(text, name, source)


def _directories(start: Path) -> list[Path]:
    """The places of experiment files, nearest first."""
    package = Path(__file__).resolve().parents[1]
    upwards = [directory / "experiments" for directory in (start, *start.parents)]
    return [*upwards, package / "experiments", package.parent / "experiments"]
