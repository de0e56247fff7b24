"""Experiment files, right ones and broken ones: refused in one sentence, or trainable.

``python tests/test_fuzz_experiments.py WRONG BUILT TRAINED [SEED]`` runs a longer campaign.
"""

import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path

import keras
import pydantic
import pytest

from cifarcam import data, models, runs
from cifarcam.errors import CifarcamError
from cifarcam.training import find, settings

COMMITTED = sorted((Path(__file__).parents[1] / "experiments").glob("*.toml"))
LONGEST_SENTENCE = 1000  # characters
# What keeps a network small enough to be built in about a second.
CHEAP = {"filters": 48, "dense": 64, "layers": 2, "width": 64, "depth": 22, "growth": 8}
# A setting that passes through a function has its limits under pydantic's own names.
LIMITS = (("minimum", "ge"), ("maximum", "le"))
# A training must end soon, with little memory.
SHORT = {"epochs": 3, "batch_size": 40, "image_sizes": 3, "first": 3}
# Three in ten of these are trained.
SLOW_TO_TRAIN = ("vgg19", "resnet18", "alexnet")
WRONG_VALUES = (
    *("nan", "inf", "-inf", "-0.0", "1e400", "-1", "0", "2.5", "1e9", "true", '""', '"x"', "[]"),
    *("[1, [2]]", "[[1]]", "{}", "{a = 1}", "[{}]", "1979-05-27", "07:32:00", "1_000", "0x_1"),
    *("1979-05-27T07:32:00Z", "'\\ud800'", '"\\ud800"', '"\\u007f\\n"', "'''\n'''", "[0.1, 1e-9]"),
    *("9" * 30, "9" * 5000, "0x" + "F" * 5000, "[" + "9" * 4200 + "]", "'" + "x" * 9000 + "'"),
    *("'" + "x" * 20_000 + "'", "[" * 100_000 + "]" * 100_000, "[" * 7000, "{a=" * 4000),
    *("[" + "1," * 5000 + "]", "[1" + ",1" * 2000 + "]", "1 # \x00", "'\ud7ff\U0010ffff'"),
)


def drawn(schema, name, draw, cheap):
    """A value that the JSON schema of a setting allows, often at one of its limits."""
    if "const" in schema or "enum" in schema:
        return draw.choice(schema.get("enum", [schema.get("const")]))
    if schema["type"] == "boolean":
        return draw.random() < 0.5
    if schema["type"] == "array":
        least, most = schema.get("minItems", 0), schema["maxItems"]
        most = 3 if name == "image_sizes" else most
        count = draw.choice([least, most, draw.randint(least, most)])
        return [drawn(schema["items"], name, draw, cheap) for _ in range(count)]
    low, high = (schema.get(key, schema.get(other)) for key, other in LIMITS)
    whole = schema["type"] == "integer"
    if cheap:
        high = max(low, min(high, (CHEAP | SHORT).get(name, high)))
    middle = (low * high) ** 0.5 if low or whole else draw.choice([5e-324, 1e-30])
    value = draw.choice([low, high, draw.uniform(low, high), middle])
    return round(value) if whole else float(value)


def section(cls, draw, cheap):
    """Some settings of a class: all that are needed, and some of the others."""
    schema = pydantic.TypeAdapter(cls).json_schema()
    return {
        name: drawn(allowed, name, draw, cheap)
        for name, allowed in schema["properties"].items()
        if name in schema.get("required", []) or draw.random() < 0.4
    }


def combination(draw, *, cheap=True):
    """A file of valid-looking settings, which need not go together."""
    architecture = draw.choice(list(models.ARCHITECTURES))
    options = section(models.ARCHITECTURES[architecture].options, draw, cheap)
    if architecture == "densenet_bc" and draw.random() < 0.9:
        options["depth"] -= (options["depth"] - 4) % 6
    if architecture == "transformer" and draw.random() < 0.9:
        options["width"] = max(8, options["width"] // options["heads"]) * options["heads"]
    training = section(settings.TrainingSettings, draw, cheap)
    # Most settings without effect are left out, so that most files are accepted.
    if draw.random() < 0.9:
        if training["optimizer"] in ("adam", "adamw"):
            training.pop("momentum", None)
        training.pop(
            "weight_decay" if training["optimizer"] == "muon" else "vector_learning_rate", None
        )
        training["image_sizes"] = training.get("image_sizes", [])[: training["epochs"]]
    tables = {
        "model": {"architecture": architecture} | options,
        "data": section(settings.DataSettings, draw, cheap),
        "training": training,
    }
    for name, cls in settings.OPTIONAL.items():
        if draw.random() < 0.3:
            tables[name] = section(cls, draw, cheap)
    if draw.random() < 0.9 and "early_stopping" in tables:
        tables["data"]["fit"] = "train"
    return written(tables)


def written(tables):
    """Tables as TOML."""
    lines = ['description = "A combination"']
    for name, values in tables.items():
        lines += [f"[{name}]"]
        for key, value in values.items():
            text = f'"{value}"' if isinstance(value, str) else str(value)
            lines.append(f"{key} = {text.lower() if isinstance(value, bool) else text}")
    return "\n".join(lines) + "\n"


def broken(text, draw):
    """The bytes of a file with one to three faults."""
    for _ in range(draw.randint(1, 3)):
        lines = text.split("\n")
        place = draw.randrange(len(lines))
        key, equals, _ = lines[place].partition(" = ")
        match draw.randrange(12):
            case 0:
                del lines[place]
            case 1:
                lines[place] = (
                    draw.choice(["x", "é", '"\\n"', "a.b", "''", "k" * 4000]) + lines[place]
                )
            case 2:
                lines.insert(draw.randrange(len(lines)), lines[place])
            case 3:
                lines[place] = ".".join("a" * draw.choice([2, 3000])) + " = 1"
            case 4:
                lines[place] = draw.choice(
                    ["[[training]]", "[model.x]", "[a", "model = 1", "[" * 9000]
                )
            case 5:
                draw.shuffle(lines)
            case 6:
                lines[place] = key + "." + ".".join("a" * 3000) + " = 1"
            case _ if equals:
                lines[place] = key + " = " + draw.choice(WRONG_VALUES)
        text = "\n".join(lines)
    content = text.encode("utf-8", "surrogatepass")
    match draw.randrange(12):
        case 0:
            content = content[: draw.randrange(len(content) + 1)]
        case 1:
            place = draw.randrange(len(content) + 1)
            content = content[:place] + draw.randbytes(draw.choice([1, 3, 50])) + content[place:]
        case 2:
            content = draw.randbytes(draw.choice([0, 1, 300, 50_000]))
        case 3:
            content = text.encode(draw.choice(["utf-16", "utf-8-sig", "utf-32"]), "replace")
        case 4:
            content = content.replace(b"\n", draw.choice([b"\r\n", b"\r", b"\x00", b"\n\n"]))
    return content


def few(dataset, count=4):
    """A dataset of some images of each class in each split."""

    def places(split):
        return sorted(i for c in range(10) for i in (split.labels == c).nonzero()[0][:count])

    indices = {name: places(getattr(dataset, name)) for name in ("train", "validation", "test")}
    return replace(
        dataset,
        **{
            name: data.Split(
                getattr(dataset, name).images[where], getattr(dataset, name).labels[where]
            )
            for name, where in indices.items()
        },
        train_indices=dataset.train_indices[indices["train"]],
        validation_indices=dataset.validation_indices[indices["validation"]],
    )


class Trial:
    """What becomes of files, by kind, and what went wrong."""

    def __init__(self, directory, images):
        self.directory, self.images = directory, images
        self.outcomes, self.refusals = Counter(), Counter()
        self.faults, self.slowest = [], 0.0

    def read(self, path, kind):
        """The experiment in a file, None where it is refused in one sentence."""
        started = time.perf_counter()
        try:
            experiment = find(str(path))
        except CifarcamError as error:
            said = str(error)
            one = "\n" not in said and len(said) < LONGEST_SENTENCE
            self._count(
                f"{kind}: refused" if one else f"{kind}: refused badly", None if one else said
            )
            return None
        except Exception:  # a foreign error is what this looks for
            self._count(f"{kind}: foreign error", f"{path}\n{traceback.format_exc()[-3000:]}")
            return None
        finally:
            self.slowest = max(self.slowest, time.perf_counter() - started)
        self._count(f"{kind}: accepted")
        return experiment

    def build(self, experiment, text):
        """Build the network of an experiment."""
        keras.backend.clear_session()
        try:
            models.build(experiment.architecture, experiment.options, experiment.training.precision)
        except Exception:  # a foreign error is what this looks for
            self._count("not built", f"{text}\n{traceback.format_exc()[-3000:]}")
        else:
            self._count("built")

    def train(self, experiment, text):
        """Train an experiment on a few images, write its run, and read it."""
        keras.backend.clear_session()
        images = replace(self.images, split_seed=experiment.data.split_seed)
        try:
            run = runs.make(experiment, self.directory / experiment.run_name, dataset=images)
        except CifarcamError as error:
            self._count("training refused", f"{text}\n{error}" if "\n" in str(error) else None)
            self.refusals[str(error).removeprefix(f"{experiment.name}: ")] += 1
        except Exception:  # a foreign error is what this looks for
            self._count("training failed", f"{text}\n{traceback.format_exc()[-3000:]}")
        else:
            same = run.experiment == experiment
            self._count("trained" if same else "read back otherwise", None if same else text)

    def _count(self, outcome, fault=None):
        self.outcomes[outcome] += 1
        if fault:
            self.faults.append(f"--- {outcome}\n{fault}")


def campaign(wrong, built, trained, directory, seed=0):
    """Try `wrong` broken files and as many accepted combinations as are to be built and trained."""
    draw = random.Random(seed)
    trial = Trial(directory, few(data.load("sample")))
    path = directory / "x.toml"
    for number in range(wrong):
        text = draw.choice(COMMITTED).read_text() if draw.random() < 0.5 else combination(draw)
        path.write_bytes(broken(text, draw))
        experiment = trial.read(path, "broken")
        if experiment is not None and number % 10 == 0:
            trial.build(experiment, path.read_bytes())
    while trial.outcomes["built"] + trial.outcomes["not built"] < built:
        path.write_text(combination(draw, cheap=draw.random() < 0.9))
        experiment = trial.read(path, "combination")
        if experiment is not None and cost(experiment) < 3e7:
            trial.build(experiment, path.read_text())
    tried = 0
    while tried < trained:
        text = combination(draw)
        path.write_text(text)
        experiment = trial.read(path, "combination")
        if experiment is not None and (
            experiment.architecture not in SLOW_TO_TRAIN or draw.random() < 0.3
        ):
            trial.train(experiment, text)
            tried += 1
    return trial


def cost(experiment):
    """About how many weights the options that can be large lead to."""
    options = experiment.options
    match experiment.architecture:
        case "transformer":
            return options.layers * options.width**2 * (4 + 2 * options.expansion)
        case "custom_cnn":
            return (32 >> len(options.filters)) ** 2 * options.filters[-1] * options.dense
        case "densenet_bc":
            return options.depth**2 * options.growth**2 * 4
    return 0


@pytest.mark.slow
def test_experiment_files_are_refused_in_one_sentence_or_can_be_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    trial = campaign(60, 4, 1, tmp_path)
    assert not trial.faults, "\n".join(trial.faults)
    assert trial.outcomes["broken: refused"] > 30
    assert trial.outcomes["built"] >= 4


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch
        numbers = [int(argument) for argument in sys.argv[1:]]
        result = campaign(*numbers[:3], Path(scratch), *numbers[3:])
    print(*result.faults, sep="\n")
    print("Trainings were refused because:", *result.refusals.items(), sep="\n")
    print(dict(result.outcomes))
    print(f"{len(result.faults)} faults; reading took at most {result.slowest:.1f} s")
