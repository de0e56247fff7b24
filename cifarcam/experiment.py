"""One training described completely: a frozen, validated value read from a TOML file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifarcam import models, settings
from cifarcam.errors import CifarcamError


@dataclass(frozen=True)
class DataSettings:
    """Which images, and how the training images are split."""

    dataset: str = settings.choice("cifar10", "sample")
    split_seed: int = settings.whole_number(0, 2**32 - 1)


@dataclass(frozen=True)
class TrainingSettings:
    """How the weights are found."""

    seed: int = settings.whole_number(0, 2**31 - 1)
    epochs: int = settings.whole_number(1, 100_000)
    batch_size: int = settings.whole_number(1, 50_000)
    optimizer: str = settings.choice("adam")
    learning_rate: float = settings.number(1e-8, 10.0)
    precision: str = settings.choice("float32")


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the validation loss has not fallen for `patience` epochs; keep the best weights."""

    patience: int = settings.whole_number(1, 100_000)


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a training's outcome. `name` and `description` do not."""

    name: str
    description: str
    architecture: str
    options: Any
    data: DataSettings
    training: TrainingSettings
    early_stopping: EarlyStopping | None

    def canonical(self) -> str:
        """The settings as JSON with sorted keys; sections that are not used are left out.

        So a section added to this class later leaves the form of older experiments as it was.
        """
        content = {
            "architecture": self.architecture,
            "options": dataclasses.asdict(self.options),
            "data": dataclasses.asdict(self.data),
            "training": dataclasses.asdict(self.training),
        }
        if self.early_stopping is not None:
            content["early_stopping"] = dataclasses.asdict(self.early_stopping)
        return json.dumps(content, sort_keys=True)

    def fingerprint(self, dataset_digest: str) -> str:
        """SHA-256 of the canonical form and the dataset's digest, hexadecimal."""
        return hashlib.sha256(f"{self.canonical()}\n{dataset_digest}".encode()).hexdigest()

    @property
    def run_name(self) -> str:
        """The directory name of its run: the experiment's, with its seed and dataset."""
        seed = f"-seed{self.training.seed}" if self.training.seed else ""
        dataset = "" if self.data.dataset == "cifar10" else f"-{self.data.dataset}"
        return self.name + seed + dataset

    def with_changes(self, *, seed: int | None = None, dataset: str | None = None) -> Experiment:
        """The same experiment from another seed or on another dataset."""
        training, data = self.training, self.data
        if seed is not None:
            training = dataclasses.replace(training, seed=seed)
        if dataset is not None:
            data = dataclasses.replace(data, dataset=dataset)
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
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CifarcamError(f"{source}: not valid TOML: {error}") from error
    sections = ("description", "model", "data", "training", "early_stopping")
    for key in table:
        if key not in sections:
            raise CifarcamError(
                f"{source}: {key}: unknown section; allowed are {', '.join(sections)}"
            )
    for key in sections[:-1]:
        if key not in table:
            raise CifarcamError(f"{source}: {key}: missing")
    if not isinstance(table["description"], str):
        raise CifarcamError(f"{source}: description: {table['description']!r} is not a text")
    if not isinstance(table["model"], dict):
        raise CifarcamError(f"{source}: model: expected a table with `architecture`")
    options = dict(table["model"])
    architecture = options.pop("architecture", None)
    return Experiment(
        name=name,
        description=table["description"],
        architecture=str(architecture),
        options=models.read_options(str(architecture), options, f"{source}: model"),
        data=settings.read(DataSettings, table["data"], f"{source}: data"),
        training=settings.read(TrainingSettings, table["training"], f"{source}: training"),
        early_stopping=settings.read(
            EarlyStopping, table["early_stopping"], f"{source}: early_stopping"
        )
        if "early_stopping" in table
        else None,
    )


def serialize(experiment: Experiment) -> str:
    """The experiment as TOML that `parse` reads back to an equal value."""
    sections: dict[str, dict[str, Any]] = {
        "model": {
            "architecture": experiment.architecture,
            **dataclasses.asdict(experiment.options),
        },
        "data": dataclasses.asdict(experiment.data),
        "training": dataclasses.asdict(experiment.training),
    }
    if experiment.early_stopping is not None:
        sections["early_stopping"] = dataclasses.asdict(experiment.early_stopping)
    # JSON's strings, numbers and arrays are also TOML's.
    lines = [f"description = {json.dumps(experiment.description, ensure_ascii=False)}"]
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
        if not path.is_file():
            raise CifarcamError(f"{path}: no such file")
        return parse(path.read_text(), path.stem, str(path))
    base, _, seed = name.partition("-seed")
    known: dict[str, Path] = {}
    for directory in _directories(start or Path.cwd()):
        for file in sorted(directory.glob("*.toml")):
            known.setdefault(file.stem, file)
    if base not in known or (seed and not seed.isdigit()):
        raise CifarcamError(
            f"no experiment named {name!r}; there are {', '.join(known)} (or give a .toml file)"
        )
    found = parse(known[base].read_text(), base, known[base].name)
    return found.with_changes(seed=int(seed)) if seed else found


def _directories(start: Path) -> list[Path]:
    package = Path(__file__).resolve().parent
    upwards = [directory / "experiments" for directory in (start, *start.parents)]
    return [*upwards, package / "experiments", package.parent / "experiments"]
